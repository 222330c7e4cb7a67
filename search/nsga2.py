"""NSGA-II, by Optuna (Deb et al. 2002, section III)."""

from __future__ import annotations

from paragent.optuna_searcher import OptunaSearcher
from paragent.outcome import CostName
from paragent.registry import SearcherPlugin
from paragent.searcher import Space


def make(
    space: Space,
    *,
    seed: int = 0,
    cost: CostName = "usd",
    population: int = 20,
    objectives: str = "both",
) -> OptunaSearcher:
    """`population` designs per generation; `objectives`: "both", or "score" alone."""
    import optuna

    sampler = optuna.samplers.NSGAIISampler(seed=seed, population_size=population)
    return OptunaSearcher(space, sampler, cost, "nsga2", seed, objectives)


NSGA2 = SearcherPlugin(
    name="nsga2",
    summary="Optuna's NSGA-II",
    make=make,
    options={"population": 20, "objectives": "both"},
    paper="Deb et al. 2002, A Fast and Elitist Multiobjective Genetic Algorithm, section III",
)
