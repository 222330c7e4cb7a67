"""A function with type hints becomes a tool; what goes wrong is a text that the model reads."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from scripted import ScriptedModel, task_run

from paragent.chat import ModelChat
from paragent.compile import compile_design
from paragent.component import Tool, run_tool
from paragent.design import Agent, Design, Part
from paragent.errors import UsageError
from paragent.registry import components
from paragent.runtime.model import Completion, Message, ToolCall
from paragent.user_tools import load_function, tool_component, tool_from

Make = Callable[..., ScriptedModel]


def call(tool: Tool, text: str) -> str:
    """What the model reads after calling the tool."""
    return asyncio.run(run_tool(tool, text))


def forecast(city: str, days: int = 1, unit: Literal["C", "F"] = "C") -> dict[str, object]:
    """The forecast of a city.

    Args:
        city: where
        days: how far ahead
        unit: of the temperature
    """
    return {"city": city, "days": days, "unit": unit}


def test_the_schema_comes_from_hints_and_docstring() -> None:
    """Types, defaults, choices and what the docstring says of each."""
    tool = tool_from(forecast)
    assert tool.description.startswith("The forecast of a city. Arguments:")
    assert tool.schema["required"] == ["city"]
    assert tool.schema["properties"]["city"] == {"description": "where", "type": "string"}
    assert tool.schema["properties"]["unit"]["enum"] == ["C", "F"]
    assert tool.schema["additionalProperties"] is False
    assert tool.argument == "", "several parameters come as one JSON text"


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ('{"city": "Oslo"}', '{"city": "Oslo", "days": 1, "unit": "C"}'),
        ('{"city": "Oslo", "days": "2"}', '{"city": "Oslo", "days": 2, "unit": "C"}'),
        ("{}", "error: city: Field required"),
        ('{"city": "Oslo", "days": "two"}', "error: days: Input should be a valid integer"),
        ('{"city": "Oslo", "unit": "K"}', "error: unit: Input should be 'C' or 'F'"),
        ('{"city": "Oslo", "day": 2}', "error: day: Extra inputs .*did you mean days"),
        ("Oslo", "error: wanted a JSON object with city, days, unit"),
        ("[1]", "error: wanted a JSON object"),
    ],
)
def test_arguments_are_checked_before_the_call(text: str, given: str) -> None:
    """What does not fit is told to the model; "2" is a number where one is wanted."""
    found = call(tool_from(forecast), text)
    assert found == given or re.match(given, found)


def test_one_plain_parameter_needs_no_json() -> None:
    """`<<7>>` is enough for a function of one number."""

    def double(x: int) -> int:
        """Twice the number."""
        return 2 * x

    tool = tool_from(double)
    assert tool.argument == "x"
    assert call(tool, " 7 ") == "14"
    assert call(tool, "seven").startswith("error: x: Input should be a valid integer")


def test_a_user_tool_that_raises_is_an_error_that_the_agent_sees(scripted: Make) -> None:
    """The agent reads the exception, answers anyway, and the task is no failure."""

    def broken(x: str) -> str:
        """Always fails."""
        raise KeyError(x)

    components.register(tool_component(broken))
    try:
        wish = Completion("", 1, 1, 0.0, tool_calls=(ToolCall("a", "broken", '{"x": "y"}'),))
        replies = iter([wish, "Answer: none"])
        model = scripted(lambda request: next(replies), tool_protocol="native")
        agent = Agent(Part("scripted"), Part("chain_of_thought"), tools=(Part("broken"),))
        system = compile_design(Design(agent))
        assert asyncio.run(system.answer(task_run(), "Q?")).text == "none"
        assert model.seen[1].messages[-1] == Message("tool", "error: KeyError: 'y'", (), "a")
    finally:
        components.unregister("broken")


def test_system_exit_of_a_tool_ends_nothing() -> None:
    """sys.exit inside a tool is an error text like any other."""

    def leave() -> None:
        """Leaves."""
        raise SystemExit(3)

    assert call(tool_from(leave), "") == "error: SystemExit: 3"


def test_a_slow_tool_holds_nobody_up_and_is_left_behind_at_its_limit() -> None:
    """While a sync tool sleeps the loop goes on; after its limit the model reads so."""
    release = threading.Event()

    def slow() -> str:
        """Waits."""
        release.wait(30)
        return "late"

    tool = tool_from(slow, seconds=0.3)

    async def main() -> tuple[str, int]:
        ticks = 0
        job = asyncio.ensure_future(run_tool(tool, ""))
        while not job.done():
            await asyncio.sleep(0.01)
            ticks += 1
        return await job, ticks

    begin = time.perf_counter()
    said, ticks = asyncio.run(main())
    release.set()
    assert said == "error: slow took longer than 0.3 s"
    assert ticks > 10
    assert time.perf_counter() - begin < 25, "the loop's end does not wait for the thread"


def test_a_tool_that_hangs_again_and_again_is_refused_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Threads left behind are bounded."""
    monkeypatch.setattr("paragent.user_tools.STUCK", 2)
    release = threading.Event()

    def hang() -> None:
        """Hangs."""
        release.wait(30)

    tool = tool_from(hang, seconds=0.05)
    said = [call(tool, "") for _ in range(3)]
    release.set()
    assert said[-1] == "error: hang hangs in 2 earlier calls"


def test_an_async_function_is_a_tool_too_and_results_are_bounded() -> None:
    """Awaited on the loop; what is far too long is cut; None is told as done."""

    async def flood(n: int) -> str:
        """N letters."""
        await asyncio.sleep(0)
        return "x" * n

    def nothing() -> None:
        """Nothing."""

    assert call(tool_from(flood), "3") == "xxx"
    assert call(tool_from(flood), "100000").endswith("x … (cut)")
    assert call(tool_from(nothing), "") == "done"


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("def f(x): ...", "parameter 'x' has no type hint"),
        ("def f(*x: int): ...", r"\*x cannot be described"),
        ("def f(x: int, /): ...", "x must be given by name"),
        ("import threading\ndef f(x: threading.Lock): ...", "cannot be described"),
        ("def f(x: Unknown): ...", "cannot be read: name 'Unknown'"),
    ],
)
def test_a_function_that_cannot_be_described_is_refused(source: str, why: str) -> None:
    """One clear line, before any search."""
    space: dict[str, Any] = {}
    exec(source, space)
    with pytest.raises(UsageError, match=why) as caught:
        tool_from(space["f"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("where", "why"),
    [
        ("nothing", "wanted module:function"),
        ("no_such_module_x:f", "there is no module 'no_such_module_x'"),
        ("math:sqr", "math has no 'sqr'. Did you mean 'sqrt'"),
        ("math:pi", "math:pi is no function"),
        ("gone.py:f", "there is no file"),
        ("bad.py:f", "bad.py cannot be imported: ZeroDivisionError"),
        ("needs.py:f", "cannot be imported: ModuleNotFoundError"),
    ],
)
def test_imports_that_fail_are_told_in_one_line(tmp_path: Path, where: str, why: str) -> None:
    """Missing modules, files and names, and code that raises while it is imported."""
    (tmp_path / "bad.py").write_text("1/0\n")
    (tmp_path / "needs.py").write_text("import no_such_module_x\n")
    with pytest.raises(UsageError, match=why):
        load_function(where, tmp_path)


def test_a_function_is_found_in_a_module_or_in_a_file_beside_the_yaml(tmp_path: Path) -> None:
    """`module:function` as Python finds it; `file.py:function` from the folder of the YAML."""
    (tmp_path / "mine.py").write_text("def twice(x: int) -> int:\n    return 2 * x\n")
    assert load_function("mine.py:twice", tmp_path)(4) == 8
    assert load_function("math:sqrt")(9.0) == 3.0


def test_use_gives_an_error_text_for_unknown_tools() -> None:
    """Reasoning that reads actions from text never crashes on a made-up name."""
    model = ScriptedModel(lambda request: "x")
    chat = ModelChat(task_run(), "", model, tools=(tool_from(forecast),))
    found = asyncio.run(chat.use("forcast", "{}"))
    assert found == "error: there is no tool called 'forcast'; tools: forecast"
    done = asyncio.run(chat.use("forecast", json.dumps({"city": "Oslo"})))
    assert json.loads(done)["city"] == "Oslo"
