"""Jobs of a Ray cluster, through the port of its dashboard (8265): submitted, asked about, ended.

The cluster needs `paragent[cluster]` (Ray with its dashboard); whoever submits needs Ray's client
for jobs, which comes with it. A closed, silent or foreign port is one line within `REACH_S`.
"""

from __future__ import annotations

import http.client
import importlib
import json
import logging
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from paragent.cluster.session import ClusterError, joining, the_ray
from paragent.errors import UsageError

#: The dashboard's usual port, and the seconds within which it must answer.
PORT, REACH_S = 8265, 5.0
#: Seconds for any later question: a log may be long.
ANSWER_S = 60.0
#: Variables in which Ray's own commands look for the dashboard's address.
_VARIABLES = ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
#: States of a job that no other one follows.
ENDED = ("SUCCEEDED", "FAILED", "STOPPED")
_EXTRA = "pip install 'paragent[cluster]'"


class Board(Protocol):
    """Where jobs are handed in. Every method raises ClusterError where the cluster is lost."""

    def submit(
        self, job: str, entrypoint: str, folder: Path | None, env: Mapping[str, str]
    ) -> None:
        """Run `entrypoint` (a line of shell) on the head, in a copy of `folder`."""

    def state(self, job: str) -> str:
        """PENDING, RUNNING or one of `ENDED`; "" where the cluster knows no such job."""

    def why(self, job: str) -> str:
        """What the cluster says of the job's state."""

    def log(self, job: str) -> str:
        """Everything that the job has written so far."""

    def stop(self, job: str) -> None:
        """End it."""


def dashboard(address: str | None) -> str:
    """The dashboard's address: http://HOST:PORT. None and "auto" take what Ray's own variables
    name, or this machine's. Raises UsageError for what is no such address."""
    if address in (None, "auto"):
        named = (os.environ.get(name, "") for name in _VARIABLES)
        address = next((n for n in named if n.startswith("http")), f"http://127.0.0.1:{PORT}")
    assert address is not None, "replaced above"
    try:
        url = urlsplit(address)
        port = url.port
    except ValueError:
        url, port = urlsplit(""), None
    if url.scheme not in ("http", "https") or not url.hostname:
        raise UsageError(
            f"address is {address!r}; jobs are submitted to the cluster's dashboard: wanted "
            f"http://HOST:{PORT} (or auto: this machine's)"
        )
    return address.rstrip("/") if port else f"{address.rstrip('/')}:{PORT}"


def wait(jobs: Board, job: str, limit_s: float, look_s: float = 0.5) -> str:
    """The state in which the job ended. One that takes longer is stopped: ClusterError."""
    end = time.monotonic() + limit_s
    while (state := jobs.state(job)) not in ENDED:
        if time.monotonic() > end:
            jobs.stop(job)
            raise ClusterError(f"the cluster's job {job} did not end within {limit_s:g} s")
        time.sleep(look_s)
    return state


def why_ended(jobs: Board, job: str, python: str, lines: Sequence[str]) -> str:
    """What a job that ran `paragent` says of its end in the lines it wrote, else the cluster."""
    said = [line.strip() for line in lines if line.strip()]
    if any(line.endswith("No module named paragent") for line in said):
        return (
            f"{python!r} on the cluster's head has no paragent: install it there, or name the "
            "right Python with --python"
        )
    own = [line.removeprefix("paragent: ") for line in said if line.startswith("paragent: ")]
    if own:
        return own[-1]
    told = jobs.why(job).partition(", last available logs")[0]
    return f"{told} ({said[-1][:200]})" if said else told or "nothing was said"


@contextmanager
def board(address: str) -> Iterator[Board]:
    """The jobs of the cluster whose dashboard is at `address` (see `dashboard`)."""
    with joining():
        _reach(address)
        yield _RayBoard(address)


def _reach(address: str) -> None:
    """Raises ClusterError, in one line, for a port that is closed, silent, foreign or locked, and
    for a cluster of another version."""
    headers = {}
    if token := _token():
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(f"{address}/api/version", headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=REACH_S) as reply:
            there = str(json.loads(reply.read(10_000))["ray_version"])
    except urllib.error.HTTPError as error:
        error.close()
        if error.code in (401, 403):
            raise ClusterError(
                f"the cluster at {address} wants its token: set RAY_AUTH_MODE=token, and "
                "RAY_AUTH_TOKEN_PATH or RAY_AUTH_TOKEN"
            ) from None
        raise ClusterError(f"{address} is no dashboard of Ray (HTTP {error.code})") from None
    except (ValueError, KeyError, TypeError, http.client.HTTPException):
        raise ClusterError(f"{address} is no dashboard of Ray") from None
    except OSError as error:  # urllib's own errors are of this kind
        reason = getattr(error, "reason", error)
        timed_out = isinstance(reason, TimeoutError)
        why = f"no answer within {REACH_S:g} s" if timed_out else _words(reason)
        raise ClusterError(
            f"no Ray dashboard answers at {address}: {why} (on the cluster, Ray needs its "
            f"dashboard: {_EXTRA})"
        ) from None
    here = str(the_ray().__version__)
    if there != here:
        raise ClusterError(
            f"the cluster at {address} runs Ray {there}, here is {here}: install the same"
        )


def _words(reason: object) -> str:
    return str(getattr(reason, "strerror", None) or reason) or type(reason).__name__


def _token() -> str:
    """The token for this cluster, as Ray itself finds it."""
    if os.environ.get("RAY_AUTH_MODE") != "token":
        return ""
    if given := os.environ.get("RAY_AUTH_TOKEN"):
        return given.strip()
    path = Path(os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token").expanduser()
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the token of Ray cannot be read from {path}: {error}") from None


class _RayBoard:
    """Ray's own client for jobs."""

    def __init__(self, address: str) -> None:
        self._address = address
        try:
            submission: Any = importlib.import_module("ray.job_submission")
            self._client = submission.JobSubmissionClient(address)
            # The module's own logger has a level of its own: uploads are no news.
            for name in ("dashboard_sdk", "job.sdk"):
                logging.getLogger(f"ray.dashboard.modules.{name}").setLevel(logging.ERROR)
            logging.getLogger("ray").setLevel(logging.ERROR)
            # Ray sets no bound; the requests are made by a private method, where there is one.
            request = getattr(self._client, "_do_request", None)
            if request is not None:
                self._client._do_request = partial(request, timeout=ANSWER_S)
        except ImportError as error:
            raise UsageError(f"submitting jobs needs more of Ray ({error}): {_EXTRA}") from None
        except (RuntimeError, ConnectionError, ValueError) as error:
            raise ClusterError(f"cannot use {address}: {_first(error)}") from None

    def submit(
        self, job: str, entrypoint: str, folder: Path | None, env: Mapping[str, str]
    ) -> None:
        runtime: dict[str, Any] = {"env_vars": dict(env)} if env else {}
        if folder is not None:
            runtime["working_dir"] = str(folder)
        self._asked(
            lambda: self._client.submit_job(
                entrypoint=entrypoint, submission_id=job, runtime_env=runtime
            )
        )

    def state(self, job: str) -> str:
        found = self._asked(lambda: self._client.get_job_status(job))
        return str(getattr(found, "value", found) or "")

    def why(self, job: str) -> str:
        info = self._asked(lambda: self._client.get_job_info(job))
        return " ".join(str(getattr(info, "message", "") or "").split())

    def log(self, job: str) -> str:
        return str(self._asked(lambda: self._client.get_job_logs(job)) or "")

    def stop(self, job: str) -> None:
        self._asked(lambda: self._client.stop_job(job))

    def _asked(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except (RuntimeError, OSError, ValueError) as error:
            if "does not exist" in str(error):
                return None
            raise ClusterError(f"{self._address}: {_first(error)}") from None


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]
