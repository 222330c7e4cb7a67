"""Tau-bench: an agent serves a customer by the rules, and the database shows what it did.

Source: Yao et al. 2024, tau-bench: A Benchmark for Tool-Agent-User Interaction in Real-World
Domains, section 3; github.com/sierra-research/tau-bench at 59a200c (tasks, database, policy, tool
schemas; the tools are written anew). Licence: MIT. airline: 50 tasks, 14 tools; retail: 115 tasks,
16 tools. Version 1. One raw example (`tasks_test.jsonl` of the airline):

    {"id": "tau-airline-1", "user_id": "olivia_gonzalez_2305", "instruction": "Your user id is
    olivia_gonzalez_2305, you currently reside in Newark, and you will have a crazy half-day trip to
    Texas. ...", "actions": [{"name": "cancel_reservation", "arguments": {"reservation_id":
    "Z7GOZK"}}], "outputs": []}

An agent has the policy in its instruction, the tools, and a user. With `user` the name of a
registered model, that model plays the user from the task's instruction (its calls are in the ledger
as "judge"). Without one the user is scripted: it tells the whole instruction at once and answers
every question with yes, which is easier than the benchmark is meant to be; its figures are no
tau-bench figures.

Scored as published: 1 where the database ends in the same state as after the gold actions, and
every text of `outputs` was told to the user (without case and commas); else 0. The data have a test
part only; it is halved by hash of the task's id. A folder holds `tasks_test.jsonl`, `db.json.gz`,
`policy.md` and `tools_schema.json`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from paragent.benchmark import Referee, Task
from paragent.component import Answer, Tool
from paragent.environment import Action, Ask, Environment, Oracle, Refused, action
from paragent.errors import ConfigError, UsageError
from paragent.hub import Part, Row, Source
from paragent.outcome import Split
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import share_of
from paragent.world_benchmark import WorldBenchmark
from paragent.worlds.airline import Airline
from paragent.worlds.shop import Shop
from paragent.worlds.tables import Tables

VERSION = "1"
#: Tool calls and words of the user together; the official limit is 30 turns.
STEPS = 60
#: What a simulated user says when its wish is fulfilled, or cannot be.
STOP = "###STOP###"
USER_INSTRUCTION = (
    "You are a customer who talks with a service agent in writing. This is your situation:\n{0}\n\n"
    "Write only what you say next, in one or two sentences. Tell what is needed for the step at "
    "hand and no more; tell nothing that is not in your situation, and say so when you do not know "
    "something. Use your own words. When your wish is fulfilled, or the agent cannot help or hands "
    f"you over, write only {STOP}"
)

Desk = Airline | Shop


@dataclass(frozen=True)
class Domain:
    """What a folder holds. `base` is the database, which no world changes."""

    desk: Callable[[Tables], Desk]
    base: Mapping[str, Any]
    policy: str
    schemas: Sequence[Mapping[str, Any]]


class Service(Environment):
    """One customer's visit. `reads` are the tools that change nothing."""

    has_user = True

    def __init__(self, domain: Domain, row: Row, user: str, referee: Referee | None) -> None:
        self.domain, self.row, self.user, self.referee = domain, row, user, referee
        self.desk = domain.desk(Tables(domain.base))
        self.instruction = domain.policy
        self.gone = False
        self.heard: list[str] = []
        self.talk: list[str] = []
        self.tools = tuple(_tool(self.desk, schema) for schema in domain.schemas)

    @property
    def over(self) -> bool:
        """Whether the user has gone or was handed over."""
        return self.gone or self.desk.over

    async def play(self, ask: Ask, question: str) -> Answer:
        """The user begins."""
        first = await self._says("Agent: Hello, how can I help you?") if self.user else question
        answer = await ask(first or question)
        self.heard.append(answer.full or answer.text)
        return answer

    async def reply(self, said: str) -> str | None:
        """What the user says next; None where it has gone."""
        self.heard.append(said)
        if not self.user:
            answer = "Yes, please go on." if "?" in said else None
        else:
            answer = await self._says(f"Agent: {said}")
        self.gone = answer is None
        return answer

    async def _says(self, agent: str) -> str | None:
        if self.referee is None:
            raise UsageError(f"the simulated user {self.user!r} needs a run that can call models")
        self.talk.append(agent)
        instruction = USER_INSTRUCTION.format(self.row["instruction"])
        reply = await self.referee.ask(self.user, instruction, "\n".join(self.talk))
        text = reply.text.strip()
        if STOP in text:
            return None
        self.talk.append(f"You: {text}")
        return text

    def score(self, answer: Answer) -> float:
        """1.0 where the database is as it should be, and all was told."""
        right = Tables(self.domain.base)
        gold = self.domain.desk(right)
        for step in self.row["actions"]:
            try:
                getattr(gold, step["name"])(**step["arguments"])
            except Refused:
                continue  # as published: a gold action that is refused changes nothing
        told = " ".join(self.heard).lower().replace(",", "")
        said = all(str(text).lower().replace(",", "") in told for text in self.row["outputs"])
        return float(said and self.desk.tables.digest() == right.digest())


def _tool(desk: Desk, schema: Mapping[str, Any]) -> Tool:
    function = schema["function"]
    parameters = function["parameters"]
    return action(
        function["name"],
        function["description"],
        getattr(desk, function["name"]),
        parameters["properties"],
        parameters.get("required", ()),
    )


@dataclass(frozen=True)
class TauBenchmark(WorldBenchmark):
    """`models` names the one that plays the user, if one does."""

    models: tuple[str, ...] = ()


_DESKS: Mapping[str, Callable[[Tables], Desk]] = {"airline": Airline, "retail": Shop}
_FILES = ("db.json.gz", "policy.md", "tools_schema.json")
_FIELDS = ("id", "instruction", "actions", "outputs")
SOURCES = {
    "airline": Source("tau_airline", (Part("tasks_test", 50),), _FIELDS),
    "retail": Source("tau_retail", (Part("tasks_test", 115),), _FIELDS),
}


def missing(domain: str) -> str:
    """The command that makes it ready, or ""."""
    place = SOURCES[domain].place()
    if place is not None and all((place / name).is_file() for name in _FILES):
        return SOURCES[domain].missing()
    files = f"{', '.join(_FILES)} and tasks_test.jsonl, from github.com/sierra-research/tau-bench"
    return f"paragent search --benchmark tau_{domain} --data FOLDER   # {files}"


@lru_cache(maxsize=4)
def _read(domain: str, folder: Path) -> Domain:
    for name in _FILES:
        if not (folder / name).is_file():
            raise UsageError(f"{folder}: {name} of tau_{domain} is missing")
    try:
        base = json.loads(gzip.decompress((folder / "db.json.gz").read_bytes()))
        schemas = json.loads((folder / "tools_schema.json").read_text(encoding="utf-8"))
        names = [schema["function"]["name"] for schema in schemas]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder}: not the data of tau_{domain}: {error}") from None
    unknown = [name for name in names if not hasattr(_DESKS[domain], name)]
    if unknown:
        raise ConfigError(f"{folder}/tools_schema.json: tau_{domain} has no tool {unknown[0]!r}")
    policy = (folder / "policy.md").read_text(encoding="utf-8")
    return Domain(_DESKS[domain], base, policy, schemas)


def load(domain: str, user: str = "", data: str | Path | None = None) -> TauBenchmark:
    """The tasks of "airline" or "retail", served to a scripted user or to one that the model named
    `user` plays. Raises UsageError or ConfigError where the data are not there or not right."""
    source = SOURCES[domain]
    rows = {str(row["id"]): row for row in source.rows("tasks_test", data)}
    place = source.place(data)
    assert place is not None, "rows were found"
    known = _read(domain, place if place.is_dir() else place.parent)

    def tasks(split: Split) -> Sequence[Task]:
        chosen = [i for i in rows if (share_of(i) < 0.5) == (split == "test")]
        ordered = sorted(chosen, key=lambda i: (share_of(i, "order:"), i))
        return [Task(i, str(rows[i]["instruction"]), "") for i in ordered]

    def open_world(task: Task, referee: Referee | None) -> Environment:
        return Service(known, rows[task.id], user, referee)

    def oracle(task: Task) -> Oracle | None:
        if user:
            return None
        row = rows[task.id]
        told = Action.say(" ".join(["Done.", *map(str, row["outputs"])]))
        gold = [Action(a["name"], json.dumps(a["arguments"])) for a in row["actions"]]
        return [*(a for a in gold if a.tool != "transfer_to_human_agents"), told]

    return TauBenchmark(
        f"tau_{domain}",
        f"{VERSION}-{user}" if user else VERSION,
        tasks,
        open_world,
        oracle,
        steps=STEPS,
        models=(user,) if user else (),
    )


TAU_AIRLINE = BenchmarkPlugin(
    "tau_airline",
    "an airline's customers, served by the rules",
    partial(load, "airline"),
    source="github.com/sierra-research/tau-bench",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 25, "test": 25},
    scorer="state of the database, and what was told",
    missing=partial(missing, "airline"),
    data=SOURCES["airline"],
)

TAU_RETAIL = BenchmarkPlugin(
    "tau_retail",
    "a shop's customers, served by the rules",
    partial(load, "retail"),
    source="github.com/sierra-research/tau-bench",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 52, "test": 63},
    scorer="state of the database, and what was told",
    missing=partial(missing, "retail"),
    data=SOURCES["retail"],
)
