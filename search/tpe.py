"""Multi-objective tree-structured Parzen estimator, by Optuna (Ozaki et al. 2022, section 4)."""

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
    startup: int = 10,
    objectives: str = "both",
    multivariate: int = 1,
) -> OptunaSearcher:
    """`startup` random trials come first; `objectives`: "both", or "score" alone. `multivariate`:
    choices that every design has are drawn together, as is Optuna's default; 0: one by one."""
    import optuna

    sampler = optuna.samplers.TPESampler(
        seed=seed,
        n_startup_trials=startup,
        multivariate=bool(multivariate),
        constant_liar=True,
    )
    return OptunaSearcher(space, sampler, cost, "tpe", seed, objectives)


TPE = SearcherPlugin(
    name="tpe",
    summary="Optuna's multi-objective TPE",
    make=make,
    options={"startup": 10, "objectives": "both", "multivariate": 1},
    paper="Ozaki et al. 2022, Multiobjective Tree-Structured Parzen Estimator, section 4",
)
