"""SWE-bench: patches are found in answers and tried on a tiny repository; the harness is asked
only where it can run."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.benchmark import Task
from paragent.benchmarks import swebench
from paragent.benchmarks.swebench import Harness, applies, command, patch_of, resolved, to_task
from paragent.errors import UsageError

PATCH = """diff --git a/sums.py b/sums.py
--- a/sums.py
+++ b/sums.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a - b
+    return a + b
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A repository with one wrong function, and its only commit."""
    folder = tmp_path_factory.mktemp("repos") / "me__sums"
    folder.mkdir()

    def git(*words: str) -> str:
        who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
        done = subprocess.run(
            ["git", *who, *words], cwd=folder, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    git("init", "-q")
    (folder / "sums.py").write_text("def add(a, b):\n    return a - b\n")
    git("add", "sums.py")
    git("commit", "-q", "-m", "wrong")
    return folder, git("rev-parse", "HEAD")


@pytest.mark.parametrize(
    "text",
    [
        PATCH,
        f"The sign is wrong.\n```diff\n{PATCH}```\nThat is all.",
        f"```python\nprint(1)\n```\n```\n{PATCH}```",
        f"```diff\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-1\n+2\n```\nBetter:\n```patch\n{PATCH}```",
        f"Here it is:\n{PATCH}",
    ],
)
def test_the_patch_is_found_as_models_write_it(text: str) -> None:
    """Bare, fenced, after a first try, after words."""
    assert patch_of(text) == PATCH


@pytest.mark.parametrize("text", ["", "I would change the sign.", "```diff\nnothing\n```", "---\n"])
def test_no_patch_is_none(text: str) -> None:
    """Then nothing is started."""
    assert patch_of(text) == ""


@given(st.text(max_size=300) | st.text(alphabet="`diff-+ \n@ag/", max_size=200))
def test_any_text_is_a_patch_or_none(text: str) -> None:
    """Never an exception."""
    found = patch_of(text)
    assert found == "" or found.endswith("\n")


def test_a_patch_applies_or_not_and_the_clone_stays_as_it_is(
    repository: tuple[Path, str],
) -> None:
    """The right one does; another context, another file, a path outside and nonsense do not."""
    clone, commit = repository
    before = sorted(p.name for p in clone.iterdir()), (clone / "sums.py").read_text()
    assert applies(PATCH, clone, commit)
    assert not applies(PATCH.replace("a - b", "a * b"), clone, commit)
    assert not applies(PATCH.replace("sums.py", "other.py"), clone, commit)
    assert not applies(PATCH.replace("/sums.py", "/../../escaped.py"), clone, commit)
    assert not applies("diff --git \x00\ud800", clone, commit)
    assert (sorted(p.name for p in clone.iterdir()), (clone / "sums.py").read_text()) == before
    with pytest.raises(UsageError, match="at 000000"):
        applies(PATCH, clone, "0" * 40)


def test_answers_that_cannot_be_right_start_no_container(
    repository: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No patch, or one that does not apply, is 0; one that applies goes to the harness."""
    clone, commit = repository
    row = {"instance_id": "me__sums-1", "repo": "me/sums", "base_commit": commit}
    task = to_task("test", {**row, "problem_statement": "Mend it."}, 0)
    harness, asked = Harness(clone.parent), []

    async def evaluate(self: Harness, instance: str, patch: str) -> bool:
        asked.append((instance, patch))
        return True

    monkeypatch.setattr(Harness, "_evaluate", evaluate)
    answers = ["I cannot.", PATCH.replace("a - b", "a * b"), PATCH]
    scores = [asyncio.run(harness.score(task, answer)) for answer in answers]
    assert scores == [0.0, 0.0, 1.0]
    assert asked == [("me__sums-1", PATCH)]


def test_the_official_command_and_its_report() -> None:
    """One task, one prediction; a task on which the harness itself failed has no score."""
    assert command("a-1", Path("/p.jsonl"))[1:3] == ["-m", "swebench.harness.run_evaluation"]
    report = {"resolved_ids": ["a-1"], "unresolved_ids": ["a-2"], "error_ids": ["a-3"]}
    text = json.dumps(report)
    assert resolved(text, "a-1") and not resolved(text, "a-2")
    with pytest.raises(ValueError, match="failed on a-3"):
        resolved(text, "a-3")
    with pytest.raises(ValueError, match="no report"):
        resolved("[]", "a-1")


def test_a_harness_that_leaves_no_report_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a zero: the evaluation fails as "scorer", with the harness's last words."""
    import sys

    words = [sys.executable, "-c", "import sys; sys.exit('no space left')"]
    monkeypatch.setattr(swebench, "command", lambda instance, predictions: words)
    task = Task("a-1", "", "", {"repo": "a/b"})
    with pytest.raises(RuntimeError, match="left no report: no space left"):
        asyncio.run(Harness().score(task, PATCH))


def test_where_it_cannot_run_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package first, then Docker."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert swebench.missing() == "pip install 'paragent[swe]'"
    with pytest.raises(UsageError, match=r"pip install 'paragent\[swe\]'"):
        swebench.load()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(swebench, "_docker_answers", lambda: False)
    with pytest.raises(UsageError, match="no Docker daemon answers here"):
        swebench.load()


def test_a_row_becomes_a_task() -> None:
    """The published patch is the reference; the hidden tests are not shown."""
    row = {"instance_id": "a-1", "repo": "a/b", "base_commit": "c0ffee", "patch": PATCH,
           "problem_statement": "Sums are wrong.", "test_patch": "secret"}  # fmt: skip
    task = to_task("test", row, 0)
    assert patch_of(task.answer) == PATCH
    assert "Sums are wrong." in task.question and "secret" not in task.question
