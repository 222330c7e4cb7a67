"""ray_cluster.yaml and its relatives are in order, and a broken file is told with its line.

Nothing is contacted: `paragent cluster validate` asks Ray's schema and Ray's own preparation.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from paragent.cli import main
from paragent.cluster.launcher_file import check_text
from paragent.cluster.session import HEALTH
from paragent.errors import ConfigError

ROOT = Path(__file__).parent.parent
FILE = ROOT / "ray_cluster.yaml"
KUBERAY = ROOT / "examples" / "kuberay.yaml"

if not FILE.is_file():
    pytest.skip("not a checkout", allow_module_level=True)
pytest.importorskip("ray")
#: Ray's own warnings at import.
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:ray.*")


def variants() -> dict[str, str]:
    """The file as it stands, and with each commented provider in place of the local one."""
    text = FILE.read_text(encoding="utf-8")
    found = {"local": text}
    own = re.search(r"^provider:\n(?:  .*\n)+", text, flags=re.MULTILINE)
    assert own
    bare = text.replace(own[0], "").replace("\nmin_workers: 2\n", "\n")
    for block in re.findall(r"^# provider:\n(?:# .*\n)+", text, flags=re.MULTILINE):
        block = re.sub(r"^# ", "", block, flags=re.MULTILINE)
        found[yaml.safe_load(block)["provider"]["type"]] = f"{bare}\n{block}"
    return found


@pytest.mark.parametrize("provider", ["local", "aws", "gcp"])
def test_every_variant_is_in_order(
    provider: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command takes the file as it stands, and each provider in its comments."""
    path = tmp_path / "cluster.yaml"
    path.write_text(variants()[provider])
    assert main(["cluster", "validate", str(path)]) == 0
    assert f"{path} is in order" in capsys.readouterr().out


def test_what_is_worth_knowing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    """Addresses of documentation are nobody's machines: a note, also with --json."""
    assert main(["cluster", "validate", str(FILE), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert any("addresses are those of documentation" in note for note in found["notes"])


#: What is done to the file; the line at fault (as text); what is said of it.
BROKEN = [
    ("max_workers: 2", "max_wokers: 2", "max_wokers", "Did you mean 'max_workers'?"),
    ("  head_ip: 192.0.2.10\n", "", "provider:", "'head_ip' is missing here"),
    ("cluster_name: paragent\n", "", None, "'cluster_name' is missing here"),
    ("type: local", "type: lokal", "type: lokal", "Did you mean 'local'?"),
    ("192.0.2.12]", "192.0.2.11]", "worker_ips", "192.0.2.11 is given twice"),
    ("192.0.2.12]", "12]", "worker_ips", "12 is no address"),
    ("max_workers: 2", "max_workers: 3", "max_workers: 3", "but worker_ips has 2"),
    ("max_workers: 2", "max_workers: 1", "min_workers: 2", "min_workers is above max_workers"),
    ("min_workers: 2", "min_workers: two", "min_workers: two", "min_workers is 'two'; wanted a"),
    ("max_workers: 2", "max_workers: two", "max_workers: two", "'two' is not of type"),
    ("idle_timeout_minutes: 10", "idle_timeout_minutes: [", None, ""),
    ("cluster_name: paragent", "- a list", None, ""),
]


@pytest.mark.parametrize(("old", "new", "line", "said"), BROKEN)
def test_a_mistake_has_its_line(
    old: str,
    new: str,
    line: str | None,
    said: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Exit code 2, one line on stderr, and the line of the file that is at fault."""
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    text = text.replace(old, new)
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    assert main(["cluster", "validate", str(path)]) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert out.err.count("\n") == 1
    assert said in out.err
    place = re.search(r"broken\.yaml: line (\d+), column \d+", out.err)
    assert place
    if line is not None:
        assert line in text.splitlines()[int(place[1]) - 1]


@pytest.mark.parametrize("provider", ["aws", "gcp"])
def test_mistakes_of_the_cloud_variants(provider: str) -> None:
    """A head that is no node type, a region that is missing, the key that only machines of one's
    own have."""
    text = variants()[provider]
    for old, new, said in (
        ("head_node_type: head", "head_node_type: haed", "no node type is called 'haed'"),
        ("  region: ", "  regoin: ", "'region' is missing here"),
        ("max_workers: 2", "max_workers: 2\nmin_workers: 2", "no key 'min_workers'"),
    ):
        with pytest.raises(ConfigError, match=said):
            check_text(text.replace(old, new), "cloud.yaml")


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No file, a folder, bytes that are no text: misuse, in one line."""
    (tmp_path / "bytes.yaml").write_bytes(b"a: \xff")
    for name, said in (("none.yaml", "No such file"), (".", "directory"), ("bytes.yaml", "UTF-8")):
        assert main(["cluster", "validate", str(tmp_path / name)]) == 2
        err = capsys.readouterr().err
        assert said in err
        assert err.count("\n") == 1


def test_the_wheel_is_the_one_that_make_builds() -> None:
    """The version in the comments is the package's."""
    from paragent import __version__

    assert f"dist/paragent-{__version__}-py3-none-any.whl" in FILE.read_text(encoding="utf-8")
    assert f"paragent:{__version__}" in KUBERAY.read_text(encoding="utf-8")


def test_lost_nodes_are_noticed_as_on_a_ray_of_ours() -> None:
    """The head's health checks are those that a local search starts its own Ray with."""
    (command,) = yaml.safe_load(FILE.read_text())["head_start_ray_commands"][1:]
    given = {name: int(value) for name, value in re.findall(r"RAY_(health_\w+)=(\d+)", command)}
    assert given == dict(HEALTH)


# -- Kubernetes ----------------------------------------------------------------------------------


def test_the_manifest_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """The RayCluster in examples/, without a note."""
    assert main(["cluster", "validate", str(KUBERAY)]) == 0
    assert capsys.readouterr().out == f"{KUBERAY} is in order\n"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ray.io/v1\n", "ray.io/v2\n", "apiVersion is 'ray.io/v2'; wanted ray.io/v1"),
        ("kind: RayCluster", "kind: RayJob", "kind is 'RayJob'"),
        ("  headGroupSpec:", "  headGroup:", "'headGroupSpec' is missing here"),
        ("groupName: workers", "group: workers", "'groupName' is missing here"),
        ("maxReplicas: 10", "maxReplicas: 1", "minReplicas <= replicas <= maxReplicas"),
        ("replicas: 2", "replicas: two", "replicas is 'two'; that is no int"),
        ("name: ray-worker\n          image", "name: ray-worker\n          imgae", "'image'"),
        ("containers:\n        - name: ray-head", "containers: []\n        x:\n        - name: h",
         "at least one container"),
    ],
)  # fmt: skip
def test_mistakes_in_a_manifest(old: str, new: str, said: str) -> None:
    """What the operator would refuse is told before it is applied, with its line."""
    text = KUBERAY.read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(ConfigError, match=re.escape(said)) as caught:
        check_text(text.replace(old, new), "k.yaml")
    assert re.match(r"k\.yaml: line \d+, column \d+: ", str(caught.value))


def test_a_manifest_without_a_token_is_noted() -> None:
    """Whoever reaches such a cluster can run code there."""
    text = KUBERAY.read_text(encoding="utf-8").replace("authOptions: {mode: token}", "")
    text = re.sub(r"^   +# the operator makes.*\n", "", text, flags=re.MULTILINE)
    assert any("can run code" in note for note in check_text(text, "k.yaml"))


@pytest.mark.skipif(
    "PARAGENT_KUBERAY_CRD" not in os.environ,
    reason="PARAGENT_KUBERAY_CRD names no copy of ray.io_rayclusters.yaml",
)
def test_the_manifest_fits_the_operators_schema() -> None:
    """Against the operator's own definition, where a copy of it is at hand (1 MB: not shipped)."""
    jsonschema: Any = pytest.importorskip("jsonschema")
    crd = yaml.safe_load(Path(os.environ["PARAGENT_KUBERAY_CRD"]).read_text(encoding="utf-8"))
    (version,) = [v for v in crd["spec"]["versions"] if v["name"] == "v1"]
    schema = version["schema"]["openAPIV3Schema"]
    manifest = yaml.safe_load(KUBERAY.read_text(encoding="utf-8"))
    assert list(jsonschema.Draft7Validator(schema).iter_errors(manifest)) == []
    assert unknown(manifest["spec"], schema["properties"]["spec"]) == []


def unknown(value: Any, schema: Any, place: str = "spec") -> list[str]:
    """Keys that the schema does not name: the operator would drop them in silence."""
    found = []
    if isinstance(value, dict) and "properties" in schema:
        for key, inner in value.items():
            if key not in schema["properties"]:
                found.append(f"{place}.{key}")
            else:
                found += unknown(inner, schema["properties"][key], f"{place}.{key}")
    elif isinstance(value, list) and "items" in schema:
        for i, inner in enumerate(value):
            found += unknown(inner, schema["items"], f"{place}[{i}]")
    return found
