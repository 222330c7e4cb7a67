"""The contract of a benchmark: tasks with stable ids in two splits, and a scorer in [0, 1]."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from paragent.component import Context, Reply
from paragent.errors import UsageError
from paragent.outcome import Split

#: Of (expected, given): how right the given answer is, in [0, 1].
Scorer = Callable[[str, str], "float | Awaitable[float]"]


@dataclass(frozen=True, slots=True)
class Task:
    """One task. `id` is stable; `tags` are for reports (family, level), never for agents."""

    id: str
    question: str
    answer: str
    tags: Mapping[str, str] = field(default_factory=dict, hash=False)


class Benchmark(Protocol):
    """Who judges. Bump `version` whenever the same answer would score differently.

    `tasks(split)` gives all tasks of a split in a fixed order, of which any prefix is a fair
    sample; `dev` and `test` never overlap. `score(task, answer)` is in [0, 1], higher is better,
    at once or awaitable (code that must run in a cage first); what it raises makes the task
    Failed("scorer"), never 0. `context` is what agents may look up; it holds nothing of the test
    split.

    What some benchmarks have besides: `Judged` (a model helps to score), `ReadsAll` (the score is
    of the whole text, not of the final answer alone) and `Closes` (something is to be closed).
    """

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def context(self) -> Context: ...

    def tasks(self, split: Split) -> Sequence[Task]: ...
    def score(self, task: Task, answer: str) -> float | Awaitable[float]: ...


class Referee(Protocol):
    """Calls models on the benchmark's behalf: a judge, a simulated user.

    Such calls are cached, limited and paid like all others, stand in the ledger as "judge", and
    are never part of what a design uses.
    """

    async def ask(
        self,
        model: str,
        instruction: str,
        question: str,
        *,
        temperature: float = 0.0,
        sample: int = 0,
        max_tokens: int = 512,
    ) -> Reply:
        """One call of a registered model; different `sample` numbers are different draws above
        temperature 0. Raises CallFailure (the task is then Failed) and CapReached; a benchmark
        lets both pass."""


@runtime_checkable
class CallsModels(Protocol):
    """A benchmark that needs model calls of its own, for judges or simulated users.

    `models` are the names of the models it calls: their keys and prices are checked before a run.
    """

    @property
    def models(self) -> tuple[str, ...]: ...


@runtime_checkable
class Judged(CallsModels, Protocol):
    """A benchmark that a model helps to score. `score` is not called then."""

    async def judge(self, task: Task, answer: str, referee: Referee) -> float:
        """As `score`, with a referee to ask."""


@runtime_checkable
class ReadsAll(Protocol):
    """A benchmark whose scorer gets all that was said (code, an essay), not its last line."""

    @property
    def reads_all(self) -> bool: ...


@runtime_checkable
class Closes(Protocol):
    """A benchmark that holds something of the event loop (cages, worker processes)."""

    async def aclose(self) -> None:
        """Let go of it; the benchmark can still be used on another loop."""


@dataclass(frozen=True)
class ListBenchmark:
    """A benchmark of a user's own tasks: `pairs` of question and answer, and a scorer.

    The scorer gets (expected, given) and returns a score in [0, 1], or an awaitable of one. Tasks
    go to `dev` or `test` by hash of their question (`test_share` of them to test), so the split
    never changes when tasks are added. Raises UsageError for no tasks, one empty split or
    duplicate questions.
    """

    name: str
    all_tasks: tuple[Task, ...]
    scorer: Scorer
    test_share: float = 0.5
    context: Context = field(default_factory=Context)
    version: str = "1"

    def __post_init__(self) -> None:
        check_tasks(self.name, self.all_tasks)
        for split in ("dev", "test"):
            if not self.tasks(split):
                raise UsageError(
                    f"benchmark {self.name!r}: {len(self.all_tasks)} tasks leave the {split} split "
                    "empty; give more tasks"
                )

    @staticmethod
    def of(
        name: str,
        pairs: Sequence[tuple[str, str]],
        scorer: Scorer | None = None,
        *,
        test_share: float = 0.5,
        context: Context | None = None,
    ) -> ListBenchmark:
        """From (question, answer) pairs; the default scorer is equality without case and blanks."""
        tasks = tuple(Task(question_id(q), q, a) for q, a in pairs)
        return ListBenchmark(name, tasks, scorer or same_text, test_share, context or Context())

    def tasks(self, split: Split) -> Sequence[Task]:
        """The tasks of one split, in the order of their ids."""
        limit = int(self.test_share * 0xFFFF)
        chosen = [t for t in self.all_tasks if (_bucket(t.id) < limit) == (split == "test")]
        return sorted(chosen, key=lambda t: t.id)

    def score(self, task: Task, answer: str) -> float | Awaitable[float]:
        """The user's scorer on (expected, given)."""
        return self.scorer(task.answer, answer)


def question_id(question: str) -> str:
    """A stable id for a task that has none: 12 hex digits of its question's SHA-256."""
    import hashlib

    return hashlib.sha256(question.encode()).hexdigest()[:12]


def _bucket(task_id: str) -> int:
    import hashlib

    return int(hashlib.sha256(b"split:" + task_id.encode()).hexdigest()[:4], 16)


def same_text(expected: str, given: str) -> float:
    """1.0 where the two are the same text, but for case and surrounding blanks."""
    return float(expected.strip().casefold() == given.strip().casefold())


def check_tasks(name: str, tasks: Sequence[Task]) -> None:
    """Raises UsageError for no tasks or for ids that occur twice, naming them."""
    if not tasks:
        raise UsageError(f"benchmark {name!r} has no tasks")
    twice = [i for i, count in Counter(t.id for t in tasks).items() if count > 1]
    if twice:
        shown = ", ".join(twice[:3]) + (", …" if len(twice) > 3 else "")
        raise UsageError(f"benchmark {name!r}: {len(twice)} task ids occur twice: {shown}")


def valid_score(score: object) -> float:
    """The score as a float; ValueError where it is no number in [0, 1].

    Numbers of other libraries (numpy's scalars) count as numbers; texts do not.
    """
    if hasattr(score, "__float__") and not isinstance(score, str):
        try:
            number = float(score)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if 0 <= number <= 1:
            return number
    raise ValueError(f"the scorer returned {score!r}; wanted a number in [0, 1]")


def tasks_digest(benchmark: Benchmark) -> str:
    """16 hex digits of all tasks: ids, questions and answers of both splits, in order.

    A run stores it, so that it is not resumed on other tasks.
    """
    import hashlib

    found = hashlib.sha256()
    for split in ("dev", "test"):
        for task in benchmark.tasks(split):
            for text in (split, task.id, task.question, task.answer):
                data = text.encode("utf-8", "surrogatepass")
                found.update(len(data).to_bytes(8, "big") + data)
    return found.hexdigest()[:16]
