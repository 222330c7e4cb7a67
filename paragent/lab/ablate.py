"""`paragent lab ablate`: does each component earn its place?

Every component alone against a control of the same model on the same dev tasks, paired: the score's
difference with its 95 % interval, extra calls, tokens, cost and latency, and a verdict in words
after Holm's correction (scores and costs each over the whole table). What cannot run on the models
gets a row that says why. With --matrix the voting topologies are also measured on recorded answers
of real models. `--stored` shows the measurement that is shipped, without measuring.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from paragent.benchmark import Benchmark
from paragent.design import Design
from paragent.errors import UnknownName, UsageError
from paragent.lab.ablation_cases import Case, Plan, Unmeasured, member
from paragent.lab.ablation_page import page, table
from paragent.lab.effects import compare, judge, stored, write
from paragent.lab.measure import measure
from paragent.outcome import Evaluation
from paragent.registry import benchmarks, component_of, components

#: Dev tasks, after those of the cases, on which members are measured alone to share out the work.
SCOUTING = 200


def ablate(
    benchmark: Benchmark, models: Sequence[str], tasks: int, *, seed: int, only: Sequence[str] = ()
) -> dict[str, Any]:
    """Measure: {"settings", "rows", "unmeasured"}, plain data."""
    everything = benchmark.tasks("dev")
    scouts = everything[tasks : tasks + SCOUTING] or everything[:tasks]
    alone = {
        model: evaluation
        for model, evaluation in zip(
            models,
            measure(
                benchmark,
                [Design(member(m, benchmark.context)) for m in models],
                "dev",
                0,
                seed=seed,
                ids=[t.id for t in scouts],
            ),
            strict=True,
        )
    }
    found = Plan(models, benchmark.context, alone, everything).cases(only)
    cases = [case for case in found if isinstance(case, Case)]
    evaluations = _measured(benchmark, cases, tasks, seed)
    rows = [_row(case, evaluations) for case in cases]
    judge(rows)
    return {
        "settings": {
            "benchmark": benchmark.name,
            "benchmark_version": benchmark.version,
            "models": {m: component_of("model", m).version for m in models},
            "tasks": min(tasks, len(everything)),
            "seed": seed,
        },
        "rows": rows,
        "unmeasured": [
            {"component": u.component.name, "kind": u.component.kind, "why": u.why}
            for u in found
            if isinstance(u, Unmeasured)
        ],
    }


def _ids(benchmark: Benchmark, tasks: int, family: str) -> tuple[str, ...]:
    fitting = [t for t in benchmark.tasks("dev") if not family or family in t.tags.values()]
    return tuple(t.id for t in fitting[:tasks])


def _measured(
    benchmark: Benchmark, cases: Sequence[Case], tasks: int, seed: int
) -> dict[tuple[str, str], Evaluation]:
    """(design's hash, family) to its evaluation; every design once per set of tasks."""
    wanted: dict[str, dict[str, Design]] = {}
    for case in cases:
        for design in (case.design, *case.controls):
            wanted.setdefault(case.family, {})[design.hash] = design
    total, count = sum(map(len, wanted.values())), 0
    found: dict[tuple[str, str], Evaluation] = {}

    def done(evaluation: Evaluation) -> None:
        nonlocal count
        count += 1
        score = "no score" if evaluation.score is None else f"{evaluation.score:.3f}"
        label = evaluation.design.label
        print(f"  [{count}/{total}] {score}  {label}", file=sys.stderr, flush=True)

    for family, designs in wanted.items():
        ids = _ids(benchmark, tasks, family)
        evaluations = measure(
            benchmark, list(designs.values()), "dev", 0, seed=seed, done=done, ids=ids
        )
        found |= {(e.design.hash, family): e for e in evaluations}
    return found


def _row(case: Case, evaluations: Mapping[tuple[str, str], Evaluation]) -> dict[str, Any]:
    one = evaluations[case.design.hash, case.family]
    controls = [evaluations[c.hash, case.family] for c in case.controls]
    other = max(controls, key=lambda e: e.score or 0.0)
    row = {
        "component": case.component.name,
        "kind": case.component.kind,
        "setting": case.setting,
        "against": case.against,
        "family": case.family,
        "design": case.design.label,
        "control": other.design.label,
    }
    return row | compare(one, other)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.add_argument("--benchmark", default="pocket")
    parser.add_argument(
        "--models", help="names, comma-separated, the first is the single agents' (default: pocket)"
    )
    parser.add_argument("--tasks", type=int, default=400, help="dev tasks per design (from 200)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", help="names of components, comma-separated")
    parser.add_argument("--matrix", metavar="DIR", help="an answer matrix to replay (docs/lab.md)")
    parser.add_argument("--stored", action="store_true", help="what is shipped, not measured anew")
    parser.add_argument("--write", action="store_true", help="store it for `inspect component`")
    parser.add_argument("--markdown", action="store_true", help="the page docs/components.md")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Measure and print; 0 also where nothing helps: the table is the result."""
    if args.stored:
        data = stored()
        if not data:
            raise UsageError("no measurement is stored; run `paragent lab ablate --write`")
    else:
        data = _measure(args)
    if args.write:
        write(data)
    if args.json:
        print(json.dumps(data, ensure_ascii=False))
    elif args.markdown:
        print(page(data), end="")
    else:
        print(table(data), end="")
    return 0


def _measure(args: argparse.Namespace) -> dict[str, Any]:
    from paragent.pocket.engine import catalog

    models = tuple(args.models.split(",")) if args.models else tuple(catalog())
    for model in models:
        component_of("model", model, "--models")
    only = tuple(args.only.split(",")) if args.only else ()
    for name in only:
        if name not in components:
            raise UnknownName("component", name, components.names(), "--only")
    if args.write and only:
        raise UsageError("--write stores the whole table; leave --only out")
    if args.tasks < 200 and not only:
        raise UsageError(f"--tasks is {args.tasks}; wanted at least 200 (fewer only with --only)")
    data = ablate(benchmarks[args.benchmark].load(), models, args.tasks, seed=args.seed, only=only)
    if args.matrix:
        from paragent.lab.ablate_replay import replay

        data["replayed"] = replay(args.matrix, seed=args.seed)
    return data
