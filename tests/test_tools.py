"""Tools: exact results, honest errors, and walls that hold."""

from __future__ import annotations

import asyncio
import itertools
import math
import shutil
import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedModel, task_run

from paragent.compile import compile_design
from paragent.component import Answer, Context, Table, Tool, run_tool
from paragent.components.bm25_search import search_tool
from paragent.components.date_calculation import calculate
from paragent.components.python_tool import shown
from paragent.components.sql import query, sql_tool
from paragent.components.table_lookup import table_tool
from paragent.components.unit_conversion import UNITS, convert
from paragent.design import Agent, Design, Part
from paragent.registry import component_of
from paragent.retrieval import Bm25
from paragent.runtime.cages import close_sandbox
from paragent.runtime.model import Completion, Request, ToolCall

Make = Callable[..., ScriptedModel]


def call(tool: Tool, text: str) -> str:
    """What the model reads after calling the tool."""

    async def main() -> str:
        try:
            return await run_tool(tool, text)
        finally:
            await close_sandbox()

    return asyncio.run(main())


def holding(*tools: str, **slots: object) -> Agent:
    """An agent that thinks step by step and holds these tools."""
    return Agent(
        Part("scripted"),
        Part("chain_of_thought"),
        tools=tuple(Part(name) for name in tools),
        **slots,  # type: ignore[arg-type]
    )


def answer(agent: Agent, context: Context | None = None) -> Answer:
    """The agent's answer to one question."""
    return asyncio.run(compile_design(Design(agent)).answer(task_run(context), "Q?"))


# -- several tools in one agent -------------------------------------------------------------------


def test_three_written_tools_are_called_by_name_and_an_unnamed_call_is_told_so(
    scripted: Make,
) -> None:
    """With three tools the model writes <<name: argument>>; without a name it reads what to do."""
    said = iter(["<<17*3", "<<calculator: 17*3", "<<dates: 2024-02-28 + 2 days", "Answer: 51"])
    model = scripted(lambda request: next(said), tool_protocol="text")
    found = answer(holding("calculator", "date_calculation", "unit_conversion"))
    assert found.text == "51"
    system = model.seen[0].messages[0].content
    assert "Use the tools by writing <<name: argument>> (calculator: Exact arithmetic" in system
    assert [r.messages[-1].content for r in model.seen[1:]] == [
        "=error: write <<name: argument>>; the tools are calculator, dates, convert",
        "=51",
        "=2024-03-01 (Friday)",
    ]


def test_three_native_tools_answer_three_calls_of_one_turn_in_order(scripted: Make) -> None:
    """Each call gets its own result, under its own id, in the order written."""
    wishes = (
        ToolCall("a", "convert", '{"conversion": "3 ft to in"}'),
        ToolCall("b", "calculator", '{"expression": "2+2"}'),
        ToolCall("c", "calculater", '{"expression": "2+2"}'),
    )
    replies = iter([Completion("", 1, 1, 0.0, tool_calls=wishes), "Answer: 36"])
    model = scripted(lambda request: next(replies), tool_protocol="native")
    answer(holding("calculator", "date_calculation", "unit_conversion"))
    results = {m.tool_call_id: m.content for m in model.seen[1].messages if m.role == "tool"}
    assert list(results) == ["a", "b", "c"]
    assert (results["a"], results["b"]) == ("36 in", "4")
    assert results["c"].startswith("error: there is no tool called 'calculater'; tools: calculator")


# -- sums of units and dates ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("5 km to miles", "3.106855961 miles"),
        ("212 °F to C", "100 C"),
        ("-40 f in celsius", "-40 celsius"),
        ("0 K to celsius", "-273.15 celsius"),
        ("1,000 g to kg", "1 kg"),
        ("72 km/h to m/s", "20 m/s"),
        ("3 in to cm", "7.62 cm"),
    ],
)
def test_conversions_agree_with_the_definitions(asked: str, given: str) -> None:
    """Worked by hand from the definitions (1 mile = 1609.344 m, 1 inch = 2.54 cm)."""
    assert convert(asked) == given


@given(st.sampled_from([k for k in UNITS if k != "temperature"]), st.data())
def test_converting_there_and_back_changes_nothing(kind: str, data: st.DataObject) -> None:
    """Any two units of a kind: the ratio there is the inverse of the ratio back."""
    one, two = (
        data.draw(st.sampled_from(sorted(UNITS[kind]))).split()[0].replace("_", " ")
        for _ in range(2)
    )
    there = float(convert(f"1 {one} to {two}").split()[0])
    back = float(convert(f"1 {two} to {one}").split()[0])
    assert math.isclose(there * back, 1.0, rel_tol=1e-8)


def test_no_unit_has_two_meanings() -> None:
    """Every name stands for one size."""
    names = [n for units in UNITS.values() for group in units for n in group.split()]
    assert len(set(names)) == len(names)
    assert all(isinstance(s, Fraction) and s > 0 for u in UNITS.values() for s in u.values())


@pytest.mark.parametrize("text", ["", "five km to m", "5 km", "5 kg to m", "5 foo to m", "9" * 300])
def test_what_is_no_conversion_is_refused(text: str) -> None:
    """Nonsense, one unit only, two kinds, an unknown unit, a flood of digits."""
    with pytest.raises(ValueError, match=r"wanted|kg is mass|no unit"):
        convert(text)


@given(st.dates(date(1900, 1, 1), date(2100, 1, 1)), st.integers(0, 9999))
def test_days_added_are_the_days_between(day: date, days: int) -> None:
    """A + n is a date whose distance to a is n (the standard library as oracle)."""
    later = calculate(f"{day} + {days} days").split()[0]
    assert later == (day + timedelta(days=days)).isoformat()
    assert calculate(f"{later} - {day}").split()[0] == str(days)


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("2024-01-31 + 1 month", "2024-02-29 (Thursday)"),
        ("2020-02-29 - 1 year", "2019-02-28 (Thursday)"),
        ("2024-03-02 - 2024-03-01", "1 day"),
        ("weekday of 2000-01-01", "2000-01-01 (Saturday)"),
    ],
)
def test_dates_by_hand(asked: str, given: str) -> None:
    """Months end where the shorter month ends."""
    assert calculate(asked) == given


@pytest.mark.parametrize("text", ["", "today", "2023-02-29", "9999-12-31 + 1 day", "0000-01-01"])
def test_what_is_no_date_is_refused(text: str) -> None:
    """No clock is read, and no date beyond the calendar is made up."""
    with pytest.raises(ValueError, match=r"wanted|no date|outside"):
        calculate(text)


# -- search and tables ----------------------------------------------------------------------------


def test_bm25_weighs_rare_words_and_short_passages() -> None:
    """Worked by hand: 3 passages of 3, 3 and 6 words, query "red": ln(1 + 1.5/2.5) = .4700; the
    short one gets .4700 * 2.2 / (1 + 1.2 * (.25 + .75 * 3/4)) = .5236."""
    index = Bm25(("red car fast", "blue car slow", "a red house on the hill"))
    scores = index.scores("Red?")
    assert set(scores) == {0, 2}
    assert scores[0] == pytest.approx(0.47000 * 2.2 / 1.975, abs=1e-4)
    assert index.best("red", 5) == (0, 2)
    assert index.best("car blue", 1) == (1,)
    assert index.best("nothing here", 3) == ()


@given(st.lists(st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join), max_size=6))
def test_bm25_finds_exactly_the_passages_that_share_a_word(passages: list[str]) -> None:
    """Brute force over passages as oracle."""
    wanted = {i for i, p in enumerate(passages) if {"a", "b"} & set(p.split())}
    assert set(Bm25(tuple(passages)).best("a b", 99)) == wanted


def test_search_reads_the_corpus_of_the_benchmark(scripted: Make) -> None:
    """The tool is over the context's passages, and says when nothing is found."""
    said = iter(["<<capital Norway", "<<xyzzy", "Answer: Oslo"])
    model = scripted(lambda request: next(said), tool_protocol="text")
    corpus = ("Oslo is the capital of Norway.", "Rome is the capital of Italy.", "Bread is food.")
    answer(holding("bm25_search"), Context(corpus=corpus))
    assert model.seen[1].messages[-1].content == (
        "=[1] Oslo is the capital of Norway.\n[2] Rome is the capital of Italy."
    )
    assert model.seen[2].messages[-1].content == "=error: no passage has a word of 'xyzzy'"
    assert call(search_tool((), 3), "x") == "error: there is no corpus to search here"


TABLE = Table("cities", ("city", "country"), (("Oslo", "Norway"), ("Bergen", "Norway")))


@pytest.mark.parametrize(
    ("key", "given"),
    [
        (" oslo ", "cities: city=Oslo, country=Norway"),
        ("NORWAY", "cities: city=Oslo, country=Norway\ncities: city=Bergen, country=Norway"),
        ("Bergn", "error: no row has 'Bergn'; near: Bergen"),
        ("zzz", "error: no row has 'zzz'"),
    ],
)
def test_tables_are_looked_up_by_any_cell(key: str, given: str) -> None:
    """Case and blanks do not matter; a misspelling is told its neighbours."""
    assert call(table_tool((TABLE,)), key) == given


def test_a_table_of_the_benchmark_is_described_to_the_model(scripted: Make) -> None:
    """Names and columns stand in the system text."""
    model = scripted(lambda request: "Answer: 1", tool_protocol="text")
    answer(holding("table_lookup"), Context(tables=(TABLE,)))
    assert "(cities (city, country))" in model.seen[0].messages[0].content


# -- SQL ------------------------------------------------------------------------------------------


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """A database with one table of 40 rows."""
    path = tmp_path / "a shop?.db"  # a name that a URI must escape
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE items (name TEXT, price REAL)")
        rows = [(f"item{i}", i / 2) for i in range(39)]
        database.executemany("INSERT INTO items VALUES (?, ?)", [*rows, ("last", None)])
    database.close()
    return str(path)


def test_sql_gives_columns_and_rows(shop: str) -> None:
    """One line of names, one line a row, NULL written out, long results cut and told."""
    assert query(shop, "SELECT name, price FROM items WHERE name IN ('item3','last');") == (
        "name | price\nitem3 | 1.5\nlast | NULL"
    )
    assert query(shop, "WITH x AS (SELECT count(*) AS n FROM items) SELECT n FROM x") == "n\n40"
    assert query(shop, "SELECT * FROM items").endswith("only the first 30 rows are shown")


@pytest.mark.parametrize(
    "text",
    [
        "DELETE FROM items",
        "INSERT INTO items VALUES ('x', 1)",
        "DROP TABLE items",
        "CREATE TABLE x (a)",
        "ATTACH 'other.db' AS other",
        "PRAGMA writable_schema=1",
        "SELECT load_extension('x')",
        "VACUUM INTO 'copy.db'",
        "SELECT 1; DELETE FROM items",
        "SELEC",
        "",
        "SELECT zeroblob(2000000000)",
        "SELECT * FROM nothing",
    ],
)
def test_sql_that_is_no_select_is_refused_and_changes_nothing(shop: str, text: str) -> None:
    """Writes, other files, settings, extensions, floods: an error each, and the same bytes."""
    before = Path(shop).read_bytes()
    assert call(sql_tool(shop), text).startswith("error: ")
    assert Path(shop).read_bytes() == before
    assert [p.name for p in Path(shop).parent.iterdir()] == [Path(shop).name]


def test_a_query_that_never_ends_is_stopped(shop: str) -> None:
    """An endless recursion ends at the time limit."""
    endless = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n+1 FROM x) SELECT max(n) FROM x"
    with pytest.raises(ValueError, match=r"longer than 0\.2 s"):
        query(shop, endless, seconds=0.2)


def test_sql_tells_the_schema_and_a_missing_file(shop: str, tmp_path: Path) -> None:
    """The model sees the tables; a database that is not there is an error it reads."""
    assert "CREATE TABLE items (name TEXT, price REAL)" in sql_tool(shop).description
    assert call(sql_tool(str(tmp_path / "no.db")), "SELECT 1").startswith("error: ")
    assert not (tmp_path / "no.db").exists()


# -- Python in a cage -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "printed"),
    [
        ("x = 3; x * 2", "6\n"),
        ("```python\nfor i in (1, 2):\n    print(i)\n(1 +\n 2)\n```", "1\n2\n3\n"),
        ("print('a')", "a\n"),
        ("def f():\n    return 1", ""),
    ],
)
def test_the_last_expression_is_shown(
    code: str, printed: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a Python shell would, fences taken off; `print` at the end prints once."""
    exec(shown(code), {})
    assert capsys.readouterr().out == printed


@pytest.mark.skipif(shutil.which("bwrap") is None, reason="bubblewrap is not installed")
def test_python_runs_in_a_cage() -> None:
    """Results, exceptions and an attempt to read the host's files."""
    tool: Tool = component_of("tool", "python").build()

    async def main() -> list[str]:
        codes = ["sum(range(10))", "1/0", "open('/etc/passwd').read()", "x = 1"]
        try:
            return [await run_tool(tool, code) for code in codes]
        finally:
            await close_sandbox()

    found = asyncio.run(main())
    assert found[0] == "45"
    assert found[1] == "error: ZeroDivisionError: division by zero"
    assert found[2].startswith("error: FileNotFoundError")
    assert found[3] == "(nothing was printed)"


def test_python_without_a_cage_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """No bubblewrap, no code: the agent reads which package is missing."""
    monkeypatch.setattr("paragent.runtime.sandbox.shutil.which", lambda name: None)
    tool: Tool = component_of("tool", "python").build()
    assert "bubblewrap is not installed" in call(tool, "print(1)")


def test_every_shipped_tool_has_one_required_text_argument() -> None:
    """The schema's only property is the argument that `call` gets, described, in every tool."""
    from paragent.registry import components

    tools: list[Tool] = [c.build(**c.defaults) for c in components if c.kind == "tool"]
    for tool in tools:
        assert list(tool.schema["properties"]) == [tool.argument], tool.name
        assert tool.schema["required"] == [tool.argument]
        assert tool.schema["properties"][tool.argument]["description"]
    names = [tool.name for tool in tools]
    assert all(a != b for a, b in itertools.combinations(names, 2))


def test_requests_show_what_the_models_may_call(scripted: Make) -> None:
    """A request carries the bound tools, so a cache never mixes two benchmarks' schemas."""
    model = scripted(lambda request: "Answer: 1", tool_protocol="native")
    answer(holding("table_lookup"), Context(tables=(TABLE,)))
    request: Request = model.seen[0]
    assert "cities (city, country)" in request.tools[0].description
