"""What came of running one design on one task, and of running it on many.

The first law: an outcome is `Measured`, `Failed` or `Pruned`, and only `Measured` may enter a mean,
a training set, a bandit's statistics or a front. A failure is never a zero, and an unknown cost is
`None`, never 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from paragent.design import Design
from paragent.stats import Interval, mean_interval

#: Why a task or a call can fail; a report counts them apart.
FAILURE_KINDS = (
    "rate-limit",  # 429 after all retries
    "timeout",
    "server",  # 5xx after all retries
    "connection",
    "refused",  # content filter or policy
    "malformed",  # a reply that is no valid JSON or has no choices
    "empty",  # no text at all
    "context-overflow",
    "auth",  # missing or rejected key
    "bad-request",  # the endpoint rejects the request as such
    "component",  # a component of the design raised
    "scorer",  # the benchmark's scorer raised or returned no number in [0, 1]
    "call-bound",  # a component tried more calls than it declared
    "environment",  # the task's environment broke
)

#: Kinds that say nothing of a design or task, but of the hour: `resume` tries such tasks again.
PASSING_KINDS = frozenset({"rate-limit", "timeout", "server", "connection", "auth"})

Purpose = Literal["search-eval", "label", "warm-up", "trial", "judge", "propose", "final-eval"]
PURPOSES: tuple[Purpose, ...] = (
    "search-eval",
    "label",
    "warm-up",
    "trial",
    "judge",
    "propose",
    "final-eval",
)

Split = Literal["dev", "test"]

#: What the second objective can be: dollars, tokens, model calls or seconds, each per task.
CostName = Literal["usd", "tokens", "calls", "latency"]

#: The property of an evaluation that holds each.
_COSTS: Mapping[CostName, str] = {
    "usd": "usd_per_task",
    "tokens": "tokens_per_task",
    "calls": "calls_per_task",
    "latency": "latency_s",
}


@dataclass(frozen=True, slots=True)
class Usage:
    """What one task (or call) used, as the design would pay for it without any cache.

    `usd` is None when a price is unknown; `latency_s` is the time of the model calls on the
    design's longest chain where it is known, without waiting for limits.
    """

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float | None = 0.0
    latency_s: float = 0.0

    @property
    def tokens(self) -> int:
        """Prompt and completion tokens together."""
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: Usage) -> Usage:
        usd = None if self.usd is None or other.usd is None else self.usd + other.usd
        return Usage(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            usd,
            self.latency_s + other.latency_s,
        )


@dataclass(frozen=True, slots=True)
class Measured:
    """The task was answered and scored. `score` is in [0, 1], higher is better.

    `members` says of each member of a team at the root: None, it was not asked; True, its (last)
    answer is the team's; False, it is not. Empty for a single agent. `signs` say how a task went
    wrong whose score is below 1/2 (`paragent.signs`).
    """

    score: float
    usage: Usage
    answer: str = ""
    members: tuple[bool | None, ...] = ()
    signs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Failed:
    """No score exists. `kind` is one of FAILURE_KINDS; `usage` is what was used until then."""

    kind: str
    why: str
    usage: Usage = Usage()


@dataclass(frozen=True, slots=True)
class Pruned:
    """The task was not run, on purpose (racing, value model, a cap)."""

    why: str


Outcome = Measured | Failed | Pruned


def outcome_to_json(outcome: Outcome) -> dict[str, Any]:
    """Plain data for the store and for workers; `outcome_from_json` is its inverse."""
    if isinstance(outcome, Pruned):
        return {"is": "pruned", "why": outcome.why}
    u = outcome.usage
    usage = [u.calls, u.prompt_tokens, u.completion_tokens, u.usd, u.latency_s]
    if isinstance(outcome, Measured):
        found = {"is": "measured", "score": outcome.score, "answer": outcome.answer, "usage": usage}
        more = {"members": list(outcome.members), "signs": list(outcome.signs)}
        return {**found, **{key: value for key, value in more.items() if value}}
    return {"is": "failed", "kind": outcome.kind, "why": outcome.why, "usage": usage}


def outcome_from_json(data: Mapping[str, Any]) -> Outcome:
    """Inverse of `outcome_to_json`."""
    if data["is"] == "pruned":
        return Pruned(data["why"])
    usage = Usage(*data["usage"])
    if data["is"] == "measured":
        members, signs = tuple(data.get("members", ())), tuple(data.get("signs", ()))
        return Measured(data["score"], usage, data["answer"], members, signs)
    return Failed(data["kind"], data["why"], usage)


@dataclass(frozen=True, slots=True)
class Evaluation:
    """One design on many tasks of one split.

    `outcomes` maps task id to outcome, in the order of the tasks. Means are over Measured
    outcomes only and are None where there is none. `number` is the order of proposal in a run
    (-1 outside one), `by` names the searcher that proposed it.
    """

    design: Design
    split: Split
    purpose: Purpose
    outcomes: Mapping[str, Outcome] = field(hash=False)
    number: int = -1
    by: str = ""

    def cost(self, name: CostName = "usd") -> float | None:
        """Mean cost per measured task in the named unit; None where it is not known."""
        found: float | None = getattr(self, _COSTS[name])
        return found

    @property
    def measured(self) -> tuple[Measured, ...]:
        """The measured outcomes, in the order of the tasks."""
        return tuple(o for o in self.outcomes.values() if isinstance(o, Measured))

    @property
    def scores(self) -> dict[str, float]:
        """Task id to score, of the measured tasks: what paired comparisons take."""
        return {t: o.score for t, o in self.outcomes.items() if isinstance(o, Measured)}

    @property
    def failed(self) -> tuple[Failed, ...]:
        """The failed outcomes, in the order of the tasks."""
        return tuple(o for o in self.outcomes.values() if isinstance(o, Failed))

    @property
    def failures(self) -> dict[str, int]:
        """How many tasks failed, by kind."""
        return dict(sorted(Counter(f.kind for f in self.failed).items()))

    @property
    def failure_share(self) -> float:
        """Failed / (failed + measured), in [0, 1]; 0.0 where nothing was run."""
        ran = len(self.failed) + len(self.measured)
        return len(self.failed) / ran if ran else 0.0

    @property
    def n(self) -> int:
        """Number of measured tasks."""
        return len(self.measured)

    @property
    def score(self) -> float | None:
        """Mean score in [0, 1] over measured tasks, or None."""
        scores = [m.score for m in self.measured]
        return sum(scores) / len(scores) if scores else None

    @property
    def signs(self) -> dict[str, int]:
        """How many tasks went wrong by each sign (`paragent.signs`) or failed by each kind."""
        seen = Counter(sign for m in self.measured for sign in m.signs)
        return dict(sorted((seen + Counter(self.failures)).items()))

    def interval(self, confidence: float = 0.95) -> Interval | None:
        """Two-sided interval of the mean score (Wilson for 0/1 scores, else bootstrap)."""
        scores = [m.score for m in self.measured]
        return mean_interval(scores, confidence) if scores else None

    def _mean(self, values: list[float]) -> float | None:
        return sum(values) / len(values) if values else None

    @property
    def usd_per_task(self) -> float | None:
        """Mean dollars per measured task; None where any price is unknown or nothing ran."""
        known = [m.usage.usd for m in self.measured if m.usage.usd is not None]
        return self._mean(known) if len(known) == self.n else None

    @property
    def tokens_per_task(self) -> float | None:
        """Mean prompt + completion tokens per measured task."""
        return self._mean([float(m.usage.tokens) for m in self.measured])

    @property
    def calls_per_task(self) -> float | None:
        """Mean model calls per measured task."""
        return self._mean([float(m.usage.calls) for m in self.measured])

    @property
    def latency_s(self) -> float | None:
        """Mean seconds of model time per measured task."""
        return self._mean([m.usage.latency_s for m in self.measured])
