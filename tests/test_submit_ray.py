"""A search submitted to a real Ray with its dashboard, token and all, and brought home.

Needs the extra `paragent[cluster]`; skipped where it is not installed.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from rays import end_processes, free_ports

pytest.importorskip("ray")
if find_spec("aiohttp_cors") is None or find_spec("opencensus") is None:
    pytest.skip("the extra paragent[cluster] is not installed", allow_module_level=True)
ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[dict[str, str]]:
    """A head with dashboard and token; the environment in which it is spoken to."""
    folder = Path(tempfile.mkdtemp(prefix="pgrt-", dir="/tmp"))  # short: it holds sockets
    (folder / "token").write_text(secrets.token_hex(32))
    ports = free_ports(4)  # a second Ray of this machine gets none of the usual ones
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "PYTHONPATH": os.pathsep.join(p for p in [str(ROOT), *sys.path] if p),
        "PARAGENT_JOBS": str(folder / "jobs"),
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_API_SERVER_ADDRESS": f"http://127.0.0.1:{ports[1]}",
        "RAY_ADDRESS": f"127.0.0.1:{ports[0]}",
    }
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--num-cpus=2",
             f"--port={ports[0]}", f"--dashboard-port={ports[1]}",
             f"--ray-client-server-port={ports[2]}", f"--dashboard-agent-listen-port={ports[3]}",
             "--object-store-memory=100000000", f"--temp-dir={folder}"]  # fmt: skip
    head = {name: value for name, value in env.items() if not name.endswith("_ADDRESS")}
    done = subprocess.run(start, env=head, capture_output=True, text=True, timeout=180)
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield env
    finally:
        end_processes(str(folder))
        shutil.rmtree(folder, ignore_errors=True)


def paragent(
    env: dict[str, str], cwd: Path, *words: str, expect: int = 0
) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own, as on a laptop."""
    done = subprocess.run(
        [sys.executable, "-m", "paragent", *words],
        env=env, cwd=cwd, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done


SPEC = """\
models: [pocket-s, pocket-m]
include: [direct, chain_of_thought, double]
searcher: random
evals: 3
tasks: 4
confirm: 3
test-tasks: 4
seed: 2
workers: 2
tools: {double: "tools.py:double"}
"""


def test_submitted_followed_and_home(cluster: dict[str, str], tmp_path: Path) -> None:
    """Checked, submitted, followed: the front is that of a search in one process here."""
    (tmp_path / "tools.py").write_text(
        "def double(number: float) -> float:\n    '''Twice the number.'''\n    return 2 * number\n"
    )
    (tmp_path / "my.yaml").write_text(SPEC)
    checked = paragent(cluster, tmp_path, "cluster", "check", "my.yaml", "--address", "auto")
    assert "the cluster can run it" in checked.stdout
    sent = paragent(
        cluster, tmp_path, "submit", "my.yaml", "--name", "one", "--python", sys.executable
    )
    assert sent.stderr == ""
    home = paragent(cluster, tmp_path, "attach", "one", "--no-report")
    assert "done: 3/3 designs" in home.stdout
    assert home.stderr == ""
    there = json.loads(paragent(cluster, tmp_path, "show", "one", "--json").stdout)
    words = ["search", "my.yaml", "--address", "none", "--out", "runs/here", "--no-report"]
    (tmp_path / "my.yaml").write_text(SPEC.replace("workers: 2\n", ""))
    here = json.loads(paragent(cluster, tmp_path, *words, "--json").stdout)
    keys = ("design", "dev", "test", "tokens", "calls")
    assert [[p[k] for k in keys] for p in there["front"]] == [
        [p[k] for k in keys] for p in here["front"]
    ]
    assert there["meta"]["where"]["workers"] == 2
    assert there["config"]["inventory"]["folder"] == str(tmp_path)


def test_a_stranger_is_told_what_is_missing(cluster: dict[str, str], tmp_path: Path) -> None:
    """Without the token: one line for jobs and one for searches, and nothing is left behind."""
    (tmp_path / "my.yaml").write_text("models: [pocket-s]\nevals: 2\n")
    stranger = {**cluster, "RAY_AUTH_MODE": "disabled"}
    sent = paragent(stranger, tmp_path, "submit", "my.yaml", expect=1)
    assert "wants its token: set RAY_AUTH_MODE=token" in sent.stderr
    assert sent.stderr.count("\n") == 1
    address = cluster["RAY_ADDRESS"]
    told = paragent(stranger, tmp_path, "search", "my.yaml", "--address", address, expect=1)
    assert f"a Ray answers at {address}, but does not let us in" in told.stderr
    assert told.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()
