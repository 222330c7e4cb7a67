"""The contract of a searcher: `ask` for proposals, `tell` an evaluation. It runs nothing itself.

A searcher sees a Space and Evaluations, no benchmark, no model, no store. Same seed and same tells
give the same asks, in any process. `tell` comes in the order of the proposals; an evaluation may
hold failed or pruned tasks, and one with no measured task must teach the searcher nothing but that
(it is not a zero).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

from paragent.design import Design
from paragent.outcome import Evaluation, Purpose
from paragent.skills import Skill


@dataclass(frozen=True, slots=True)
class Proposal:
    """A design to run, on how many tasks or on which ones (ids of development tasks; None: the
    run's default), and for what purpose."""

    design: Design
    tasks: int | tuple[str, ...] | None = None
    purpose: Purpose = "search-eval"
    by: str = ""


class Searcher(Protocol):
    """Who proposes."""

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` proposals; fewer when the space is exhausted, none to stop.

        Never a design that it has asked for before with the same purpose.
        """

    def tell(self, evaluation: Evaluation) -> None:
        """What came of one proposal (or of a design another searcher proposed)."""


@dataclass(frozen=True, slots=True)
class Earlier:
    """What an earlier run measured of a design: mean score with the variance of its error, and
    mean cost per task in the new run's unit (None: not known)."""

    design: Design
    score: float
    variance: float
    cost: float | None


@runtime_checkable
class WarmStarts(Protocol):
    """A searcher that can start from an earlier run's evaluations."""

    def warm(self, earlier: Sequence[Earlier], *, same: bool) -> None:
        """Before the first `ask`. They enter what it believes, never what it was told; `same`: of
        the same benchmark."""

    def warm_record(self) -> Mapping[str, Any] | None:
        """What became of them, as plain data; None where there were none."""


@dataclass(frozen=True)
class Question:
    """What a searcher would like a language model to answer.

    edit     better designs than that of `evaluation`, from how its tasks failed
    arms     new sub-agents, beside those of `designs`, the best first
    skills   what the benchmark's tasks ask for
    judge    which members of the team of `evaluation` helped, task by task
    """

    kind: Literal["edit", "arms", "skills", "judge"]
    evaluation: Evaluation | None = None
    designs: tuple[Design, ...] = ()


@dataclass(frozen=True)
class Advice:
    """An answer, checked: legal designs, best first; skills; or for each task a verdict on every
    member (None: it was not asked)."""

    designs: tuple[Design, ...] = ()
    skills: tuple[Skill, ...] = ()
    verdicts: Mapping[str, tuple[bool | None, ...]] = field(default_factory=dict)


@runtime_checkable
class Consults(Protocol):
    """A searcher that can use a language model's advice. The engine asks the model (`paragent
    search --proposer`), pays it, and hands over what came; without one none of this is called."""

    def questions(self) -> Sequence[Question]:
        """What it would like to know now: before the first `ask`, and after every `tell`."""

    def advise(self, question: Question, advice: Advice | None) -> None:
        """The answer, in the order of the questions; None where none came."""


@dataclass(frozen=True, slots=True)
class Decision:
    """One choice in the top-down construction of a design.

    `name` is the same in every design where the same question is put (e.g. `root.0.model`);
    `options` are texts, in a fixed order.
    """

    name: str
    options: tuple[str, ...]


#: A partial design: the options chosen so far, in the order of the decisions.
Partial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Worst case of one task: model calls, and dollars (None where a price is unknown)."""

    calls: int
    usd: float | None


class Space(Protocol):
    """Which designs are legal, and how to move among them. All methods are pure."""

    def next(self, partial: Partial) -> Decision | None:
        """The decision that follows a partial design; None when it is complete."""

    def build(self, partial: Partial) -> Design:
        """The design of a complete sequence of choices."""

    def sample(self, rng: random.Random) -> Design:
        """A legal design: uniform over the options of every decision, top down."""

    def edits(self, design: Design) -> Sequence[Design]:
        """All legal designs one edit away, without doubles, in a fixed order."""

    def recombine(self, one: Design, other: Design, rng: random.Random) -> Design:
        """`one` with a part or a subtree of `other` in the same place; legal."""

    def check(self, design: Design) -> list[str]:
        """Why a design is not legal, each reason with its path; empty where it is."""

    def features(self, design: Design) -> Mapping[str, float]:
        """A named vector for learners; absent names are 0."""

    def bounds(self, design: Design) -> Bounds:
        """Worst case of one task."""


@runtime_checkable
class Unfolds(Space, Protocol):
    """A space that can make a design's edits one by one: looking at a few costs only a few."""

    def unfold(self, design: Design, rng: random.Random) -> Iterator[Design]:
        """What `edits` gives, in random order."""


@runtime_checkable
class TeamSpace(Space, Protocol):
    """A space whose designs are agents and teams of them, for searchers that compose teams."""

    def agents(self, most: int) -> Sequence[Design]:
        """Single agents to compose of, at most `most`: ready sub-agents first, then plain agents
        spread evenly over the models and their slots; in a fixed order."""

    def teams(self, members: Sequence[Design]) -> Sequence[Design]:
        """All legal teams of exactly these agents in this order, one for each topology and lead;
        a single agent is its own team."""

    def describe(self, design: Design) -> str:
        """What an agent promises: the descriptions of its parts, as text to retrieve it by."""
