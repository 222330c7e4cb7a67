"""BFCL: calls read and compared as trees; services that work by hand; gold conversations."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import real_data

from paragent.benchmarks import bfcl, bfcl_multi_turn
from paragent.benchmarks.bfcl_multi_turn import Desk
from paragent.component import Answer
from paragent.environment import Action, World, replay
from paragent.errors import UnknownName
from paragent.worlds.calls import Call, matches, read_calls, same
from paragent.worlds.files import Files
from paragent.worlds.office import Mathematics, Messages, Posts, Tickets
from paragent.worlds.service import Fault
from paragent.worlds.trading import Trading
from paragent.worlds.travel import ROUTES, Travel
from paragent.worlds.vehicle import Vehicle

# -- calls -----------------------------------------------------------------------------------------

WEATHER = Call("get.weather", {"city": "Rome", "days": 3})
SCHEMAS = {
    "get.weather": {
        "properties": {"city": {}, "days": {}, "unit": {}, "where": {}},
        "required": ["city"],
    }
}
ALLOWED: dict[str, dict[str, list[Any]]] = {
    "get.weather": {
        "city": ["Rome", "Roma"],
        "days": [3],
        "unit": ["C", ""],
        "where": [{"lat": [41.9], "note": ["", "x"]}, ""],
    }
}


@pytest.mark.parametrize(
    "text",
    [
        '[get.weather(city="Rome", days=3)]',
        "get.weather(city='Rome', days=3)",
        "I think this is right.\n[get.weather(city='Rome', days=3)]\nThat is all.",
        "Answer: [get.weather(city='Rome', days=3)]",
        "```python\n[get.weather(city='Rome', days=3)]\n```",
        '[{"name": "get.weather", "arguments": {"city": "Rome", "days": 3}}]',
        '{"get.weather": {"city": "Rome", "days": 3}}',
    ],
)
def test_calls_are_read_as_models_write_them(text: str) -> None:
    """Python or JSON, bare, in a list, in a block, after words."""
    assert read_calls(text) == [WEATHER]


@pytest.mark.parametrize(
    "text", ["", "I cannot help.", "[1, 2]", "f(**x)", "f(1)(2)", "[f(x for x in y)]", "a" * 30_000]
)
def test_what_is_no_call_is_none(text: str) -> None:
    """So nothing is called, which is right where no function fits."""
    assert read_calls(text) is None


@pytest.mark.parametrize(
    ("call", "right"),
    [
        (Call("get.weather", {"city": "rome.", "days": 3}), True),
        (Call("get.weather", {"days": 3.0}, ("Roma",)), True),
        (Call("get.weather", {"city": "Rome", "days": 3, "unit": "c"}), True),
        (Call("get.weather", {"city": "Rome", "days": 3, "where": {"lat": 41.9}}), True),
        (Call("get.weather", {"city": "Rome", "days": 3, "where": {"note": "x"}}), False),
        (Call("get.weather", {"city": "Rome", "days": "3"}), False),
        (Call("get.weather", {"city": "Rome", "days": True}), False),
        (Call("get.weather", {"city": "Rome"}), False),  # days may not be left out
        (Call("get.weather", {"days": 3}), False),
        (Call("get.weather", {"city": "Rome", "days": 3, "extra": 1}), False),
        (Call("get.weather", {"city": "Rome"}, ("Rome",)), False),  # city twice
        (Call("weather", {"city": "Rome", "days": 3}), False),
    ],
)
def test_a_call_is_right_where_every_argument_is_allowed(call: Call, right: bool) -> None:
    """Worked by hand, with optional arguments and objects."""
    assert matches([call], [ALLOWED], SCHEMAS) == right


def test_parallel_calls_may_come_in_any_order_but_not_twice() -> None:
    """One for one."""
    two: list[Mapping[str, Any]] = [{"f": {"x": [1]}}, {"f": {"x": [2]}}]
    one, other = Call("f", {"x": 1}), Call("f", {"x": 2})
    assert matches([other, one], two, {})
    assert not matches([one, one], two, {})
    assert not matches([one, other, one], two, {})
    assert same([1, "a b"], (1, "A,B")) and not same(1, [1]) and not same(None, 0)


@given(st.text(max_size=200) | st.text(alphabet="[](){}=,'\"fx1.: \\\n", max_size=80))
@settings(max_examples=300)
def test_any_text_is_calls_or_none(text: str) -> None:
    """Never an exception; names are texts."""
    calls = read_calls(text)
    assert calls is None or all(isinstance(c.name, str) for c in calls)


def test_deep_nesting_is_no_call() -> None:
    """And takes no time."""
    for text in ("[" * 10_000, "f(" * 5_000, "f(x=" + "[" * 9_000 + "]" * 9_000 + ")"):
        assert read_calls(text) is None


def test_the_gold_calls_are_right_and_others_are_not() -> None:
    """1,496 of 1,498: two tasks demand arguments for which no value is allowed. No task takes the
    gold of the next one, nor silence, except where nothing is to be called."""
    benchmark = bfcl.load(data=real_data("benchmarks", "bfcl"))
    tasks = [*benchmark.tasks("dev"), *benchmark.tasks("test")]
    wrong = [t.id for t in tasks if benchmark.score(t, t.answer) < 1]
    assert len(tasks) == 1498
    assert sorted(wrong) == ["live_simple_106-63-0", "live_simple_112-68-0"]
    others = zip(tasks, [*tasks[1:], tasks[0]], strict=True)
    calling = [
        (a, b) for a, b in others if a.tags["part"] != "irrelevance" and a.answer != b.answer
    ]
    assert sum(benchmark.score(a, b.answer) for a, b in calling) == 0
    assert sum(benchmark.score(a, "") for a, _ in calling) == 0
    with pytest.raises(UnknownName, match="Did you mean 'parallel'"):
        bfcl.load("paralel")


# -- services --------------------------------------------------------------------------------------


def test_files_are_where_they_are_put() -> None:
    """Worked by hand: made, written, moved into a folder, found, counted, compared."""
    files = Files({})
    files.mkdir("box")
    files.echo("b\na", "one.txt")
    assert files.sort("one.txt") == {"sorted_content": "a\nb"}
    assert files.cat("one.txt") == {"file_content": "b\na"}
    files.cp("one.txt", "two.txt")
    assert files.diff("one.txt", "two.txt") == {"diff_lines": ""}
    files.mv("one.txt", "box")
    assert files.find(name="one") == {"matches": ["./box/one.txt"]}
    with pytest.raises(Fault, match="not empty"):
        files.rmdir("box")
    with pytest.raises(Fault, match="no such file: one"):
        files.cat("one.txt")
    files.cd("box")
    assert files.pwd() == {"current_working_directory": "/workspace/box"}
    assert files.wc("one.txt", "w") == {"count": 2, "type": "words"}
    assert files.tail("one.txt", 1) == {"last_lines": "a"}
    with pytest.raises(Fault, match="mode must be"):
        files.wc("one.txt", "x")
    files.cd("..")
    with pytest.raises(Fault, match="top directory"):
        files.cd("..")
    with pytest.raises(Fault, match="no name in the current directory"):
        files.cp("two.txt", "box/three.txt")


def test_accounts_posts_and_tickets_ask_who_is_there() -> None:
    """Each refuses until somebody has logged in."""
    posts, tickets, messages = Posts({}), Tickets({}), Messages({})
    refusals: list[Callable[[], Any]] = [
        lambda: posts.post_tweet("x"),
        lambda: tickets.create_ticket("x"),
        lambda: messages.send_message("USR002", "x"),
        Trading({}).get_account_info,
        lambda: Travel({}).get_booking_history("x"),
    ]
    for refused in refusals:
        with pytest.raises(Fault):
            refused()
    assert posts.authenticate_twitter("john", "john123") == {"authentication_status": True}
    assert posts.post_tweet("hello", tags=["#a"])["id"] == 0
    assert posts.comment(0, "hi") and posts.get_tweet_comments(0)["comments"][0]["content"] == "hi"
    tickets.ticket_login("me", "secret")
    assert tickets.create_ticket("x", priority=5)["id"] == 1
    tickets.resolve_ticket(1, "done")
    with pytest.raises(Fault, match="resolved already"):
        tickets.resolve_ticket(1, "again")
    messages.message_login("USR001")
    messages.send_message("USR002", "lunch?")
    assert messages.search_messages("LUNCH")["results"][0]["receiver_id"] == "USR002"


def test_a_flight_costs_what_the_table_says() -> None:
    """San Francisco to Los Angeles, 200 dollars; business doubles it, and so does a date whose
    digits sum to an even number. A card pays for it, and is paid back."""
    card = {"c": {"balance": 1000.0}}
    travel = Travel({"access_token": "t", "token_expires_in": 9, "credit_card_list": card})
    assert ROUTES["SFO", "LAX"] == 200 and ROUTES["RMS", "GFD"] == 320
    assert travel.get_flight_cost("SFO", "LAX", "2026-11-10", "business") == {
        "travel_cost_list": [400.0]
    }
    booked = travel.book_flight("t", "c", "2026-11-11", "SFO", "LAX", "business")
    assert booked["booking_id"] == "3426812"
    assert travel.get_credit_card_balance("t", "c") == {"card_balance": 200.0}
    travel.cancel_booking("t", "3426812")
    assert travel.get_credit_card_balance("t", "c") == {"card_balance": 1000.0}
    with pytest.raises(Fault, match="access token"):
        travel.set_budget_limit("wrong", 1.0)


def test_a_car_starts_locked_and_braked() -> None:
    """In this order only."""
    car = Vehicle({"fuelLevel": 10.0})
    with pytest.raises(Fault, match="lock the doors"):
        car.startEngine("START")
    car.lockDoors(False, ["driver", "passenger", "rear_left", "rear_right"])
    with pytest.raises(Fault, match="brake pedal fully"):
        car.startEngine("START")
    car.pressBrakePedal(1.0)
    assert car.startEngine("START")["engineState"] == "running"
    with pytest.raises(Fault, match="the tank holds 50"):
        car.fillFuelTank(41.0)
    assert car.estimate_distance("74532", "83214") == car.estimate_distance("83214", "74532")


@pytest.mark.parametrize(
    ("function", "arguments", "wanted"),
    [
        ("logarithm", (36.0, 6.0, 4), 2.0),
        ("power", (2, 10), 1024.0),
        ("imperial_si_conversion", (100, "celsius", "fahrenheit"), 212.0),
        ("si_unit_conversion", (1, "km", "m"), 1000.0),
        ("standard_deviation", ([2, 4, 4, 4, 5, 5, 7, 9],), 2.0),
        ("power", (10, 10**6), None),
        ("divide", (1, 0), None),
        ("square_root", (-1, 5), None),
        ("mean", ([],), None),
        ("logarithm", (2, 10, 10**9), None),
    ],
)
def test_mathematics_gives_a_number_or_says_why_not(
    function: str, arguments: tuple[Any, ...], wanted: float | None
) -> None:
    """Never infinity, never for ever."""
    call = getattr(Mathematics({}), function)
    if wanted is None:
        with pytest.raises(Fault):
            call(*arguments)
    else:
        assert call(*arguments)["result"] == pytest.approx(wanted)


# -- conversations ---------------------------------------------------------------------------------


def test_gold_conversations_end_in_the_gold_state() -> None:
    """All 200, through the same tools as any agent; all 1,142 gold calls succeed."""
    folder = real_data("benchmarks", "bfcl")
    benchmark = bfcl_multi_turn.load(folder)
    tasks = [*benchmark.tasks("dev"), *benchmark.tasks("test")]
    assert len(tasks) == 200
    assert sum(asyncio.run(replay(benchmark, task)) for task in tasks) == 200
    rows = bfcl_multi_turn.SOURCE.rows("multi_turn_base", folder)
    calls = sum(len(turn) for row in rows for turn in row["ground_truth"])
    docs = bfcl_multi_turn.read_docs(folder)
    order = bfcl_multi_turn._doc_order(docs)
    results = sum(
        len(told)
        for row in rows
        for _, told in bfcl_multi_turn.gold_results(json.dumps(row), order)
    )
    assert calls == results == 1142


def test_what_is_left_out_or_done_too_much_is_seen() -> None:
    """Without its first call, with a folder too many, or without an end no conversation scores."""
    benchmark = bfcl_multi_turn.load(real_data("benchmarks", "bfcl"))
    task = next(
        t
        for t in [*benchmark.tasks("dev"), *benchmark.tasks("test")]
        if t.id == "multi_turn_base_0"
    )
    gold = benchmark.oracle(task)
    assert isinstance(gold, list)
    extra = [Action.of("mkdir", dir_name="more"), *gold]
    assert [asyncio.run(_play(benchmark.environment(task), steps)) for steps in (
        gold, gold[1:], extra, gold[:-1]
    )] == [1.0, 0.0, 0.0, 0.0]  # fmt: skip


async def _play(environment: Any, steps: list[Action]) -> float:
    assert isinstance(environment, Desk)
    world = World(environment, 60)
    tools = {tool.name: tool for tool in environment.tools}
    for step in steps:
        if step.tool:
            await world.act(tools[step.tool], step.arguments)
        else:
            await world.hear(step.arguments)
    return await world.score(Answer(""))
