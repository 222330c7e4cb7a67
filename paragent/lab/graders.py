"""Whether the graders agree with what is known, and how long an answer takes them.

Known are: the published right answers of each data set (they must score 1), the same answers
spoiled (they must not), and 58,036 recorded answers of 44 models to GSM8K with their flags. Data
are looked for in `--data FOLDER` (with `benchmarks/NAME` and `recorded/NAME`), `$PARAGENT_DATA` or
the user's cache; what is not there is said, never skipped in silence.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import gzip
import json
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from paragent.ask import DirectCaller
from paragent.benchmark import Benchmark, Closes, Task
from paragent.environment import Interactive, replay
from paragent.errors import UsageError
from paragent.evaluate import ModelReferee, score_of
from paragent.grading.judge import ModelJudge
from paragent.registry import benchmarks, component_of
from paragent.rows_benchmark import RowsBenchmark
from paragent.runtime.models_file import register_models
from paragent.runtime.pocket import close_pool


@dataclass(frozen=True, slots=True)
class Agreement:
    """One check: of `n` answers `agree` are graded as known; `wrong` names some that are not."""

    grader: str
    known: str
    n: int
    agree: int
    ms_per_answer: float
    wrong: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Check:
    """A check by name: `run(folder)` needs the data at `needs` under the folder ("" none)."""

    grader: str
    known: str
    needs: str
    run: Callable[[Path | None], Awaitable[Agreement]]


PLANBENCH_PARTS = (
    "blocksworld",
    "blocksworld_3",
    "mystery_blocksworld",
    "mystery_blocksworld_3",
    "logistics",
)

#: (id, what the score should be at least and at most, grading)
Case = tuple[str, float, Callable[[], Awaitable[float]]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where the data are."""
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="holds benchmarks/, recorded/")
    parser.add_argument(
        "--judge", metavar="MODEL", help="also how often this judge agrees with labels"
    )
    parser.add_argument("--only", metavar="A,B", help="these graders only")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout")


def main(args: argparse.Namespace) -> int:
    """Run every check that its data allow; exit code 1 where none could be run."""
    base = args.data or (
        Path(os.environ["PARAGENT_DATA"]) if "PARAGENT_DATA" in os.environ else None
    )
    if args.data is not None and not args.data.is_dir():
        raise UsageError(f"--data {args.data}: there is no such folder")
    only = None if args.only is None else set(args.only.split(","))
    unknown = (only or set()) - {c.grader for c in CHECKS}
    if unknown:
        known = ", ".join(sorted({c.grader for c in CHECKS}))
        raise UsageError(f"no grader is called {sorted(unknown)[0]!r}; there are: {known}")
    if args.judge is not None:
        register_models()
        component_of("model", args.judge, "--judge")
    found, missing = asyncio.run(measure(base, only))
    if args.judge is not None:
        found.append(asyncio.run(judge_agreement(args.judge, base)))
    if args.json:
        data = {"agreement": [asdict(a) for a in found], "missing": missing}
        print(json.dumps(data, indent=2, ensure_ascii=False))
        return 0 if found else 1
    for a in found:
        share = f"{a.agree:,} of {a.n:,} ({a.agree / max(a.n, 1):.2%})"
        print(f"{a.grader:<11} {a.known:<34} {share:<26} {a.ms_per_answer:8.3g} ms per answer")
        if a.wrong:
            print(f"{'':<11} not: {', '.join(a.wrong)}")
    for line in missing:
        print(f"not measured: {line}")
    return 0 if found else 1


async def measure(
    base: Path | None, only: set[str] | None = None
) -> tuple[list[Agreement], list[str]]:
    """All checks whose data lie under `base`, and a line for each that could not be made."""
    found, missing = [], []
    for check in CHECKS:
        if only is not None and check.grader not in only:
            continue
        folder = _place(base, check.needs) if check.needs else None
        if check.needs and folder is None:
            missing.append(f"{check.grader} ({check.known}): no data {check.needs}")
            continue
        try:
            found.append(await check.run(folder))
        except UsageError as error:  # no cage, no math-verify
            missing.append(f"{check.grader} ({check.known}): {error}")
    return found, missing


async def judge_agreement(model: str, base: Path | None, tasks: int = 40) -> Agreement:
    """How often a judge marks right answers above 5 of 10 and wrong ones below, on test tasks of
    GSM8K where its data are at hand, else on the pocket tasks. A judge without a mark disagrees."""
    folder = _place(base, "benchmarks/gsm8k")
    benchmark = benchmarks["gsm8k" if folder else "pocket"].load(
        **({"data": folder} if folder else {})
    )
    judge = ModelJudge(model)
    cases: list[Case] = []

    def case(task: Task, answer: str, right: bool) -> Case:
        async def verdict() -> float:
            mark = await judge.score(task, answer, ModelReferee(DirectCaller(), 0, task.id))
            return float((mark > 0.5) == right)

        return f"{task.id} {'right' if right else 'wrong'}", 1.0, verdict

    chosen = benchmark.tasks("test")[:tasks]
    for task, other in zip(chosen, [*chosen[1:], chosen[0]], strict=True):
        cases.append(case(task, task.answer, True))
        if other.answer != task.answer:  # the right answer to another question
            cases.append(case(task, other.answer, False))
    try:
        return await agreement(f"judge {model}", f"labels of {benchmark.name}", cases)
    finally:
        await close_pool()


def _place(base: Path | None, needs: str) -> Path | None:
    if base is not None and (base / needs).exists():
        return base / needs
    name = needs.removeprefix("benchmarks/")
    if needs.startswith("benchmarks/") and name in benchmarks:
        source = benchmarks[name].data
        return source.place() if source is not None else None
    return None


async def agreement(grader: str, known: str, cases: Iterable[Case]) -> Agreement:
    """Grade the cases, eight at a time; a case that raises does not agree."""
    listed = list(cases)
    gate = asyncio.Semaphore(8)

    async def one(case: Case) -> bool:
        async with gate:
            try:
                return abs(await case[2]() - case[1]) < 1e-9
            except Exception:  # a grader that raises has not agreed
                return False

    begin = time.perf_counter()
    same = await asyncio.gather(*map(one, listed))
    taken = (time.perf_counter() - begin) * 1000 / max(len(listed), 1)
    wrong = [case[0] for case, right in zip(listed, same, strict=True) if not right]
    return Agreement(grader, known, len(listed), sum(same), taken, tuple(wrong[:5]))


def _all(benchmark: Benchmark) -> list[Task]:
    """Every row, worked examples and repeated questions too."""
    if isinstance(benchmark, RowsBenchmark):
        return benchmark.everything()
    return [*benchmark.tasks("dev"), *benchmark.tasks("test")]


def references(name: str, **options: Any) -> Check:
    """The published right answer of every task scores 1."""

    async def run(folder: Path | None) -> Agreement:
        benchmark = benchmarks[name].load(data=folder, **options)
        try:
            return await agreement(
                name, "right answers score 1", _cases(benchmark, lambda t: t.answer, 1.0)
            )
        finally:
            if isinstance(benchmark, Closes):
                await benchmark.aclose()

    return Check(name, "right answers score 1", f"benchmarks/{name}", run)


def plans(part: str) -> Check:
    """The gold plans of a part of PlanBench score 1."""
    known = f"gold plans of {part} score 1"
    inner = references("planbench", part=part)

    async def run(folder: Path | None) -> Agreement:
        return replace(await inner.run(folder), known=known)

    return Check("planbench", known, "benchmarks/planbench", run)


def oracles(name: str, needs: str) -> Check:
    """What is known to solve an environment's task, acted out in it, reaches the full score."""
    known = "oracles reach the full score"

    async def run(folder: Path | None) -> Agreement:
        options = {"data": folder} if needs else {}
        benchmark = benchmarks[name].load(**options)
        assert isinstance(benchmark, Interactive)
        world = benchmark

        def case(task: Task) -> Case:
            return task.id, 1.0, lambda: replay(world, task)

        tasks = [t for t in _all(benchmark) if world.oracle(t) is not None]
        return await agreement(name, known, map(case, tasks))

    return Check(name, known, needs, run)


def spoiled(name: str, spoil: Callable[[Task], str]) -> Check:
    """The right answer, spoiled, scores 0."""

    async def run(folder: Path | None) -> Agreement:
        benchmark = benchmarks[name].load(data=folder)
        try:
            return await agreement(name, "spoiled answers score 0", _cases(benchmark, spoil, 0.0))
        finally:
            if isinstance(benchmark, Closes):
                await benchmark.aclose()

    return Check(name, "spoiled answers score 0", f"benchmarks/{name}", run)


def _cases(benchmark: Benchmark, answer: Callable[[Task], str], wanted: float) -> list[Case]:
    def case(task: Task) -> Case:
        return task.id, wanted, lambda: score_of(benchmark, task, answer(task))

    return [case(task) for task in _all(benchmark) if task.answer]


async def _recorded_gsm8k(folder: Path | None) -> Agreement:
    """Flags of 44 models' answers; an answer that was not given is wrong."""
    from paragent.grading.numbers import number

    assert folder is not None
    gold = {row["task_id"]: row["gold"] for row in _csv(folder / "tasks.csv.gz")}
    n = agree = 0
    wrong = []
    begin = time.perf_counter()
    for row in _csv(folder / "answers.csv.gz"):
        task = row.pop("task_id")
        for model, said in row.items():
            flag = bool(said) and said == gold[task]
            same = (number(gold[task], said) == 1.0) == flag
            n, agree = n + 1, agree + same
            if not same:
                wrong.append(f"{task}/{model}")
    taken = (time.perf_counter() - begin) * 1000 / max(n, 1)
    return Agreement("gsm8k", "recorded flags of 44 models", n, agree, taken, tuple(wrong[:5]))


async def _game24(folder: Path | None) -> Agreement:
    """Solutions found by trying everything score 1; with a number changed they score 0."""
    from paragent.benchmarks.game24 import solution

    benchmark = benchmarks["game24"].load(data=folder)
    cases: list[Case] = []
    for task in _all(benchmark):
        numbers = tuple(int(n) for n in task.tags["numbers"].split())
        found = solution(numbers) or ""
        other = found.replace(str(numbers[0]), str(numbers[0] + 1), 1)
        for text, wanted in ((f"Answer: {found} = 24", 1.0), (other, 0.0)):
            cases.append((task.id, wanted, _later(benchmark, task, text)))
    return await agreement("game24", "solutions score 1, changed ones 0", cases)


def _later(benchmark: Benchmark, task: Task, text: str) -> Callable[[], Awaitable[float]]:
    return lambda: score_of(benchmark, task, text)


def _csv(path: Path) -> Iterable[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _returns_another(task: Task) -> str:
    """The program with every returned value replaced by a text that no test wants."""
    import ast

    from paragent.grading.code import code_in

    tree = ast.parse(code_in(task.answer))
    for node in ast.walk(tree):
        if isinstance(node, ast.Return):
            node.value = ast.Constant("spoiled")
    return f"```python\n{ast.unparse(tree)}\n```"


def _another_number(task: Task) -> str:
    return f"The answer is {float(task.answer.replace(',', '')) + 1}."


def _empty_program(task: Task) -> str:
    return "```python\npass\n```"


CHECKS: Sequence[Check] = (
    Check("gsm8k", "recorded flags of 44 models", "recorded/zeroeval-gsm8k", _recorded_gsm8k),
    references("gsm8k"),
    spoiled("gsm8k", _another_number),
    references("svamp"),
    spoiled("svamp", _another_number),
    references("math500"),
    references("aqua"),
    references("mmlu"),
    references("mmlu_pro"),
    references("bbh"),
    references("strategyqa"),
    spoiled("strategyqa", lambda task: "no" if task.answer == "yes" else "yes"),
    references("drop"),
    references("hotpotqa"),
    Check("game24", "solutions score 1, changed ones 0", "", _game24),
    references("humaneval"),
    spoiled("humaneval", _returns_another),
    references("mbpp"),
    spoiled("mbpp", _empty_program),
    references("cruxeval"),
    *(plans(part) for part in PLANBENCH_PARTS),
    references("bfcl"),
    *(
        oracles(name, needs)
        for name, needs in (
            ("blocks_world", ""),
            ("agentsnet", ""),
            ("govsim", ""),
            ("bfcl_multi_turn", "benchmarks/bfcl"),
            ("tau_airline", "benchmarks/tau_airline"),
            ("tau_retail", "benchmarks/tau_retail"),
        )
    ),
    references("defog_sql"),
    spoiled("defog_sql", lambda task: "SELECT 'nothing' AS x, 'of it' AS y WHERE 1 = 1"),
)
