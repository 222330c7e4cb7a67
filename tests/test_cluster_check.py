"""`paragent cluster check` on a real Ray: what each node lacks is said before money is spent."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from paragent.api import packed
from paragent.cli import main
from paragent.cluster import survey as survey_module
from paragent.cluster.probe import probe
from paragent.cluster.session import Joined, ray_session
from paragent.cluster.survey import survey
from paragent.config import RunConfig
from paragent.dev.fake_server import FakeConfig, FakeServer
from paragent.provenance import PACKAGES

pytest.importorskip("ray")
#: Ray's own: it leaves sockets and files to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:ray.*"),
    pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray.*"),
]
KEY = "sk-not-a-real-key-0123456789"


@pytest.fixture(scope="module")
def ray() -> Iterator[Joined]:
    """One Ray for all tests here."""
    with ray_session("local", cpus=2) as joined:
        yield joined


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of a server that takes one key."""
    ready, stop = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        async with FakeServer(FakeConfig(key=KEY)) as fake:
            found.append(fake.url)
            ready.set()
            await asyncio.to_thread(stop.wait, 300)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(30)
    yield found[0]
    stop.set()
    thread.join(30)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def check(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code, and the findings by name."""
    code = main(["cluster", "check", *words, "--address", "auto", "--json"])
    out = capsys.readouterr()
    assert out.err == ""
    assert KEY not in out.out
    data = json.loads(out.out)
    assert data["ok"] == (code == 0)
    return code, {finding["name"]: finding for finding in data["findings"]}


def test_versions_of_every_node(ray: Joined, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a specification the versions are compared, and the cluster is described."""
    code, found = check(capsys)
    assert code == 0
    assert found["cluster"]["value"] == "1 node, 2 cores for tasks"
    assert [found[name]["ok"] for name in ("paragent", "python", "ray")] == [True] * 3


def test_the_screen(ray: Joined, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Read by people: the node, its findings, and a last line that answers the question."""
    (here / "my.yaml").write_text("models: [pocket-s]\nevals: 2\nworkers: 8\n")
    assert main(["cluster", "check", "my.yaml", "--address", "auto"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("8 on 2 cores: they share them" in line for line in lines)
    assert any(line.startswith("node ") for line in lines)
    assert any("everything the search needs can be imported" in line for line in lines)
    assert lines[-1] == "the cluster can run it"


def test_another_version_of_paragent(
    ray: Joined, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both versions are named, with what to do; nothing else is tried there."""
    monkeypatch.setattr(survey_module, "__version__", "9.9.9")
    code, found = check(capsys)
    assert code == 1
    assert found["paragent"]["value"].endswith(", here 9.9.9")
    assert "install the same on every node" in found["paragent"]["fix"]


def test_user_code_that_a_node_cannot_import(
    ray: Joined, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tool whose file can be imported on this machine only: the missing module is one line."""
    (here / "tools.py").write_text(
        "import os\n"
        "if os.environ.get('ONLY_HERE') != '1':\n"
        "    import no_such_module\n"
        "def double(number: float) -> float:\n"
        "    '''Twice the number.'''\n"
        "    return 2 * number\n"
    )
    (here / "my.yaml").write_text("models: [pocket-s]\ntools: {double: 'tools.py:double'}\n")
    monkeypatch.setenv("ONLY_HERE", "1")  # the cluster's processes were started without it
    code, found = check(capsys, "my.yaml")
    assert code == 1
    assert "no_such_module" in found["code and data"]["value"]
    assert "\n" not in found["code and data"]["value"]
    assert found["paragent"]["ok"]
    # A search that was not checked first refuses as well, in one line, before its run exists.
    assert main(["search", "my.yaml", "--address", "auto", "--workers", "1", "--out", "run"]) == 1
    err = capsys.readouterr().err
    assert "cannot run this search" in err
    assert "no_such_module" in err
    assert err.count("\n") == 1
    assert not (here / "run").exists()


def test_keys_and_endpoints(
    ray: Joined,
    server: str,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A right key, a wrong one, a closed port and a key that is not set: each by name."""
    (here / "models.yaml").write_text(
        "models:\n"
        f"  good: {{base_url: '{server}', model: a, api_key_env: GOOD_KEY}}\n"
        f"  bad: {{base_url: '{server}', model: a, api_key_env: BAD_KEY}}\n"
        "  dead: {base_url: 'http://127.0.0.1:9/v1', model: a}\n"
    )
    (here / "my.yaml").write_text("models: [good, bad, dead]\n")
    monkeypatch.setenv("GOOD_KEY", KEY)
    code, found = check(capsys, "my.yaml")
    assert code == 1
    assert found["key GOOD_KEY"]["value"] == "set here; it travels to the workers"
    assert (found["key BAD_KEY"]["ok"], found["key BAD_KEY"]["value"]) == (False, "not set")
    assert "model good" not in found

    monkeypatch.setenv("BAD_KEY", "sk-another-key-9876543210")
    code, found = check(capsys, "my.yaml")
    assert code == 1
    assert found["model good"] == {**found["model good"], "ok": True, "value": "answers"}
    assert "refuses the key BAD_KEY" in found["model bad"]["value"]
    assert "sk-another" not in json.dumps(found)
    assert "no line to http://127.0.0.1:9/v1" in found["model dead"]["value"]

    (here / "my.yaml").write_text("models: [good]\n")
    assert check(capsys, "my.yaml")[0] == 0


def test_a_silent_node_is_a_finding(ray: Joined, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that does not answer in time does not hold the survey up."""
    monkeypatch.setattr(survey_module, "ANSWER_S", 0.0)
    (last,) = [f for f in survey(ray) if f.node]
    assert (last.ok, last.value) == (False, "no answer within 0 s")


def test_a_node_without_paragent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The probe itself needs the standard library only, and says what is missing."""
    answer = probe(None, [], "0", PACKAGES)
    assert answer["paragent"]

    def missing(name: str, *rest: Any) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr("paragent.cluster.probe.importlib.import_module", missing)
    answer = probe(b"never opened", [], "0", PACKAGES)
    assert (answer["paragent"], "code" in answer) == (None, False)
    (finding,) = [f for f in survey_module._of_node("n", answer) if f.name == "paragent"]
    assert finding.ok is False
    assert "No module named 'paragent'" in finding.value


def test_what_travels_names_the_endpoints(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request on pocket models calls no endpoint; its parcel holds no key."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    parcel, models = packed(RunConfig(models=("pocket-s",)))
    assert models == ()
    assert KEY.encode() not in parcel


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--address", "none"], 2, "address none is no cluster"),
        (["--address", "lokal"], 2, "Did you mean 'local'?"),
        (["--address", "127.0.0.1:9"], 1, "no Ray cluster answers at 127.0.0.1:9"),
        (["no.yaml", "--address", "auto"], 2, "no.yaml: No such file"),
        (["bad.yaml", "--address", "auto"], 2, "line 1, column 1: no setting is called 'evlas'"),
        (["odd.yaml", "--address", "auto"], 2, "no searcher is called 'mtcs'"),
    ],
)
def test_misuse_is_one_line(
    words: list[str], code: int, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 for what makes no sense, 1 for a cluster that does not answer; no traceback."""
    (here / "bad.yaml").write_text("evlas: 3\n")
    (here / "odd.yaml").write_text("searcher: mtcs\n")
    assert main(["cluster", "check", *words]) == code
    out = capsys.readouterr()
    assert said in out.err
    assert out.err.count("\n") == 1
