"""The embedded benchmark beyond what its models master: longer problems of three families.

Source: `paragent.pocket.problems`, this project. Licence: MIT. Arithmetic, facts and lists of the
levels 5 to 7, where training ended at 6; 600 dev and 600 test tasks that share no problem. The
benchmark `pocket` is nearly solved by one model (pocket-m with notes and calculator, .98); here
no single agent solves all, so that there is a trade-off to be found.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

from paragent.benchmark import Task
from paragent.component import Context
from paragent.outcome import Split
from paragent.pocket import problems
from paragent.pocket.tasks import is_correct, labelled, split_of
from paragent.registry import BenchmarkPlugin

VERSION = "1"
FAMILIES = ("arithmetic", "facts", "lists")
LEVELS = (5, 6, 7)
PER_SPLIT = 600
_SEEDS = {"dev": 505, "test": 606}


class PocketHard:
    """See the module."""

    name = "pocket_hard"
    version = VERSION

    @property
    def context(self) -> Context:
        """The families as skills, with 40 training questions of each for routers."""
        return Context(skills=FAMILIES, labelled=tuple(x for x in labelled() if x[1] in FAMILIES))

    def tasks(self, split: Split) -> Sequence[Task]:
        """600 tasks; any prefix is balanced over families and levels."""
        return _tasks(split)

    def score(self, task: Task, answer: str) -> float:
        """1.0 where the final answer is exact, else 0.0."""
        return float(is_correct(task.answer, answer))


@cache
def _tasks(split: Split) -> tuple[Task, ...]:
    rng = random.Random(_SEEDS[split])
    found: dict[str, Task] = {}
    while len(found) < PER_SPLIT:
        family = FAMILIES[len(found) % len(FAMILIES)]
        level = LEVELS[len(found) // len(FAMILIES) % len(LEVELS)]
        made = problems.make(family, level, rng)
        if split_of(made.question) == split and made.question not in found:
            tags = {"family": family, "level": str(level)}
            name = f"{split}-{len(found):03d}-{family}"
            found[made.question] = Task(name, made.question, made.answer, tags)
    return tuple(found.values())


POCKET_HARD = BenchmarkPlugin(
    name="pocket_hard",
    summary="generated tasks of three families, longer than what the pocket models were trained on",
    load=PocketHard,
    source="paragent.pocket.problems",
    licence="MIT",
    version=VERSION,
    sizes={"dev": PER_SPLIT, "test": PER_SPLIT},
    scorer="exact final answer",
)
