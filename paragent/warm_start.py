"""What an earlier run measured, taken over by a new one: its evaluations as evidence, not results.

Read once, when the new run begins, and kept in the new run's own store: it goes on the same where
the old folder is gone. Nothing of it enters a mean, a front or a budget of the new run; searchers
that can start from it (`paragent.searcher.WarmStarts`) get it for what they believe.
"""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from paragent.config import RunConfig
from paragent.design import Design
from paragent.errors import ParagentError, StoreError, UsageError
from paragent.outcome import CostName, Evaluation
from paragent.searcher import Earlier, Space
from paragent.stats import variance_of_mean
from paragent.store import Store
from paragent.value.surrogate import Surrogate

#: The run's value model, and the form of that file.
MODEL, FORM = "value_model.json", 1
COSTS: tuple[CostName, ...] = ("usd", "tokens", "calls", "latency")
#: Designs drawn from the new space to see what it has in common with the old one.
DRAWS = 40
#: Features that every design has: they are nothing in common.
_SHAPES = ("tree:", "bound:")


def read_run(folder: Path) -> dict[str, Any]:
    """The evaluations of a run as plain data: benchmark, name, and for each design its score, the
    variance of its error, the number of tasks and the mean cost in every unit that is known.

    Designs told twice count once, with all their tasks. Raises UsageError for a folder without a
    run, for a run that cannot be read, and for one that measured nothing.
    """
    if not folder.exists():
        raise UsageError(f"the run to start from, {folder}, does not exist")
    try:
        with Store(folder, write=False) as store:
            config = store.meta("config")
            version = store.meta("benchmark_version")
            evaluations = store.evaluations()
    except (StoreError, ValueError, KeyError, TypeError) as error:
        # A file cut short, or rows that are none of ours: whatever it is, it cannot be read.
        raise UsageError(f"the run to start from cannot be read: {error}") from None
    merged: dict[str, Evaluation] = {}
    for e in evaluations:
        known = merged.get(e.design.hash)
        outcomes = {**(known.outcomes if known else {}), **e.outcomes}
        merged[e.design.hash] = Evaluation(e.design, "dev", e.purpose, outcomes)
    found = [
        {
            "design": e.design.to_data(),
            "score": e.score,
            "variance": variance_of_mean(list(e.scores.values())),
            "tasks": e.n,
            "cost": {name: cost for name in COSTS if (cost := e.cost(name)) is not None},
        }
        for e in merged.values()
        if e.score is not None
    ]
    if not found:
        raise UsageError(f"the run to start from, {folder}, has no evaluation with a score")
    return {
        "run": folder.name,
        "benchmark": RunConfig.from_data(config).benchmark if config else "",
        "version": version,
        "evaluations": found,
    }


def evidence(data: Mapping[str, Any], space: Space, cost: CostName) -> tuple[list[Earlier], str]:
    """What of it can be used in this space, in this unit of cost, and what is to be said of the
    rest. Empty, with the reason, where the two have nothing in common."""
    run, rows = data["run"], data["evaluations"]
    common = _names(space)
    usable: list[Earlier] = []
    foreign = 0
    for row in rows:
        design = Design.from_data(row["design"])
        try:
            names = _telling(space.features(design))
        except (ParagentError, ValueError, KeyError):  # a component or level that is not known here
            foreign += 1
            continue
        if names & common:
            usable.append(Earlier(design, row["score"], row["variance"], row["cost"].get(cost)))
        else:
            foreign += 1
    if not usable:
        return [], f"{run} has no design in common with this search: it starts from nothing"
    said = f"starts from {len(usable)} evaluations of {run}"
    if foreign:
        said += f"; {foreign} others name parts that are not here"
    if not any(e.cost is not None for e in usable):
        said += f"; its costs are not known in {cost}"
    return usable, said


def _names(space: Space) -> set[str]:
    """Names of features that designs of the space have, apart from their shapes."""
    rng = random.Random(0)
    drawn = [space.sample(rng) for _ in range(DRAWS)]
    return set(itertools.chain.from_iterable(_telling(space.features(d)) for d in drawn))


def _telling(features: Mapping[str, float]) -> set[str]:
    return {name for name, value in features.items() if value and not name.startswith(_SHAPES)}


def outcome_note(record: Mapping[str, Any]) -> str:
    """What became of it, in one line, from `WarmStarts.warm_record`."""
    low, high = record["interval"]
    if record["dropped_after"] is not None:
        return (
            f"the earlier run misled: it was dropped after {record['dropped_after']} designs "
            f"(rank correlation of its forecasts {record['relevance']:.2f})"
        )
    return (
        f"the earlier run's forecasts of {record['foretold']} designs: rank correlation "
        f"{record['relevance']:.2f} [{low:.2f}, {high:.2f}], spread between the runs "
        f"{record['spread_between']:.3f}"
    )


def same_benchmark(data: Mapping[str, Any], name: str, version: str) -> bool:
    """Whether the earlier run measured on the same benchmark."""
    return bool(data["benchmark"] == name and data["version"] == version)


def save_model(
    folder: Path, evaluations: Sequence[Evaluation], space: Space, config: RunConfig
) -> None:
    """Write the run's value model beside its store: what it was told, in order, and its seed."""
    told = []
    for e in evaluations:
        cost = e.cost(config.cost)
        if e.score is None or not cost:
            continue
        told.append(
            {
                "design": e.design.hash,
                "features": dict(space.features(e.design)),
                "score": e.score,
                "variance": variance_of_mean(list(e.scores.values())),
                "log_cost": math.log10(cost),
            }
        )
    data = {"form": FORM, "seed": config.seed, "cost": config.cost, "told": told}
    (folder / MODEL).write_text(json.dumps(data) + "\n", encoding="utf-8")


def load_model(folder: Path) -> Surrogate:
    """The value model of a finished run; it predicts designs by their features.

    Raises StoreError where there is none, or one of another form.
    """
    try:
        data = json.loads((folder / MODEL).read_text(encoding="utf-8"))
        if data["form"] != FORM:
            raise StoreError(f"{folder / MODEL}: form {data['form']}, this version reads {FORM}")
        model = Surrogate(data["seed"])
        for row in data["told"]:
            model.tell(row["features"], row["score"], row["variance"], row["log_cost"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{folder}: no value model can be read here ({MODEL}): {error}") from None
    return model
