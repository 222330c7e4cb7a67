"""BFCL, several turns: a user asks for one thing after another, and an agent works with services.

Source: Patil et al. 2025, The Berkeley Function Calling Leaderboard, section 5 (multi-turn);
github.com/ShishirPatil/gorilla at 6ea5797, BFCL_v4_multi_turn_base.json, its possible answers and
multi_turn_func_doc. Licence: Apache-2.0. 200 conversations of 1 to 7 turns with 8 services (files,
mathematics, messages, posts, tickets, trading, travel, a car), written anew from the function docs
(`paragent.worlds`). Version 1. One raw example (cut):

    {"id": "multi_turn_base_0", "question": [[{"role": "user", "content": "Move 'final_report.pdf'
    within document directory to 'temp' directory in document. Make sure to create the
    directory"}], ...], "initial_config": {"GorillaFileSystem": {"root": {"workspace": ...}}},
    "involved_classes": ["TwitterAPI", "GorillaFileSystem"], "ground_truth": [["cd(folder=
    'document')", "mkdir(dir_name='temp')", "mv(source='final_report.pdf', destination='temp')"],
    ...]}

Saying something without a call ends a turn, and the user's next wish follows. Scored as the
official `multi_turn_checker`: 1 where after every turn all services are in the state in which the
gold calls leave them, and every result of a gold call was also among the agent's results so far
(what the user asked to be told was looked up); else 0. 60 steps at most, the official limit is 20 a
turn.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from paragent.benchmark import Referee, Task
from paragent.component import Answer, Tool
from paragent.environment import Action, Environment, Oracle, Refused, action
from paragent.errors import UsageError
from paragent.hub import Part, Row, Source, read_lines
from paragent.outcome import Split
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import share_of
from paragent.world_benchmark import WorldBenchmark
from paragent.worlds.calls import Call, read_calls
from paragent.worlds.files import Files
from paragent.worlds.office import Mathematics, Messages, Posts, Tickets
from paragent.worlds.service import Fault, Service, told
from paragent.worlds.trading import Trading
from paragent.worlds.travel import Travel
from paragent.worlds.vehicle import Vehicle

VERSION = "1"
STEPS = 60

#: BFCL's name of a service: its functions' docs, and ours.
SERVICES: Mapping[str, tuple[str, type[Service]]] = {
    "GorillaFileSystem": ("gorilla_file_system", Files),
    "MathAPI": ("math_api", Mathematics),
    "MessageAPI": ("message_api", Messages),
    "TwitterAPI": ("posting_api", Posts),
    "TicketAPI": ("ticket_api", Tickets),
    "TradingBot": ("trading_bot", Trading),
    "TravelAPI": ("travel_booking", Travel),
    "VehicleControlAPI": ("vehicle_control", Vehicle),
}
_TYPES = {"float": "number", "dict": "object", "tuple": "array", "any": ""}

#: The rows lie with those of the one-turn benchmark.
SOURCE = Source(
    "bfcl",
    (Part("multi_turn_base", 200),),
    ("question", "initial_config", "involved_classes", "ground_truth"),
)

#: A function: its name, description and parameters (as JSON schema), and its service.
Doc = Mapping[str, Any]


class Desk(Environment):
    """The services of one task and its user, who says the next thing when a turn is over."""

    has_user = True

    def __init__(self, row: Row, docs: Mapping[str, Sequence[Doc]]) -> None:
        self.row = row
        self.services = open_services(row)
        self.turns = [" ".join(str(m["content"]) for m in turn) for turn in row["question"]]
        self.gold = gold_results(json.dumps(row), _doc_order(docs))
        self.results: Counter[str] = Counter()
        self.turn, self.right = 0, True
        excluded = set(row.get("excluded_function") or ())
        self.tools = tuple(
            self._tool(self.services[name], doc)
            for name in row["involved_classes"]
            for doc in docs[name]
            if doc["name"] not in excluded
        )

    def _tool(self, service: Service, doc: Doc) -> Tool:
        function: Callable[..., Any] = getattr(service, doc["name"])

        def run(**arguments: Any) -> str:
            try:
                result = told(lambda: function(**arguments))
            except Fault as fault:
                raise Refused(str(fault)) from None
            text = json.dumps(result, ensure_ascii=False, default=str)
            self.results[text] += 1
            return text

        schema = doc["parameters"]
        required = schema.get("required", ())
        return action(doc["name"], doc["description"], run, schema["properties"], required)

    @property
    def over(self) -> bool:
        """Whether the user has no more wishes."""
        return self.turn >= len(self.turns)

    async def reply(self, said: str) -> str | None:
        """The turn is over: it is compared, and the next wish is told."""
        states, results = self.gold[self.turn]
        mine = {name: service.state() for name, service in self.services.items()}
        self.right = self.right and mine == states and not Counter(results) - self.results
        self.turn += 1
        return None if self.over else self.turns[self.turn]

    def score(self, answer: Answer) -> float:
        """1.0 where every turn was finished and right."""
        return float(self.over and self.right)


def open_services(row: Row) -> dict[str, Service]:
    """The services of a task, as they are in the beginning."""
    config = row["initial_config"]
    return {n: SERVICES[n][1](config.get(n) or {}) for n in row["involved_classes"]}


@cache
def gold_results(
    row: str, order: tuple[tuple[str, tuple[str, ...]], ...]
) -> tuple[tuple[dict[str, Any], tuple[str, ...]], ...]:
    """What the gold calls of each turn lead to: the states of all services, and the results of the
    calls that succeed. `row` is the task as JSON, `order` the parameters of each function."""
    data, parameters = json.loads(row), dict(order)
    services = open_services(data)
    found = []
    for turn in data["ground_truth"]:
        results = []
        for text in turn:
            result = run_call(services, text, parameters)
            if not isinstance(result, Fault):
                results.append(json.dumps(result, ensure_ascii=False, default=str))
        states = {name: copy.deepcopy(s.state()) for name, s in services.items()}
        found.append((states, tuple(results)))
    return tuple(found)


def run_call(
    services: Mapping[str, Service], text: str, parameters: Mapping[str, tuple[str, ...]]
) -> Any:
    """What a call written as Python gives on whichever service has it; a Fault where it cannot."""
    call = gold_call(text)
    function = next(f for s in services.values() if (f := getattr(s, call.name, None)))
    arguments = call.arguments(parameters[call.name])
    try:
        return told(lambda: function(**(arguments or {})))
    except Fault as fault:
        return fault


def gold_call(text: str) -> Call:
    """One call as the data set writes it. Raises ValueError for another text."""
    calls = read_calls(text) or []
    if len(calls) != 1:
        raise ValueError(f"no gold call: {text}")
    return calls[0]


def gold_actions(row: Row, docs: Mapping[str, Sequence[Doc]]) -> list[Action]:
    """The gold calls, and a word to the user after each turn."""
    parameters = dict(_doc_order(docs))
    found = []
    for turn in row["ground_truth"]:
        for text in turn:
            call = gold_call(text)
            arguments = call.arguments(parameters[call.name])
            found.append(Action(call.name, json.dumps(arguments)))
        found.append(Action.say("done"))
    return found


def _doc_order(docs: Mapping[str, Sequence[Doc]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(
        (d["name"], tuple(d["parameters"]["properties"])) for ds in docs.values() for d in ds
    )


def read_docs(folder: Path) -> dict[str, list[Doc]]:
    """The functions of every service, from BFCL's docs. Raises ConfigError."""
    return {
        name: [_doc(row) for _, row in read_lines(folder / f"func_doc_{file}.jsonl")]
        for name, (file, _) in SERVICES.items()
    }


def _doc(row: Row) -> Doc:
    parameters = _schema(row["parameters"])
    # Some tasks name tickets by words.
    if "ticket_id" in parameters["properties"]:
        parameters["properties"]["ticket_id"].pop("type")
    return {"name": row["name"], "description": row["description"], "parameters": parameters}


def _schema(value: Any) -> Any:
    """JSON schema from BFCL's own types."""
    if not isinstance(value, dict):
        return value
    found = {k: _schema(v) for k, v in value.items()}
    if isinstance(found.get("type"), str):
        found["type"] = _TYPES.get(found["type"], found["type"])
    if found.get("type") == "object" and "properties" not in found:
        found["properties"] = {}
    return found


def missing() -> str:
    """The command that makes it ready, or ""."""
    place = SOURCE.place()
    there = place is not None and (place / "func_doc_math_api.jsonl").is_file()
    if there and SOURCE.has("multi_turn_base"):
        return ""
    files = "multi_turn_base.jsonl and func_doc_*.jsonl from github.com/ShishirPatil/gorilla"
    return f"paragent search --benchmark bfcl_multi_turn --data FOLDER   # {files}"


def load(data: str | Path | None = None) -> WorldBenchmark:
    """The conversations, halved by hash of their ids.

    Raises UsageError where the rows or the function docs are missing.
    """
    place = SOURCE.place(data)
    rows = SOURCE.rows("multi_turn_base", data)
    folder = place if place is None or place.is_dir() else place.parent
    if folder is None or not (folder / "func_doc_math_api.jsonl").is_file():
        raise UsageError(f"{folder}: the function docs (func_doc_*.jsonl) of BFCL are missing")
    docs = read_docs(folder)
    known = {str(row["id"]): row for row in rows}

    def tasks(split: Split) -> Sequence[Task]:
        chosen = [i for i in known if (share_of(i) < 0.5) == (split == "test")]
        ordered = sorted(chosen, key=lambda i: (share_of(i, "order:"), i))
        return [_task(known[i]) for i in ordered]

    def open_world(task: Task, referee: Referee | None) -> Environment:
        return Desk(known[task.id], docs)

    def oracle(task: Task) -> Oracle:
        return gold_actions(known[task.id], docs)

    return WorldBenchmark("bfcl_multi_turn", VERSION, tasks, open_world, oracle, steps=STEPS)


def _task(row: Row) -> Task:
    first = " ".join(str(m["content"]) for m in row["question"][0])
    tags = {"services": ", ".join(row["involved_classes"]), "turns": str(len(row["question"]))}
    return Task(str(row["id"]), first, "", tags)


BFCL_MULTI_TURN = BenchmarkPlugin(
    "bfcl_multi_turn",
    "a user's wishes one after another, with eight services",
    load,
    source="github.com/ShishirPatil/gorilla",
    licence="Apache-2.0",
    version=VERSION,
    sizes={"dev": 102, "test": 98},
    scorer="state and results after every turn",
    missing=missing,
)
