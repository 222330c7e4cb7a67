"""Tau-bench: desks that obey their databases, users scripted and simulated, gold actions."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from real_data import real_data
from scripted import ScriptedModel, Straight

from paragent.benchmark import CallsModels
from paragent.benchmarks import tau
from paragent.compile import compile_design
from paragent.design import Agent, Design, Part
from paragent.environment import Action, Interactive, Refused, replay
from paragent.errors import ConfigError, UsageError
from paragent.evaluate import evaluate_task
from paragent.outcome import Failed, Measured, Outcome
from paragent.runtime.model import Completion, Request, ToolCall
from paragent.worlds.airline import Airline
from paragent.worlds.shop import Shop
from paragent.worlds.tables import Tables

Make = Callable[..., ScriptedModel]
DIRECT = Design(Agent(Part("agent"), Part("direct")))

CARD = {"source": "credit_card", "id": "card_1", "brand": "visa", "last_four": "1111"}
USER = {
    "name": {"first_name": "Ada", "last_name": "Lee"},
    "email": "ada@example.com",
    "address": {"zip": "10001"},
    "payment_methods": {
        "card_1": CARD,
        "gift_card_1": {"source": "gift_card", "id": "gift_card_1", "amount": 100, "balance": 100},
        "certificate_1": {"source": "certificate", "id": "certificate_1", "amount": 250},
    },
    "reservations": [],
    "orders": ["#1"],
}
FLIGHT = {
    "flight_number": "F1",
    "origin": "JFK",
    "destination": "SEA",
    "scheduled_departure_time_est": "06:00:00",
    "scheduled_arrival_time_est": "12:00:00",
    "dates": {
        "2024-05-20": {
            "status": "available",
            "available_seats": {"economy": 2},
            "prices": {"economy": 120},
        },
        "2024-05-21": {"status": "cancelled"},
    },
}
AIRLINE = {"users": {"ada": USER}, "flights": {"F1": FLIGHT}, "reservations": {}}


def airline() -> Airline:
    """A desk with one user and one flight."""
    return Airline(Tables(AIRLINE))


def book(desk: Airline, **changes: Any) -> Any:
    """A flight for one, paid by certificate."""
    wish: dict[str, Any] = {
        "user_id": "ada",
        "origin": "JFK",
        "destination": "SEA",
        "flight_type": "one_way",
        "cabin": "economy",
        "flights": [{"flight_number": "F1", "date": "2024-05-20"}],
        "passengers": [{"first_name": "Ada", "last_name": "Lee", "dob": "1990-01-01"}],
        "payment_methods": [{"payment_id": "certificate_1", "amount": 150}],
        "total_baggages": 0,
        "nonfree_baggages": 0,
        "insurance": "yes",
    }
    return json.loads(desk.book_reservation(**{**wish, **changes}))


def test_a_booking_is_paid_to_the_cent_and_changes_the_database() -> None:
    """Worked by hand: 120 dollars and 30 for insurance; the certificate is used up, whatever was
    left of it; the next change is paid by card."""
    desk = airline()
    fresh = desk.tables.digest()
    assert book(desk)["reservation_id"] == "HATHAT"
    user = json.loads(desk.get_user_details("ada"))
    assert "certificate_1" not in user["payment_methods"] and user["reservations"] == ["HATHAT"]
    desk.update_reservation_baggages("HATHAT", 2, 1, "gift_card_1")
    user = json.loads(desk.get_user_details("ada"))
    assert user["payment_methods"]["gift_card_1"]["amount"] == 50
    desk.cancel_reservation("HATHAT")
    paid = json.loads(desk.get_reservation_details("HATHAT"))["payment_history"]
    assert [p["amount"] for p in paid] == [150, 50, -150, -50]
    assert desk.tables.digest() != fresh == airline().tables.digest()
    assert USER["reservations"] == []  # other worlds see nothing of it


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"insurance": "no"}, "add up to 150, the price is 120"),
        ({"flights": [{"flight_number": "F1", "date": "2024-05-21"}]}, "cannot be booked"),
        ({"flights": [{"flight_number": "F9", "date": "2024-05-20"}]}, "no flight 'F9'"),
        ({"flights": [{}]}, "needs a text 'flight_number'"),
        ({"passengers": [{}] * 3}, "not enough seats"),
        ({"payment_methods": [{"payment_id": "gift_card_1", "amount": 150}]}, "only 100 left"),
        ({"payment_methods": [{"payment_id": "card_2", "amount": 150}]}, "no payment method"),
        ({"payment_methods": [{"payment_id": "card_1"}]}, "needs an amount"),
        ({"user_id": "bob"}, "no user 'bob'"),
    ],
)
def test_what_cannot_be_booked_is_refused_and_nothing_has_changed(
    changes: dict[str, Any], why: str
) -> None:
    """The database is as before."""
    desk = airline()
    with pytest.raises(Refused, match=why):
        book(desk, **changes)
    assert desk.tables.digest() == airline().tables.digest()


def test_flights_are_searched_by_day() -> None:
    """Only those that can be booked."""
    desk = airline()
    (found,) = json.loads(desk.search_direct_flight("JFK", "SEA", "2024-05-20"))
    assert found["prices"] == {"economy": 120} and "dates" not in found
    assert desk.search_direct_flight("JFK", "SEA", "2024-05-21") == "[]"
    assert desk.calculate("(1 + 2) / 4") == "0.75" and desk.calculate("1/3") == "0.33"
    with pytest.raises(Refused):
        desk.calculate("__import__('os')")


ITEM = {"name": "Lamp", "product_id": "p", "item_id": "old", "price": 20.5, "options": {}}
ORDER = {
    "order_id": "#1",
    "user_id": "ada",
    "status": "pending",
    "items": [ITEM],
    "address": {},
    "payment_history": [
        {"transaction_type": "payment", "amount": 20.5, "payment_method_id": "card_1"}
    ],
}
LAMPS = {
    "new": {"item_id": "new", "options": {"colour": "red"}, "available": True, "price": 30.25},
    "gone": {"item_id": "gone", "options": {}, "available": False, "price": 1.0},
}
SHOP: dict[str, Any] = {
    "users": {"ada": USER},
    "orders": {"#1": ORDER, "#2": {**ORDER, "order_id": "#2", "status": "delivered"}},
    "products": {"p": {"name": "Lamp", "product_id": "p", "variants": LAMPS}},
}


def test_items_are_changed_for_others_of_the_same_product() -> None:
    """Worked by hand: 9.75 more, taken from the gift card; a second change is refused."""
    desk = Shop(Tables(SHOP))
    assert desk.find_user_id_by_email("ADA@example.com") == "ada"
    assert desk.find_user_id_by_name_zip("ada", "LEE", "10001") == "ada"
    order = json.loads(desk.modify_pending_order_items("#1", ["old"], ["new"], "gift_card_1"))
    assert order["items"][0]["options"] == {"colour": "red"}
    assert order["payment_history"][-1]["amount"] == 9.75
    user = json.loads(desk.get_user_details("ada"))
    assert user["payment_methods"]["gift_card_1"]["balance"] == 90.25
    with pytest.raises(Refused, match="not pending"):
        desk.cancel_pending_order("#1", "no longer needed")


@pytest.mark.parametrize(
    ("wish", "why"),
    [
        (lambda d: d.cancel_pending_order("#1", "bored"), "the reason must be"),
        (lambda d: d.cancel_pending_order("#2", "no longer needed"), "delivered, not pending"),
        (lambda d: d.modify_pending_order_items("#1", ["old"], ["gone"], "card_1"), "no available"),
        (lambda d: d.modify_pending_order_items("#1", ["x"], ["new"], "card_1"), "no such item"),
        (lambda d: d.modify_pending_order_payment("#1", "card_1"), "in this way already"),
        (lambda d: d.return_delivered_order_items("#2", ["old"], "certificate_1"), "goes back"),
        (lambda d: d.exchange_delivered_order_items("#2", ["old"], [], "card_1"), "one new item"),
        (lambda d: d.return_delivered_order_items("#2", [], "card_1"), "none was named"),
    ],
)
def test_what_the_shop_cannot_do_is_refused(wish: Callable[[Shop], str], why: str) -> None:
    """And nothing has changed."""
    desk = Shop(Tables(SHOP))
    with pytest.raises(Refused, match=why):
        wish(desk)
    assert desk.tables.digest() == Tables(SHOP).digest()


# -- visits ----------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data of a tiny airline: two tasks, of which the first wants two things."""
    with gzip.open(tmp_path / "db.json.gz", "wt") as file:
        json.dump(AIRLINE, file)
    (tmp_path / "policy.md").write_text("Be kind.")
    number = {"user_id": {"type": "string"}, "amount": {"type": "number"}}
    parameters = {"type": "object", "properties": number, "required": [*number]}
    send = {"name": "send_certificate", "description": "Sends.", "parameters": parameters}
    hand = {
        "name": "transfer_to_human_agents",
        "description": "Hands over.",
        "parameters": {"type": "object", "properties": {"summary": {"type": "string"}}},
    }
    schemas = [{"type": "function", "function": f} for f in (send, hand)]
    (tmp_path / "tools_schema.json").write_text(json.dumps(schemas))
    gold = {"name": "send_certificate", "arguments": {"user_id": "ada", "amount": 1500}}
    rows = [
        {"id": f"t{i}", "instruction": f"Ask for 1500. ({i})", "actions": [gold],
         "outputs": ["1,500"]}
        for i in range(4)
    ]  # fmt: skip
    (tmp_path / "tasks_test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return tmp_path


def visit(benchmark: tau.TauBenchmark) -> Outcome:
    """One direct agent, one visit."""
    return asyncio.run(
        evaluate_task(
            compile_design(DIRECT),
            benchmark,
            benchmark.tasks("dev")[0],
            Straight(),
            purpose="search-eval",
            seed=0,
        )
    )


def serves(request: Request) -> str | Completion:
    """Asks whether it may, then sends, then tells."""
    last = request.messages[-1]
    if last.role == "tool":
        return "I sent you 1500 dollars."
    if sum(m.role == "user" for m in request.messages) > 1:
        wish = ToolCall("c", "send_certificate", '{"user_id": "ada", "amount": 1500}')
        return Completion("", 10, 5, 1.0, tool_calls=(wish,))
    return "May I send you a certificate?"


def test_a_scripted_user_tells_all_and_says_yes(scripted: Make, folder: Path) -> None:
    """Question, yes, action, report: the database and what was told are right."""
    agent = scripted(serves, name="agent", tool_protocol="native")
    benchmark = tau.load("airline", data=folder)
    assert isinstance(benchmark, Interactive) and isinstance(benchmark, CallsModels)
    outcome = visit(benchmark)
    assert isinstance(outcome, Measured) and outcome.score == 1.0
    assert "Be kind." in agent.seen[0].messages[0].content
    assert [m.content for m in agent.seen[1].messages][-1] == "Yes, please go on."


def test_a_model_plays_the_user(scripted: Make, folder: Path) -> None:
    """It begins, hears everything the agent says, and ends the visit; its calls are none of the
    design's."""

    def customer(request: Request) -> str:
        heard = request.messages[-1].content
        return tau.STOP if "1500 dollars" in heard else f"I am Ada ({heard.count('Agent:')})."

    user = scripted(customer, name="customer")
    agent = scripted(serves, name="agent", tool_protocol="native")
    outcome = visit(tau.load("airline", user="customer", data=folder))
    assert isinstance(outcome, Measured) and outcome.score == 1.0
    assert outcome.usage.calls == len(agent.seen) == 3
    assert agent.seen[0].messages[1].content == "I am Ada (1)."
    assert "Ask for 1500." in user.seen[0].messages[0].content
    assert len(user.seen) == 3


def test_a_user_who_never_stops_is_stopped(scripted: Make, folder: Path) -> None:
    """By the steps; the visit scores what the database shows."""
    scripted(lambda request: "Why?", name="customer")
    scripted(lambda request: "Because?", name="agent", tool_protocol="native")
    outcome = visit(tau.load("airline", user="customer", data=folder))
    assert isinstance(outcome, Measured)
    assert (outcome.score, outcome.usage.calls) == (0.0, tau.STEPS + 1)


def test_a_user_whose_model_fails_fails_the_task(scripted: Make, folder: Path) -> None:
    """Not the design's zero."""
    from paragent.errors import CallFailure

    def broken(request: Request) -> str:
        raise CallFailure("server", "down")

    scripted(broken, name="customer")
    scripted(lambda request: "Hello", name="agent", tool_protocol="native")
    outcome = visit(tau.load("airline", user="customer", data=folder))
    assert isinstance(outcome, Failed) and outcome.kind == "server"


def test_a_handed_over_user_is_gone(folder: Path) -> None:
    """After that nothing can be done."""
    benchmark = tau.load("airline", data=folder)
    environment = benchmark.environment(benchmark.tasks("dev")[0])
    environment.tools[1].call('{"summary": "x"}')
    assert environment.over


def test_a_folder_that_is_not_right_is_told(folder: Path, tmp_path: Path) -> None:
    """A missing file, a tool that does not exist."""
    (folder / "tools_schema.json").write_text('[{"function": {"name": "fly"}}]')
    tau._read.cache_clear()
    with pytest.raises(ConfigError, match="no tool 'fly'"):
        tau.load("airline", data=folder)
    (folder / "policy.md").unlink()
    with pytest.raises(UsageError, match=r"policy\.md of tau_airline is missing"):
        tau.load("airline", data=folder)


@pytest.mark.parametrize(
    ("domain", "tasks", "changing"), [("airline", 50, 30), ("retail", 115, 104)]
)
def test_gold_actions_reach_the_gold_state(domain: str, tasks: int, changing: int) -> None:
    """Every task through the tools of its world, twice the same; doing nothing solves only those
    whose gold changes nothing and has nothing to tell."""
    benchmark = tau.load(domain, data=real_data("benchmarks", f"tau_{domain}"))
    every = [*benchmark.tasks("dev"), *benchmark.tasks("test")]
    assert len(every) == tasks
    assert all(asyncio.run(replay(benchmark, t)) == 1.0 for t in every)

    async def idle(task: Any) -> float:
        found = benchmark.score(task, "I did nothing.")
        return found if isinstance(found, float) else await found

    solved = sum(asyncio.run(idle(t)) for t in every)
    assert solved <= tasks - changing
    first = every[0]
    gold = benchmark.oracle(first)
    assert isinstance(gold, list) and isinstance(gold[-1], Action)
