"""What composing promises on paper, simulated: the exact solver's time, and the share of
hindsight's value that the online threshold keeps (`paragent lab composers --theory`)."""

from __future__ import annotations

import statistics
import time
from typing import Any

from paragent.lab.bandits import competitive

#: (skills, choices for each) with the most seconds that solving should take.
SHAPES = ((6, 10, 0.001), (50, 30, 0.030))
#: Largest part as a share of the budget; the theorem asks for small ones.
SIZES, ORDERS = (0.01, 0.1, 0.4), ("random", "rising")


def solver_times(instances: int, seed: int) -> list[dict[str, Any]]:
    """Processor seconds of `multiple_choice` on random instances of each shape: `median` and
    `worst`, each instance by the fastest of three runs; values independent of prices, and nearly
    proportional to them (the hard case)."""
    from paragent.bandits import generator
    from paragent.knapsack import multiple_choice

    rng = generator(seed)
    found = []
    for classes, options, bar in SHAPES:
        for kind in ("independent", "proportional"):
            seconds = []
            for _ in range(instances):
                prices = rng.uniform(0.05, 1.0, (classes, options))
                drawn = rng.uniform(0.0, 1.0, prices.shape)
                values = drawn if kind == "independent" else prices + 0.1 * drawn
                budget = 0.4 * classes * float(prices.mean())
                took = []
                for _ in range(3):
                    start = time.process_time()
                    multiple_choice(list(values), list(prices), budget)
                    took.append(time.process_time() - start)
                seconds.append(min(took))
            median = statistics.median(seconds)
            found.append(
                {
                    "skills": classes,
                    "choices": options,
                    "values": kind,
                    "median": median,
                    "worst": max(seconds),
                    "bar": bar,
                    "within": median < bar,
                }
            )
    return found


def theory(streams: int, instances: int, seed: int) -> dict[str, Any]:
    """Both, as `--json` prints them."""
    return {
        "solver": solver_times(instances, seed),
        "streams": streams,
        "threshold": [
            competitive(streams, size, order, seed) for size in SIZES for order in ORDERS
        ],
    }


def told(found: dict[str, Any]) -> list[str]:
    """The lines for people."""
    lines = ["exact solver, processor milliseconds (median, worst; to stay below)"]
    for s in found["solver"]:
        verdict = "within" if s["within"] else "ABOVE"
        lines.append(
            f"  {s['skills']:>2} x {s['choices']}, {s['values']:<12} {1000 * s['median']:8.2f} "
            f"{1000 * s['worst']:8.2f}   {1000 * s['bar']:g}: {verdict}"
        )
    lines.append(f"online threshold, U / L = 16, {found['streams']:,} streams: share of hindsight")
    for row in found["threshold"]:
        kept = "kept" if row["holds"] else "broken: parts are not small, as the theorem asks"
        lines.append(
            f"  parts up to {row['size']:>4.0%}, {row['order']:<7} worst {row['worst']:.3f}  mean "
            f"{row['mean']:.3f}  promised {row['promised']:.3f}  {kept}"
        )
    return lines
