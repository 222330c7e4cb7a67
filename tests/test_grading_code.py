"""Code and SQL graders: in the cage, with references that pass and programs that do harm."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Awaitable, Callable

import pytest
from real_data import real_data
from scripted import ScriptedModel, model_component

from paragent.benchmarks.humaneval import Problem
from paragent.evaluate import score_of
from paragent.grading.code import CodeGrader, code_in
from paragent.grading.sql import query_in, sql_score
from paragent.hostile import PROGRAMS, hostile
from paragent.lab.graders import CHECKS, judge_agreement, measure
from paragent.registry import benchmarks, components
from paragent.runtime.model import Request
from paragent.runtime.sandbox import CodeLimits

caged = pytest.mark.skipif(shutil.which("bwrap") is None, reason="no bubblewrap")
QUICK = CodeLimits(wall_s=0.5, cpu_s=1, memory_mb=128, processes=4, disk_mb=4)


def graded(
    work: Callable[[CodeGrader], Awaitable[list[float]]], limits: CodeLimits = QUICK
) -> list[float]:
    """Work with a grader whose cages are ended."""

    async def run() -> list[float]:
        grader = CodeGrader(limits)
        try:
            return await work(grader)
        finally:
            await grader.aclose()

    return asyncio.run(run())


def test_code_is_found_in_words() -> None:
    """The last fenced block that defines the name; else after "Answer:"; else all of it."""
    text = "First:\n```python\ndef f():\n    return 1\n```\nUse:\n```python\nf()\n```"
    assert code_in(text, "f") == "def f():\n    return 1\n"
    assert code_in(text) == "def f():\n    return 1\n"
    assert code_in("Answer: def f(): return 2", "f") == "def f(): return 2"
    assert code_in("    return x\n") == "    return x\n"
    assert code_in("```sql\nSELECT 1\n```\n```\nx = 1\n```") == "x = 1\n"


def test_a_completion_becomes_a_whole_program() -> None:
    """A body is put after the prompt (indented where it is not); a function gets its imports."""
    problem = Problem('from math import pi\n\ndef f(x):\n    """Twice."""\n', "f", "")
    assert problem.program("    return 2 * x").endswith('"""Twice."""\n    return 2 * x')
    assert problem.program("return 2 * x").endswith('"""Twice."""\n    return 2 * x')
    whole = problem.program("```python\ndef f(x):\n    return 2 * x\n```")
    assert whole.startswith("from math import pi")
    assert '"""Twice."""' not in whole


def test_the_query_is_found_in_words() -> None:
    """Fenced, after a label, or from SELECT or WITH on; without the final semicolon."""
    assert query_in("```sql\nSELECT 1;\n```") == "SELECT 1"
    assert query_in("Answer: SELECT a\nFROM t;") == "SELECT a\nFROM t"
    assert query_in("Well.\nWITH x AS (\nSELECT 1)\nSELECT * FROM x") == (
        "WITH x AS (\nSELECT 1)\nSELECT * FROM x"
    )


@caged
def test_a_program_passes_only_when_its_tests_ran_to_the_end() -> None:
    """Right passes; wrong, silent exits and endless loops do not."""

    async def work(grader: CodeGrader) -> list[float]:
        tests = "assert f(2) == 4"
        programs = ["def f(x): return 2 * x", "def f(x): return x", *PROGRAMS]
        return list(await asyncio.gather(*(grader.passes(p, tests) for p in programs)))

    right, *others = graded(work)
    assert right == 1.0
    assert others == [0.0] * len(others)


SCRIPT = """
CREATE TABLE duck (name TEXT, age INT, weight REAL);
INSERT INTO duck VALUES ('Ada', 3, 1.5), ('Bea', 5, 2.25), ('Cleo', 5, NULL);
"""


@caged
@pytest.mark.parametrize(
    ("query", "score"),
    [
        ("SELECT name, age FROM duck WHERE age = 5", 1.0),
        ("SELECT age, name FROM duck WHERE age > 4", 1.0),  # columns in any order
        ("SELECT name, age, weight FROM duck WHERE age = 5", 1.0),  # and further ones
        ("SELECT name FROM duck WHERE age = 5", 0.0),
        ("SELECT name, age FROM duck", 0.0),
        ("SELECT name, age FROM duck WHERE age = 5 ORDER BY name DESC", 1.0),  # order is free
        ("DELETE FROM duck", 0.0),
        ("ATTACH '/etc/passwd' AS x", 0.0),
        ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT sum(i) FROM n", 0.0),
        ("SELECT zeroblob(2000000000)", 0.0),
        ("not sql", 0.0),
    ],
)
def test_sql_is_compared_by_rows(query: str, score: float) -> None:
    """The rows of any expected query; writing, other files and endless queries score nothing."""

    async def work(grader: CodeGrader) -> list[float]:
        wanted = ["SELECT nothing FROM nowhere", "SELECT name, age FROM duck WHERE age >= 5"]
        return [await sql_score(grader, SCRIPT, wanted, query)]

    assert graded(work, CodeLimits(wall_s=1.0, cpu_s=1, memory_mb=256)) == [score]


@caged
def test_sql_keeps_the_order_that_was_asked_for() -> None:
    """Where the expected query orders its rows, so must the answer's."""

    async def work(grader: CodeGrader) -> list[float]:
        wanted = ["SELECT name FROM duck ORDER BY age DESC, name"]
        return [
            await sql_score(grader, SCRIPT, wanted, "SELECT name FROM duck ORDER BY age DESC, 1"),
            await sql_score(grader, SCRIPT, wanted, "SELECT name FROM duck ORDER BY age"),
        ]

    assert graded(work) == [1.0, 0.0]


@caged
def test_a_task_whose_own_query_fails_has_no_score() -> None:
    """That is the data's fault, not the answer's."""

    async def work(grader: CodeGrader) -> list[float]:
        return [await sql_score(grader, SCRIPT, ["SELECT nothing"], "SELECT 1")]

    with pytest.raises(ValueError, match="no expected query"):
        graded(work)


@caged
@pytest.mark.slow
@pytest.mark.parametrize(
    ("grader", "known", "least"),
    [
        ("humaneval", "right answers score 1", 164),
        ("humaneval", "spoiled answers score 0", 164),
        ("mbpp", "right answers score 1", 971),
        ("defog_sql", "right answers score 1", 313),
        ("defog_sql", "spoiled answers score 0", 313),
    ],
)
def test_the_references_pass(grader: str, known: str, least: int) -> None:
    """HumanEval 164 of 164, MBPP at least 971 of 974, SQL at least 313 of 314; spoiled ones not."""
    real_data("benchmarks", grader)
    found, missing = asyncio.run(measure(real_data(), {grader}))
    assert not missing
    (one,) = (a for a in found if a.known == known)
    assert one.agree >= least, one.wrong


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("gsm8k", marks=pytest.mark.slow),
        pytest.param("game24", marks=pytest.mark.slow),
        "svamp",
        "strategyqa",
        "hotpotqa",
        "bbh",
    ],
)
def test_text_graders_agree_with_what_is_known(name: str) -> None:
    """At least 99.5 % of the recorded flags of GSM8K; all right and all spoiled answers."""
    real_data("benchmarks", name)
    found, missing = asyncio.run(measure(real_data(), {name}))
    assert not missing
    assert len(found) == sum(check.grader == name for check in CHECKS)
    for one in found:
        assert one.agree >= (0.995 * one.n if "recorded" in one.known else one.n), one


@caged
@pytest.mark.slow
@pytest.mark.parametrize("name", ["humaneval", "defog_sql"])
def test_ten_thousand_hostile_programs(name: str) -> None:
    """Garbage, forks, reads and hangs: a score in [0, 1] for each, and the cages live on."""
    benchmark = benchmarks[name].load(data=real_data("benchmarks", name))
    task = benchmark.tasks("dev")[0]
    answers = [*hostile(10_000 - 5 * len(PROGRAMS), seed=2)]
    answers += [f"```python\n{program}\n```" for program in PROGRAMS for _ in range(5)]

    async def work() -> list[float]:
        try:
            gate = asyncio.Semaphore(16)

            async def one(text: str) -> float:
                async with gate:
                    return await score_of(benchmark, task, text)

            scores = list(await asyncio.gather(*map(one, answers)))
            return [*scores, await score_of(benchmark, task, task.answer)]
        finally:
            await benchmark.aclose()  # type: ignore[attr-defined]

    *scores, right = asyncio.run(work())
    assert right == 1.0
    assert len(scores) == 10_000
    assert all(0 <= score <= 1 for score in scores)


@caged
def test_some_hostile_programs() -> None:
    """The same, shorter, for every run of the tests."""

    async def work(grader: CodeGrader) -> list[float]:
        programs = [code_in(text) for text in hostile(60)]
        code = [grader.passes(p, "assert False") for p in programs]
        queries = [sql_score(grader, SCRIPT, ["SELECT 1"], text) for text in hostile(60, seed=3)]
        return list(await asyncio.gather(*code, *queries))

    assert all(0 <= score <= 1 for score in graded(work))


def test_a_judges_agreement_with_labels_is_measured() -> None:
    """A judge that compares with the reference agrees always, one that praises all half the time,
    one without marks never."""

    def fair(request: Request) -> str:
        parts = re.findall(r"Reference answer:\n(.*)|<<<\n(.*)\n>>>", request.messages[-1].content)
        words = {one or other for one, other in parts}
        return "Mark: 10" if len(words) == 1 else "Mark: 0"

    judges = {"fair": fair, "kind": lambda request: "Mark: 10", "silent": lambda request: "Hm."}
    shares = {}
    for name, script in judges.items():
        components.register(model_component(ScriptedModel(script, name=name)))
        try:
            found = asyncio.run(judge_agreement(name, None, tasks=20))
        finally:
            components.unregister(name)
        shares[name] = found.agree / found.n
    assert shares["fair"] == 1.0
    assert shares["kind"] == pytest.approx(0.5, abs=0.05)
    assert shares["silent"] == 0.0
