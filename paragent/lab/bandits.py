"""`paragent lab bandits`: do the bandits do what their theorems say?

Many simulated runs on Bernoulli arms at once: cumulated regret, its slope against ln t beside the
least that any consistent rule can have (Lai and Robbins 1985), and the order of its growth (0 for a
logarithm, 1/2 for a square root, 1 for a rule that does not learn). Then the online threshold on
random streams: the worst share of hindsight's value beside the promised one.
"""

from __future__ import annotations

import argparse
import json
import math
from typing import Any

RULES = ("ucb1", "kl-ucb", "beta", "gaussian", "exp3", "elimination", "random")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--means", default="0.3,0.4,0.5,0.6,0.7", help="the arms, by comma")
    parser.add_argument("--plays", type=int, default=5000)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--streams", type=int, default=10_000, help="for the online threshold")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Simulate and print."""
    from paragent.errors import UsageError

    try:
        means = [float(x) for x in args.means.split(",")]
    except ValueError:
        raise UsageError(f"--means is {args.means!r}; wanted numbers in [0, 1], by comma") from None
    if len(means) < 2 or not all(0 <= m <= 1 for m in means):
        raise UsageError(f"--means is {args.means!r}; wanted at least two numbers in [0, 1]")
    for name in ("plays", "runs", "streams"):
        if getattr(args, name) < 10:
            raise UsageError(f"--{name} is {getattr(args, name)}; wanted at least 10")
    found = {
        "means": means,
        "plays": args.plays,
        "runs": args.runs,
        "rules": regrets(means, args.plays, args.runs, args.seed),
        "threshold": [
            competitive(args.streams, size, order, args.seed)
            for size in (0.01, 0.1, 0.4)
            for order in ("random", "rising")
        ],
    }
    if args.json:
        print(json.dumps(found))
        return 0
    print(f"Bernoulli arms {args.means}; {args.plays:,} plays, mean of {args.runs} runs")
    print(f"{'rule':<12}{'regret':>9}{'+- s.e.':>9}{'slope/ln t':>12}{'order':>8}")
    for name, row in found["rules"].items():
        print(
            f"{name:<12}{row['regret']:>9.1f}{row['se']:>9.1f}{row['slope']:>12.1f}"
            f"{row['order']:>8.2f}"
        )
    from paragent.bandits import lai_robbins

    print(f"least slope that any consistent rule can have: {lai_robbins(means):.1f}")
    print()
    print(f"online threshold, U / L = 16, {args.streams:,} streams: value against hindsight's")
    print(f"{'largest part':>13}{'order':>9}{'worst':>8}{'mean':>8}{'promised':>10}  holds")
    for row in found["threshold"]:
        print(
            f"{row['size']:>12.0%} {row['order']:>9}{row['worst']:>8.3f}{row['mean']:>8.3f}"
            f"{row['promised']:>10.3f}  {'yes' if row['holds'] else 'no: parts are not small'}"
        )
    return 0


def regrets(means: list[float], plays: int, runs: int, seed: int) -> dict[str, dict[str, float]]:
    """Rule to final regret with its standard error, slope against ln t, and order of growth."""
    from paragent.bandits import growth, simulate

    found = {}
    for rule in RULES:
        regret = simulate(rule, means, plays, runs, seed)
        slope, order = growth(regret, plays // 5)
        final = regret[:, -1]
        found[rule] = {
            "regret": float(final.mean()),
            "se": float(final.std(ddof=1) / math.sqrt(runs)),
            "slope": slope,
            "order": order,
        }
    return found


def competitive(streams: int, size: float, order: str, seed: int) -> dict[str, Any]:
    """The threshold on random streams of parts of at most `size` of the budget.

    `order` is "random" or "rising" (worse parts first: the adversary's order). Hindsight takes the
    best ratios first, the last part as a fraction, so its value is an upper bound.
    """
    import numpy as np

    from paragent.bandits import generator
    from paragent.knapsack import Threshold

    rng = generator(seed)
    low, high = 0.5, 8.0
    shares = np.empty(streams)
    for s in range(streams):
        n = int(rng.integers(int(3 / size), int(6 / size)))
        price = rng.uniform(0.2 * size, size, n)
        ratio = low * (high / low) ** (rng.random(n) ** rng.uniform(0.3, 4))
        if order == "rising":
            ratio = np.sort(ratio)
        gate = Threshold(low, high, 1.0)
        pairs = zip((ratio * price).tolist(), price.tolist(), strict=True)
        value = sum(v for v, p in pairs if gate.takes(v, p))
        best = np.argsort(-ratio)
        paid = np.minimum(np.cumsum(price[best]), 1.0)
        hindsight = float((np.diff(paid, prepend=0.0) * ratio[best]).sum())
        shares[s] = value / hindsight
    promised = 1 / Threshold(low, high, 1.0).competitive_ratio
    return {
        "size": size,
        "order": order,
        "worst": float(shares.min()),
        "mean": float(shares.mean()),
        "promised": promised,
        "holds": bool(shares.min() >= promised),
    }
