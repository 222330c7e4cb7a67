"""A Ray session with our settings: started for one run on this machine, or joined.

    with ray_session("local", cpus=2) as joined:      # a Ray of our own; gone afterwards
    with ray_session("auto") as joined:               # the cluster that runs on this machine
    with ray_session("10.0.0.1:6379") as joined:      # or ray://HOST:10001

Ray's own defaults suit one user on a machine. Here every session of ours has a temporary folder of
its own (short: it holds sockets), a token of its own in it, no usage statistics, no dashboard, and
health checks that notice a lost node within 5 s (Ray's take up to 15). A Ray that we started ends
with us, also when we are killed: see `watchman.py`.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import re
import secrets
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paragent.cluster.knock import knock
from paragent.errors import ParagentError, UsageError, nearest

#: What `--address` may say besides HOST:PORT and ray://HOST:PORT.
WORDS = ("none", "local", "auto")
#: A node that is gone is noticed after period x threshold, about 1 s; one that is silent (stopped,
#: or behind a network that swallows everything) after (period + timeout) x threshold: 3.9 s.
HEALTH: Mapping[str, int] = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 300,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}
#: Bytes of a local object store: messages are small, and Ray wants at least 75 MiB.
STORE_BYTES = 100 * 2**20
#: The variable that tells workers of a Ray of ours where to unpack.
UNPACK_AT = "PARAGENT_UNPACK_AT"
_PREFIX = "pgr-"
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class ClusterError(ParagentError):
    """A cluster that cannot be reached, does not fit, or is lost."""


@dataclass(frozen=True)
class Joined:
    """A session. `own`: started by us, and ended with it; `client`: reached by ray://."""

    address: str
    own: bool
    client: bool
    cpus: int

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that are alive, as Ray describes them."""
        return [node for node in the_ray().nodes() if node["Alive"]]


def the_ray() -> Any:
    """Ray's module, imported late (half a second) and without types (its own are partial)."""
    with _quietly():
        return importlib.import_module("ray")


def check_address(address: str) -> None:
    """Raises UsageError for what can be no address."""
    if address in WORDS:
        return
    _, host, port = _split(address)
    if host and port:
        return
    near = nearest(address, WORDS)
    hint = f" Did you mean {near!r}?" if near else ""
    if address.startswith("http"):
        hint = " A dashboard's address is for `paragent submit`"
    raise UsageError(
        f"address is {address!r}; wanted none, local, auto, HOST:PORT or ray://HOST:PORT.{hint}"
    )


def own_settings(folder: Path) -> dict[str, str]:
    """Environment of a Ray of our own: its token in `folder`, made where it is missing; what its
    workers unpack goes there, too, and so away with it, however they end."""
    token = folder / "token"
    if not token.exists():
        handle = os.open(token, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
    auth = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(token)}
    # Ray's workers run at nice 15 by default: on a busy machine they would get next to nothing.
    return {**_QUIET, **auth, "RAY_worker_niceness": "0", UNPACK_AT: str(folder)}


def joining_settings() -> dict[str, str]:
    """Environment for joining another's Ray: what the user set; else with a token where the user
    has one (Ray itself leaves that to luck), else without."""
    if "RAY_AUTH_MODE" in os.environ:
        return dict(_QUIET)
    given = os.environ.get("RAY_AUTH_TOKEN") or os.environ.get("RAY_AUTH_TOKEN_PATH")
    there = bool(given) or Path("~/.ray/auth_token").expanduser().is_file()
    return {**_QUIET, "RAY_AUTH_MODE": "token" if there else "disabled"}


@contextlib.contextmanager
def joining() -> Iterator[None]:
    """The environment in which another's Ray is spoken to, for as long as the context lasts."""
    with _environment(joining_settings()):
        the_ray()
        _read_again()
        yield


@contextlib.contextmanager
def ray_session(address: str, *, cpus: int | None = None) -> Iterator[Joined]:
    """Start ("local") or join a Ray for as long as the context lasts.

    `cpus` is for "local": how many it may use, default all cores. In a process that has joined a
    Ray already ("auto" and "local" then mean that one), it is used and left running. Raises
    UsageError for an address that makes no sense and ClusterError for one that does not answer.
    """
    check_address(address)
    if address == "none":
        raise UsageError("address none is no Ray")
    _reach(address)
    settings = joining_settings()
    with contextlib.ExitStack() as stack:
        if address == "local" and not _running():
            folder = stack.enter_context(_own_folder())
            settings = own_settings(folder)
            stack.enter_context(_watched(settings["RAY_AUTH_TOKEN_PATH"]))
        stack.enter_context(_environment(settings))
        ray = the_ray()
        if ray.is_initialized():
            yield _joined(address, own=False)
            return
        _read_again()
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address == "local":
            options |= {
                "address": "local",
                "num_cpus": cpus or _cores(),
                "include_dashboard": False,
                "object_store_memory": STORE_BYTES,
                "_temp_dir": str(folder),
                "_system_config": dict(HEALTH),
            }
        else:
            options["address"] = address
        stack.callback(_shut_down)
        stack.enter_context(_no_prints())
        with _plainly(address), _quietly(), _no_log(address), _bare(address):
            ray.init(**options)
        yield _joined(address, own=address == "local")


@contextlib.contextmanager
def _bare(address: str) -> Iterator[None]:
    """A Ray of our own does without the autoscaler's monitor, the reader of logs and the server of
    the dashboard: half of the processes and of the seconds that its start takes."""
    if address != "local":
        yield
        return
    node = importlib.import_module("ray._private.node").Node
    without = {
        "start_monitor": lambda self: None,
        "start_log_monitor": lambda self: None,
        "start_api_server": lambda self, **_: setattr(self, "_webui_url", ""),
    }
    # Private to Ray: what another version does not have, it starts.
    before = {name: getattr(node, name) for name in without if hasattr(node, name)}
    for name in before:
        setattr(node, name, without[name])
    try:
        yield
    finally:
        for name, method in before.items():
            setattr(node, name, method)


@contextlib.contextmanager
def _no_log(address: str) -> Iterator[None]:
    """Ray's C++ part writes past Python what `_plainly` tells in one line: a token refused."""
    if address == "local":
        yield
        return
    sys.stderr.flush()
    kept, nothing = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nothing)


def _read_again() -> None:
    """Ray reads its settings when it is first imported, which may have been before ours."""
    with contextlib.suppress(Exception):  # private to Ray: other versions may do without
        raylet = importlib.import_module("ray._raylet")
        raylet.Config.initialize("")
        raylet.AuthenticationTokenLoader.instance().reset_cache()


def _joined(address: str, *, own: bool) -> Joined:
    total = int(the_ray().cluster_resources().get("CPU", 0))
    return Joined(address, own, address.startswith("ray://"), max(1, total))


def _running() -> bool:
    ray = sys.modules.get("ray")
    return ray is not None and bool(ray.is_initialized())


@contextlib.contextmanager
def _no_prints() -> Iterator[None]:
    """Ray prints a lost worker's epitaph to standard output, which is the command's own (JSON)."""
    worker = importlib.import_module("ray._private.worker")
    before = getattr(worker, "print_to_stdstream", None)
    worker.print_to_stdstream = lambda *_, **__: None  # type: ignore[attr-defined]
    try:
        yield
    finally:
        worker.print_to_stdstream = before  # type: ignore[attr-defined]


def _shut_down() -> None:
    with _quietly(), contextlib.suppress(Exception):  # it may have died before us
        the_ray().shutdown()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _split(address: str) -> tuple[str, str, int]:
    """(scheme, host, port); port 0 where there is none that makes sense."""
    scheme, mark, rest = address.rpartition("://")
    host, _, port = rest.rpartition(":")
    if mark and scheme != "ray":
        return scheme, "", 0
    fits = port.isdigit() and 0 < int(port) < 65536
    return scheme, host.strip("[]"), int(port) if fits else 0


def _reach(address: str) -> None:
    """A closed or silent door is told in seconds: Ray itself would knock for a minute."""
    where = address
    if address == "auto" and not _running():
        where = cluster_here() or address
    if where in WORDS:
        return
    _, host, port = _split(where)
    why = knock(host, port) if host and port else ""
    if why:
        raise ClusterError(f"no Ray cluster answers at {where}: {why}")


def cluster_here() -> str | None:
    """HOST:PORT of what Ray takes to be the cluster of this machine, whether it still runs or not;
    None where there is none, or where it cannot be told."""
    with contextlib.suppress(Exception):  # private to Ray: then it finds out by itself
        services = importlib.import_module("ray._private.services")
        found = services.canonicalize_bootstrap_address("auto")
        return None if found in (None, "auto") else str(found)
    return None


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir="/tmp"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _watched(token: str) -> Iterator[None]:
    """A process outlives us to end what a killed driver leaves of its Ray."""
    watchman = subprocess.Popen(
        [sys.executable, "-I", str(Path(__file__).with_name("watchman.py")), token],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C is for us
    )
    try:
        yield
    finally:
        watchman.communicate()  # ends what Ray left, then itself


def _sweep() -> None:
    """Remove folders of ours whose process was killed."""
    for folder in Path("/tmp").glob(f"{_PREFIX}*-*"):
        number = folder.name.removeprefix(_PREFIX).split("-")[0]
        with contextlib.suppress(OSError):
            if number.isdigit() and folder.stat().st_uid == os.getuid() and not _alive(int(number)):
                shutil.rmtree(folder, ignore_errors=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Ray's warnings about itself are no news to a user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _plainly(address: str) -> Iterator[None]:
    try:
        yield
    except (ConnectionError, TimeoutError) as error:
        if "Failed to connect" in str(error) and address != "local":
            raise ClusterError(
                f"a Ray answers at {address}, but does not let us in: its token is missing here, "
                "or another one (RAY_AUTH_MODE=token with RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN)"
            ) from None
        raise ClusterError(f"no Ray cluster answers at {address}: {_first_line(error)}") from None
    except Exception as error:  # a start that takes too long is a bare one of Ray's
        if "ray[client]" in str(error):
            raise UsageError(
                "an address ray:// needs more of Ray: pip install 'paragent[cluster]'"
            ) from None
        versions = re.findall(r"Ray: (\S+)\s+Python: (\S+)", str(error))
        if "Version mismatch" in str(error) and len(versions) == 2:
            there, here = (f"Ray {ray} on Python {python}" for ray, python in versions)
            raise ClusterError(
                f"the cluster at {address} runs {there}, here is {here}: install the same"
            ) from None
        raise ClusterError(f"cannot use Ray at {address}: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split("\n\n")[0].split())[:300] or type(error).__name__
