"""Search on tasks of your own: question and answer pairs, and a scorer.

python examples/own_benchmark.py [DESIGNS]
"""

import sys

import paragent


def close(expected: str, given: str) -> float:
    """1.0 for the number itself, 0.5 within ten percent, else 0.0."""
    try:
        error = abs(float(given) - float(expected))
    except ValueError:
        return 0.0  # an answer that is no number is wrong, not a failure
    return 1.0 if error == 0 else 0.5 * (error <= 0.1 * abs(float(expected)))


pairs = [(f"Tom has {a} boxes of {b} pens. How many pens?", str(a * b))
         for a in range(2, 10) for b in range(3, 12)]  # fmt: skip
pens = paragent.ListBenchmark.of("pens", pairs, close)

run = paragent.optimize(
    pens,
    evals=int(sys.argv[1]) if len(sys.argv) > 1 else 30,
    tasks=20,
    confirm=15,
    test_tasks=30,
    progress=lambda event: print(event.kind, event.evaluations, event.best_score),
)
for point in run.front():
    print(f"{point.best_known.score:.2f}  {point.design.label}")
print(run.best().ask("Tom has 4 boxes of 7 pens. How many pens?"))
