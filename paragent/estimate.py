"""What a search will use, before a cent is spent: `paragent search --dry-run`.

Designs are drawn from the space as a random search would; a searcher that climbs will drift from
that, which the high figure is meant to cover. Per call, the prompt is the benchmark's own question
length (4 characters a token) with an allowance for instructions and notes, and the completion is
120 tokens for the middle figure. The high figure takes declared worst-case calls, 512 completion
tokens, and the dearer end (95 %) of what draws of this many designs cost together.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from paragent.benchmark import Benchmark
from paragent.config import RunConfig
from paragent.design import Design
from paragent.registry import component_of
from paragent.searcher import Space

DRAWS = 200
INSTRUCTION_TOKENS = 40
MEMORY_TOKENS = 60
COMPLETION_TOKENS = 120
HIGH_COMPLETION_TOKENS = 512
#: Share of the declared worst case that a task takes in the middle figure: most cascades stop
#: early, most repairs end after one round.
USUAL_SHARE = 0.7
#: Share of the finalists that end on the front, in the middle figure.
FRONT_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Estimate:
    """Middle and high figures for a whole run; dollars are None where a price is unknown."""

    calls: int
    tokens: int
    usd: float | None
    calls_high: int
    tokens_high: int
    usd_high: float | None


def estimate(config: RunConfig, space: Space, benchmark: Benchmark) -> Estimate:
    """Middle and high figures of search and final measurement; pure, seeded by the run's seed."""
    rng = random.Random(config.seed)
    designs = [space.sample(rng) for _ in range(DRAWS)]
    dev, test = benchmark.tasks("dev"), benchmark.tasks("test")
    characters = sum(len(t.question) for t in dev[:200]) / len(dev[:200])
    prompt = characters / 4 + INSTRUCTION_TOKENS
    tasks = min(config.tasks, len(dev))
    confirm = min(config.confirm, len(dev) - tasks)
    reported = min(config.test_tasks, len(test))
    finalists = min(config.finalists, config.evals) + 1  # and the baseline

    def whole(front_share: float) -> float:
        """Task runs of the whole search."""
        return config.evals * tasks + finalists * (confirm + front_share * reported)

    middle = [_per_task(space, d, prompt, COMPLETION_TOKENS, USUAL_SHARE) for d in designs]
    high = [_per_task(space, d, prompt, HIGH_COMPLETION_TOKENS, 1.0) for d in designs]
    many, most = whole(FRONT_SHARE), whole(1.0)
    return Estimate(
        calls=round(_mean([m[0] for m in middle]) * many),
        tokens=round(_mean([m[1] for m in middle]) * many),
        usd=_dollars([m[2] for m in middle], many),
        calls_high=round(_dear([h[0] for h in high], config.evals, rng) * most),
        tokens_high=round(_dear([h[1] for h in high], config.evals, rng) * most),
        usd_high=_dollars([h[2] for h in high], most, config.evals, rng),
    )


def _per_task(
    space: Space, design: Design, prompt: float, completion: float, share: float
) -> tuple[float, float, float | None]:
    """(calls, tokens, dollars) of one task; calls are spread evenly over the agents."""
    calls = max(1.0, space.bounds(design).calls * share)
    agents = [agent for _, agent in design.agents()]
    tokens, usd = 0.0, 0.0
    known = True
    for agent in agents:
        mine = calls / len(agents)
        asked = prompt + (MEMORY_TOKENS if agent.memory else 0)
        tokens += mine * (asked + completion)
        price = component_of("model", agent.model.name).price
        one = price.usd(round(asked), round(completion)) if price else None
        known = known and one is not None
        usd += mine * (one or 0.0)
    return calls, tokens, usd if known else None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _dear(values: Sequence[float], draws: int, rng: random.Random) -> float:
    """The 95th percentile of the mean of `draws` values (bootstrap of 200 means)."""
    means = sorted(_mean(rng.choices(values, k=draws)) for _ in range(200))
    return means[189]


def _dollars(
    values: Sequence[float | None],
    runs: float,
    draws: int | None = None,
    rng: random.Random | None = None,
) -> float | None:
    known = [v for v in values if v is not None]
    if len(known) < len(values):
        return None
    each = _mean(known) if draws is None or rng is None else _dear(known, draws, rng)
    return each * runs
