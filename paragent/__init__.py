"""Paragent: search for the best LLM-agent systems for a task, score against cost.

    import paragent

    run = paragent.optimize(benchmark="pocket", evals=60, seed=0)
    for point in run.front():
        print(point)
    print(run.best().ask("Tom has 3 boxes of 12 pens. How many pens?"))

Names are imported on first use, so that `import paragent` stays fast.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "optimize": "paragent.api",
    "open_run": "paragent.api",
    "resume": "paragent.api",
    "Run": "paragent.api",
    "Design": "paragent.design",
    "Agent": "paragent.design",
    "Team": "paragent.design",
    "Part": "paragent.design",
    "Component": "paragent.component",
    "Answer": "paragent.component",
    "final_answer": "paragent.component",
    "ListBenchmark": "paragent.benchmark",
    "Task": "paragent.benchmark",
    "Measured": "paragent.outcome",
    "Failed": "paragent.outcome",
    "Pruned": "paragent.outcome",
    "Evaluation": "paragent.outcome",
    "register": "paragent.registry",
}

__all__ = ["__version__", *_LAZY]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        value = getattr(importlib.import_module(_LAZY[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'paragent' has no attribute {name!r}")
