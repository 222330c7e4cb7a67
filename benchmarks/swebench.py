r"""SWE-bench Lite: mend a real repository so that its hidden tests pass; the answer is a patch.

Source: Jimenez et al. 2024, SWE-bench: Can Language Models Resolve Real-World GitHub Issues?,
sections 2 and 3; github.com/SWE-bench/SWE-bench; hub: SWE-bench/SWE-bench_Lite. Licence: MIT (texts
of issues belong to their projects). 23 dev and 300 test tasks. Version 1. One raw example (cut):

    {"instance_id": "astropy__astropy-12907", "repo": "astropy/astropy", "base_commit":
    "d16bfe05a744909de4b27f5875fe0d4ed41ce607", "problem_statement": "Modeling's
    `separability_matrix` does not compute separability correctly for nested CompoundModels ...",
    "patch": "diff --git a/astropy/modeling/separable.py ...", "FAIL_TO_PASS": "[...]"}

Scored by the official harness (package `swebench`, extra `swe`), which builds and tests in Docker:
1 where the task is among its resolved ones, else 0. Loading is refused, saying what is missing,
where the package is not installed or no Docker daemon answers. `repos` may name a folder of clones
(`owner__name`): then a patch that does not apply scores 0 before a container is started.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from paragent.benchmark import Task
from paragent.errors import UsageError
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark

VERSION = "1"
DATA_SET = "SWE-bench/SWE-bench_Lite"
#: Longest patch that is tried, in characters; the longest gold patch of Lite has under 10,000.
MAX_PATCH = 1_000_000
HARNESS_TIMEOUT_S = 3600.0
#: Containers at a time; each takes gigabytes.
AT_ONCE = 2

SOURCE = Source(
    "swebench",
    (Part("dev", 23), Part("test", 300)),
    ("instance_id", "repo", "base_commit", "problem_statement"),
    hub=DATA_SET,
)

_FENCE = re.compile(r"^```\w*[ \t]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def patch_of(text: str) -> str:
    """The unified diff of an answer: its last code block that is one, or all from the first line
    that begins one; "" where there is none or it is too long."""
    blocks = [b for b in _FENCE.findall(text[: 2 * MAX_PATCH]) if _begins(b)]
    if blocks:
        found = str(blocks[-1])
    else:
        at = _begins(text)
        found = text[at.start() :] if at else ""
    found = found.strip("\n")
    return f"{found}\n" if found and len(found) < MAX_PATCH else ""


def _begins(text: str) -> re.Match[str] | None:
    return re.search(r"^(diff --git |--- \S+.*\n\+\+\+ )", text, re.MULTILINE)


def applies(patch: str, repository: Path, commit: str) -> bool:
    """Whether a patch applies to a commit of a local clone, of which nothing is changed.

    Raises UsageError where the clone or the commit is not there.
    """
    with tempfile.TemporaryDirectory(prefix="paragent-swe-") as folder:
        copy = Path(folder) / "copy"
        for command in (
            ["git", "clone", "-q", "--shared", "--no-checkout", str(repository), str(copy)],
            ["git", "-C", str(copy), "checkout", "-q", "--detach", commit],
        ):
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            if done.returncode:
                raise UsageError(f"{repository} at {commit[:12]}: {done.stderr.strip()[:200]}")
        check = subprocess.run(
            ["git", "-C", str(copy), "apply", "--check", "-"],
            input=patch.encode("utf-8", "replace"),
            capture_output=True,
            timeout=60,
        )
    return check.returncode == 0


def resolved(report: str, instance: str) -> bool:
    """Whether the harness's report (JSON) names the task as resolved. Raises ValueError for another
    text, or where the harness itself failed on the task."""
    data = json.loads(report)
    if not isinstance(data, dict) or "resolved_ids" not in data:
        raise ValueError("no report of the SWE-bench harness")
    if instance in data.get("error_ids", ()):
        raise ValueError(f"the harness failed on {instance}")
    return instance in data["resolved_ids"]


def missing() -> str:
    """The command that makes it ready, or "" where the data, the package and Docker are there."""
    if importlib.util.find_spec("swebench") is None:
        return "pip install 'paragent[swe]'"
    return SOURCE.missing() or ("" if _docker_answers() else "start Docker (docker info must work)")


def _docker_answers() -> bool:
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


@dataclass
class Harness:
    """Runs the official evaluation of one patch at a time in containers."""

    repos: Path | None = None
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))

    async def score(self, task: Task, answer: str) -> float:
        """1.0 where the patch resolves the task; raises what keeps it from being known."""
        patch = patch_of(answer)
        if not patch:
            return 0.0
        if self.repos is not None:
            clone = self.repos / task.tags["repo"].replace("/", "__")
            if not await asyncio.to_thread(applies, patch, clone, commit_of(task)):
                return 0.0
        async with self._places:
            return float(await self._evaluate(task.id, patch))

    async def _evaluate(self, instance: str, patch: str) -> bool:
        with tempfile.TemporaryDirectory(prefix="paragent-swe-") as folder:
            place = Path(folder)
            said = {"instance_id": instance, "model_name_or_path": "paragent", "model_patch": patch}
            (place / "predictions.jsonl").write_text(json.dumps(said) + "\n", encoding="utf-8")
            process = await asyncio.create_subprocess_exec(
                *command(instance, place / "predictions.jsonl"),
                cwd=place,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            try:
                async with asyncio.timeout(HARNESS_TIMEOUT_S):
                    _, told = await process.communicate()
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    await process.wait()
            reports = sorted(place.glob("paragent.*.json"))
            if not reports:
                why = told.decode("utf-8", "replace").strip().splitlines()[-1:] or ["no report"]
                raise RuntimeError(f"the SWE-bench harness left no report: {why[0][:200]}")
            return resolved(reports[0].read_text(encoding="utf-8"), instance)


def command(instance: str, predictions: Path) -> list[str]:
    """The official evaluation of one task."""
    return [
        *(sys.executable, "-m", "swebench.harness.run_evaluation"),
        *("--dataset_name", DATA_SET, "--predictions_path", str(predictions)),
        *("--instance_ids", instance, "--max_workers", "1", "--run_id", "paragent"),
    ]


def to_task(part: str, row: Row, place: int) -> Task:
    """The task of a row; the published patch, where the row has it, is the answer."""
    question = (
        f"Repository {row['repo']} at commit {row['base_commit']}. Resolve this issue with a patch "
        "(a unified diff, as git writes it, in one ```diff block):\n\n"
        f"{row['problem_statement']}"
    )
    tags = {"repo": str(row["repo"])}
    gold = str(row.get("patch") or "")
    answer = f"```diff\n{gold}\n```" if gold else ""
    return Task(str(row["instance_id"]), question, answer, tags)


def commit_of(task: Task) -> str:
    """The commit that a task begins at, from its question."""
    return task.question.partition(" at commit ")[2].partition(".")[0]


def load(repos: str | Path | None = None, data: str | Path | None = None) -> RowsBenchmark:
    """The tasks, scored by the official harness. Raises UsageError where it cannot be run."""
    if importlib.util.find_spec("swebench") is None:
        raise UsageError(
            "swebench needs the official harness, which is not installed; run: "
            "pip install 'paragent[swe]'"
        )
    if not _docker_answers():
        raise UsageError(
            "swebench runs its tests in Docker, and no Docker daemon answers here; start one "
            "(`docker info` must work), or choose another benchmark"
        )
    harness = Harness(Path(repos) if repos else None)
    return RowsBenchmark(
        SOURCE, VERSION, to_task, harness.score, dev="dev", test="test", data=data, reads_all=True
    )


SWEBENCH = BenchmarkPlugin(
    "swebench",
    "real repositories mended by a patch, judged by their hidden tests",
    load,
    source="github.com/SWE-bench/SWE-bench",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 23, "test": 300},
    scorer="official harness in Docker",
    needs="Docker and the extra `swe`",
    missing=missing,
    data=SOURCE,
)
