"""`ray up ray_cluster.yaml`, for real: two nodes over SSH to the loopback, Paragent from its wheel.

Opt-in, since Ray's launcher knows no other port for SSH than 22 (root, and nothing there yet):

    PARAGENT_SSHD=/usr/sbin/sshd pytest tests/test_ray_up.py     # rsync and paragent[cluster] too

What differs from the file as it stands: addresses, folders and ports of the test; no `ray stop`,
which would end every Ray of this machine; and the wheel without its dependencies, for speed.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from rays import end_processes, free_ports

ROOT = Path(__file__).parent.parent
SSHD = os.environ.get("PARAGENT_SSHD", "")
if not SSHD:
    pytest.skip("opt-in: PARAGENT_SSHD names no sshd", allow_module_level=True)
if find_spec("aiohttp_cors") is None or not shutil.which("rsync") or os.getuid() != 0:
    pytest.skip("needs paragent[cluster], rsync, and root for port 22", allow_module_level=True)
pytestmark = pytest.mark.slow
HOSTS = ("127.0.0.1", "127.0.0.2")
BIN, RSYNC = Path(sys.executable).parent, Path(str(shutil.which("rsync"))).parent
#: What the launcher leaves in the home of the head's user; ssh finds the key nowhere else.
LEFT = [Path.home() / name for name in ("ray_bootstrap_key.pem", "ray_bootstrap_config.yaml")]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name; whatever names it is ended afterwards."""
    if any(path.exists() for path in LEFT):
        pytest.skip(f"this user is a head already: {LEFT[0]} is there")
    folder = Path(tempfile.mkdtemp(prefix="pgru-", dir="/tmp"))
    yield folder
    end_processes(str(folder))
    for path in LEFT:
        path.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ssh(place: Path) -> Path:
    """A server on two addresses of the loopback; the file of the key that it takes."""
    for name in ("host", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", place / name])
    path = f"{RSYNC}:/usr/local/bin:/usr/bin:/bin"
    (place / "sshd_config").write_text(
        "".join(f"ListenAddress {host}\n" for host in HOSTS)
        + f"Port 22\nHostKey {place}/host\nAuthorizedKeysFile {place}/key.pub\n"
        + "PermitRootLogin prohibit-password\nPasswordAuthentication no\nStrictModes no\n"
        + f"UsePAM no\nPidFile none\nSetEnv PATH={path}\n"
        + "MaxSessions 50\nMaxStartups 50\n"
    )
    command = [SSHD, "-f", place / "sshd_config", "-E", place / "sshd.log"]
    subprocess.run([str(word) for word in command], check=True, timeout=60)
    wait_for(22)
    return place / "key"


def wait_for(port: int) -> None:
    """Until something listens there."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            socket.create_connection((HOSTS[0], port), timeout=1).close()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise AssertionError(f"nothing listens on port {port}")


def shipped(place: Path, key: Path, ports: list[int]) -> dict[str, Any]:
    """ray_cluster.yaml with the test's own places in it."""
    config: dict[str, Any] = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text())
    config["cluster_name"] = place.name
    config["provider"] |= {"head_ip": HOSTS[0], "worker_ips": [HOSTS[1]]}
    config["min_workers"] = config["max_workers"] = 1
    config["auth"] = {"ssh_user": "root", "ssh_private_key": str(key)}
    config["file_mounts"] = {f"{place}/wheel": str(place / "dist"),
                             f"{place}/sent-token": str(place / "token")}  # fmt: skip
    config["setup_commands"] = [
        f"{sys.executable} -m pip install --quiet --no-deps --target {place}/site "
        f"$(ls {place}/wheel/paragent-*.whl | tail -1)"
    ]
    more = {
        "head": f" --temp-dir={place}/ray --dashboard-port={ports[1]} --num-cpus=1 "
        f"--ray-client-server-port={ports[2]} --dashboard-agent-listen-port={ports[3]}",
        "worker": " --node-ip-address=$(echo $SSH_CONNECTION | cut -d' ' -f3) "
        f"--num-cpus=1 --dashboard-agent-listen-port={ports[4]}",
    }
    for kind in ("head", "worker"):
        name = f"{kind}_start_ray_commands"
        commands = [c for c in config[name] if not c.endswith("ray stop")]
        assert len(commands) == len(config[name]) - 1
        config[name] = [
            f"PYTHONPATH={place}/site RAY_AUTH_TOKEN_PATH={place}/sent-token "
            + c.replace("PATH=~/paragent-env/bin", f"PATH={RSYNC}:{BIN}")
            .replace("~/paragent-env/bin", str(BIN))
            .replace("6379", str(ports[0]))
            + f" --object-store-memory=100000000{more[kind]}"
            for c in commands
        ]
    return config


def launcher_log(place: Path) -> str:
    """The end of what the head's launcher wrote."""
    logs = sorted((place / "ray").glob("session_*/logs/monitor.*"))
    return "\n".join(f"{log.name}:\n{log.read_text()[-4000:]}" for log in logs)


def test_two_nodes_by_the_launcher(place: Path, ssh: Path) -> None:
    """The launcher brings up head and worker from the file's own commands; `cluster check` finds
    Paragent on both, from the wheel; a search spreads over them."""
    ports = free_ports(5)
    (place / "token").write_text(secrets.token_hex(32))
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir"]
    copy = place / "source"
    shutil.copytree(ROOT, copy, symlinks=True, ignore=shutil.ignore_patterns(".git", "build"))
    subprocess.run([*build, str(place / "dist"), str(copy)], check=True, capture_output=True)
    (place / "cluster.yaml").write_text(yaml.safe_dump(shipped(place, ssh, ports)))
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith("RAY_")},
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN_PATH": str(place / "token"),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_UP_enable_autoscaler_v2": "0",
    }
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    done = subprocess.run(
        [*ray, "up", "-y", str(place / "cluster.yaml")], env=env, cwd=place, text=True,
        capture_output=True, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    def paragent(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "paragent", *words],
            env={**env, "PYTHONPATH": str(place / "site")}, cwd=place, text=True,
            capture_output=True, timeout=300,
        )  # fmt: skip

    address = f"127.0.0.1:{ports[0]}"
    until = time.monotonic() + 200
    while time.monotonic() < until:
        checked = paragent("cluster", "check", "--address", address)
        if "2 nodes" in checked.stdout:
            break
        time.sleep(2)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "2 nodes, 2 cores for tasks" in checked.stdout, launcher_log(place)
    small = ["--models", "pocket-s", "--include", "direct", "--evals", "1", "--tasks", "4",
             "--confirm", "2", "--test-tasks", "4", "--no-report", "--json"]  # fmt: skip
    found = paragent("search", *small, "--address", address, "--workers", "2", "--out", "run")
    assert found.returncode == 0, found.stderr
    assert '"workers": 2' in found.stdout
