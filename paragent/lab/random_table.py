"""`paragent lab random-table`: a synthetic design table of known structure, to check searchers on.

Every combination of the levels is a design. Its success rate is sigmoid(base + effects), its cost a
product of parts:

    additive   a normal effect of every level
    pairs      the same, and normal effects of pairs of levels of every two factors
    low-rank   the same, and interactions of rank one: sum over pairs of u_f(level) v_g(level)
    rugged     only whole designs have effects: nothing can be learned of one from another
    flat       all designs are equal but for the cost
"""

from __future__ import annotations

import argparse
import csv
import itertools
import sys
from pathlib import Path
from typing import Any

from paragent.errors import UsageError

KINDS = ("additive", "pairs", "low-rank", "rugged", "flat")
#: Spread of logits: main effects, interactions, whole designs; log10 of a part's price.
MAIN, PAIR, WHOLE, PRICE = 0.8, 0.5, 0.9, 0.35
TASKS = 200


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--kind", choices=KINDS, default="pairs")
    parser.add_argument("--factors", default="6,5,4,3", help="levels of each factor, by comma")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--out", metavar="DIR", required=True)


def main(args: argparse.Namespace) -> int:
    """Draw and write."""
    try:
        sizes = [int(x) for x in args.factors.split(",")]
    except ValueError:
        sizes = []
    if not sizes or min(sizes) < 1:
        raise UsageError(f"--factors is {args.factors!r}; wanted numbers of levels, by comma")
    write(Path(args.out), args.kind, sizes, args.seed)
    print(f"wrote {args.out}", file=sys.stderr)
    return 0


def draw(kind: str, sizes: list[int], seed: int) -> tuple[Any, Any]:
    """Success rates and costs per task, [sizes] each."""
    import numpy as np

    rng = np.random.Generator(np.random.PCG64([seed, KINDS.index(kind)]))
    logit = np.full(sizes, 0.0)

    def spread(values: Any, *axes: int) -> Any:
        return np.reshape(values, [n if i in axes else 1 for i, n in enumerate(sizes)])

    cost = np.full(sizes, 1e-3)
    for i, n in enumerate(sizes):
        price = rng.normal(0, PRICE, n)
        cost = cost * spread(10**price, i)
        if kind in ("additive", "pairs", "low-rank"):
            # Dear parts tend to be better, or there were no trade-off.
            logit = logit + spread(MAIN * (rng.normal(0, 0.8, n) + 0.6 * price / PRICE), i)
    for i, j in itertools.combinations(range(len(sizes)), 2):
        if kind == "pairs":
            logit = logit + spread(rng.normal(0, PAIR, (sizes[i], sizes[j])), i, j)
        elif kind == "low-rank":
            outer = np.outer(rng.normal(0, 1, sizes[i]), rng.normal(0, 1, sizes[j]))
            logit = logit + spread(PAIR * outer, i, j)
    if kind == "rugged":
        logit = logit + rng.normal(0, WHOLE, sizes)
    return 1 / (1 + np.exp(-logit)), cost


def write(folder: Path, kind: str, sizes: list[int], seed: int) -> None:
    """The table's files. Scores are rounded to a task, so that ties occur as in real tables."""
    import yaml

    rate, cost = draw(kind, sizes, seed)
    folder.mkdir(parents=True, exist_ok=True)
    factors = {f"f{i}": [f"l{j}" for j in range(n)] for i, n in enumerate(sizes)}
    about: dict[str, Any] = {
        "name": f"random-{kind}-{seed}",
        "description": f"Synthetic, kind {kind}, drawn by `paragent lab random-table`.",
        "factors": factors,
        "objectives": {
            "score": {"direction": "maximize"},
            "cost_usd": {"direction": "minimize", "per": "task"},
        },
        "tasks": TASKS,
        "noise": f"binomial n={TASKS} (means only)",
    }
    (folder / "table.yaml").write_text(yaml.safe_dump(about, sort_keys=False), encoding="utf-8")
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["design_id", *factors, "score", "cost_usd"])
        for number, place in enumerate(itertools.product(*map(range, sizes))):
            score = round(float(rate[place]) * TASKS) / TASKS
            levels = [f"l{j}" for j in place]
            table.writerow([f"d{number}", *levels, score, f"{float(cost[place]):.6g}"])
