"""ray_cluster.yaml is what Ray's cluster launcher accepts; nothing is contacted."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FILE = Path(__file__).parent.parent / "ray_cluster.yaml"

if not FILE.is_file():
    pytest.skip("not a checkout", allow_module_level=True)


def validate(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration as the launcher completes it; raises what the launcher raises."""
    # A private module of Ray: the launcher has no public way to check a file without starting it.
    util = pytest.importorskip("ray.autoscaler._private.util")
    prepared: dict[str, Any] = util.prepare_config(copy.deepcopy(config))
    util.validate_config(prepared)
    return prepared


def variants() -> dict[str, dict[str, Any]]:
    """The file as it stands, and with each commented provider in place of the local one."""
    text = FILE.read_text(encoding="utf-8")
    base = yaml.safe_load(text)
    found = {"local": base}
    for block in re.findall(r"^# provider:\n(?:# .*\n)+", text, flags=re.MULTILINE):
        config = yaml.safe_load(re.sub(r"^# ", "", block, flags=re.MULTILINE))
        config = {**{k: v for k, v in base.items() if k != "min_workers"}, **config}
        found[config["provider"]["type"]] = config
    return found


@pytest.mark.filterwarnings("ignore")  # Ray's own warnings at import
@pytest.mark.parametrize("provider", ["local", "aws", "gcp"])
def test_every_variant_is_valid(provider: str, tmp_path: Path) -> None:
    """The three providers pass the launcher's own validation."""
    config = variants()[provider]
    config["file_mounts"] = {"/tmp/paragent-wheel": str(tmp_path)}  # dist/ is made by `make wheel`
    prepared = validate(config)
    assert prepared["cluster_name"] == "paragent"


@pytest.mark.filterwarnings("ignore")
def test_a_mistake_is_found(tmp_path: Path) -> None:
    """The check above can fail: a misspelt key is refused."""
    config = variants()["local"]
    config["file_mounts"] = {"/tmp/paragent-wheel": str(tmp_path)}
    config["max_wokers"] = config.pop("max_workers")
    with pytest.raises(Exception, match="max_wokers"):
        validate(config)


def test_no_more_workers_than_machines() -> None:
    """With machines of one's own, the bounds are the number of addresses."""
    config = variants()["local"]
    assert config["min_workers"] <= config["max_workers"] == len(config["provider"]["worker_ips"])


def test_the_wheel_is_the_one_that_make_builds() -> None:
    """The version in the comment is the package's."""
    from paragent import __version__

    assert f"dist/paragent-{__version__}-py3-none-any.whl" in FILE.read_text(encoding="utf-8")
