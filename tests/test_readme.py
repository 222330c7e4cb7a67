"""README.md and the examples do what they say."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from documents import TINY, blocks, run_python, run_shell, shrink, understood, write_yaml

import paragent
from paragent.dev.fake_server import FakeServer
from paragent.registry import components

ROOT = Path(__file__).parent.parent
if not (ROOT / "README.md").is_file():
    pytest.skip("not a checkout", allow_module_level=True)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working folder; components registered by a block are forgotten after it."""
    monkeypatch.chdir(tmp_path)
    before = set(components.names())
    yield tmp_path
    for name in set(components.names()) - before:
        components.unregister(name)


@pytest.mark.parametrize(
    "number", [i for i, b in enumerate(blocks("README.md")) if b.language == "python"]
)
def test_python_blocks_run(number: int, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every Python block of the README runs as it stands (with fewer designs and tasks)."""
    shrink(monkeypatch)
    run = run_python(blocks("README.md")[number])["run"]
    assert len(run.evaluations) == TINY["evals"]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # Ray's own
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:.*:DeprecationWarning:ray.*")
@pytest.mark.filterwarnings("ignore:.*:FutureWarning:ray.*")
def test_shell_and_yaml_blocks_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands and files of the README, in the order of the page, after one search."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for Ray's workers, where it is not installed
    (here / "ray_cluster.yaml").write_bytes((ROOT / "ray_cluster.yaml").read_bytes())
    monkeypatch.setenv("LARGE_KEY", "sk-not-a-real-key")
    paragent.optimize("pocket", searcher="random", models=["pocket-s"], **TINY)
    for block in blocks("README.md"):
        if block.language == "sh":
            run_shell(block)
        elif block.language == "yaml":
            write_yaml(block, here)


def test_commands_of_the_cluster_page_are_understood() -> None:
    """Every `paragent` line of docs/cluster.md names a command and options that there are."""
    lines = [shlex.split(line, comments=True) for block in blocks("docs/cluster.md")
             if block.language == "sh" for line in block.text.splitlines()]  # fmt: skip
    assert len(lines) >= 8
    for words in lines:
        assert words[0] == "paragent"
        understood(words[1:])


def test_links_lead_somewhere() -> None:
    """Every relative link of the documents names a file."""
    for document in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("http") or (ROOT / target).exists(), target


def example(name: str, cwd: Path, **environment: str) -> str:
    """Output of an example run as its head says, with three designs."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), "3"],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_example_of_a_benchmark(tmp_path: Path) -> None:
    """Tasks of one's own: progress is told and the found design answers."""
    out = example("own_benchmark.py", tmp_path)
    assert "told 3" in out
    assert "done 3" in out


def test_example_of_a_component(tmp_path: Path) -> None:
    """A component of one's own takes part in the search."""
    assert "of 3 designs used echo_check" in example("own_component.py", tmp_path)


def test_example_of_an_endpoint(tmp_path: Path) -> None:
    """An endpoint (here a fake one) is searched over, and dollars are counted."""
    ready, stop = threading.Event(), threading.Event()
    found: list[str] = []

    async def serve() -> None:
        async with FakeServer() as server:
            found.append(server.url)
            ready.set()
            await asyncio.to_thread(stop.wait, 300)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        out = example("endpoint.py", tmp_path, BASE_URL=found[0], MODEL="any")
    finally:
        stop.set()
        thread.join(20)
    assert re.search(r"spent \$\d\.\d{4} in \d+ calls", out)


def test_every_example_is_run() -> None:
    """A new example needs a test above."""
    names = sorted(path.name for path in (ROOT / "examples").glob("*.py"))
    assert names == ["endpoint.py", "own_benchmark.py", "own_component.py"]
