"""The contract of an environment: a world of one task, in which a design acts step by step.

A benchmark with environments gives a fresh one for every task of every design (`Interactive`), so
nothing that one design does is ever seen by another. There are two ways to use a design in it:

- *Acting* (the default): the design is asked once, with the task's question; the environment's
  tools are added to the tools of all its agents, and where there is a user, what an agent says
  without calling a tool is said to the user, whose reply it reads next.
- *Playing*: an environment that overrides `play` asks the design as often as it likes, once for
  each node and round of a network of agents, say.

A step is one tool call or one reply of the user, whoever made it. All agents of a team act on the
same world, as people at one desk do: `together` runs their work one after another, in the order of
the members, so the same design on the same task is the same trajectory. When the steps are used up
or the world is `over`, an agent keeps what it has said. So a task makes at most

    plays x (the design's declared calls) + steps

model calls. What a tool raises as `Refused` is an error that the model reads; anything else that an
environment raises is a failure of kind "environment", never a score.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from paragent.benchmark import Referee, Task, valid_score
from paragent.component import Answer, Tool
from paragent.errors import CallFailure, CapReached

#: The design, as an environment sees it: a question, and the answer of the whole design.
Ask = Callable[[str], Awaitable[Answer]]
#: What is known to solve a task: tool calls in order, or answers to the questions of `play`.
Oracle = Sequence["Action"] | Callable[[str], str]

#: Longest result of a tool that a model reads, in characters.
MAX_RESULT = 20_000


class Refused(Exception):
    """What an agent asked for is not possible; the text is what it reads."""


class EnvironmentFailure(CallFailure):
    """The environment itself broke: the task is Failed("environment")."""

    def __init__(self, error: Exception) -> None:
        super().__init__("environment", f"{type(error).__name__}: {error}")


class ScoreFault(Exception):
    """The environment's scorer raised, or gave no number in [0, 1]."""


@dataclass(frozen=True, slots=True)
class Action:
    """One call of a tool; `arguments` is a JSON text. Without a tool, it is a word to the user."""

    tool: str
    arguments: str = "{}"

    @staticmethod
    def of(tool: str, **arguments: Any) -> Action:
        """With the arguments as they are in Python."""
        return Action(tool, json.dumps(arguments))

    @staticmethod
    def say(text: str) -> Action:
        """What is said to the user."""
        return Action("", text)


class Environment:
    """One task's world. Override what it has; the defaults are a world without tools or user.

    `tools` are bound to this world's state (see `action`); they stay the same for its life, except
    where `over` ends it. `instruction` is added to the system text of every agent that may act.
    `has_user` says that what agents say goes to a user, whose answers `reply` gives. `orderly`
    says whether agents act one after another; False only where they do not share a state.
    """

    tools: tuple[Tool, ...] = ()
    instruction: str = ""
    has_user: bool = False
    orderly: bool = True

    @property
    def over(self) -> bool:
        """Whether nothing more can be done here."""
        return False

    async def play(self, ask: Ask, question: str) -> Answer:
        """Use the design; the answer that is scored. `question` is the task's."""
        return await ask(question)

    async def reply(self, said: str) -> str | None:
        """What the user answers to an agent; None where the conversation is over."""
        return None

    def score(self, answer: Answer) -> float | Awaitable[float]:
        """In [0, 1], from the state of the world and the answer."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Let go of processes or files; called once, whatever happened."""


@runtime_checkable
class Interactive(Protocol):
    """A benchmark whose tasks are environments. `Benchmark.score` is not called then.

    `steps` and `plays` are the most that any of its tasks allows (see the module).
    """

    @property
    def steps(self) -> int: ...
    @property
    def plays(self) -> int: ...

    def environment(self, task: Task, referee: Referee | None = None) -> Environment:
        """A fresh world of that task; the same task always begins the same. `referee` calls the
        models of simulated users; without one, an environment that needs it raises UsageError."""

    def oracle(self, task: Task) -> Oracle | None:
        """What reaches the full score, where that is known."""


@dataclass
class World:
    """An environment while a design is in it: counts steps, and lets one act at a time."""

    environment: Environment
    steps_left: int
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    def owns(self, tool: Tool) -> bool:
        """Whether the tool is the world's, and not an agent's own."""
        return tool in self.environment.tools

    @property
    def open(self) -> bool:
        """Whether one more step can be taken."""
        return self.steps_left > 0 and not self.environment.over

    async def act(self, tool: Tool, argument: str) -> str:
        """One step: the tool's result, cut to MAX_RESULT. Raises EnvironmentFailure."""
        async with self._one:
            if not self.open:
                return "error: no steps are left"
            self.steps_left -= 1
            try:
                found = tool.call(argument)
                result = found if isinstance(found, str) else await found
            except Refused as why:
                return f"error: {why}"
            except (CallFailure, CapReached):
                raise
            except Exception as error:
                raise EnvironmentFailure(error) from error
        return result if len(result) <= MAX_RESULT else result[:MAX_RESULT] + " … (cut)"

    async def hear(self, said: str) -> str | None:
        """One step: what the user answers, or None. Raises EnvironmentFailure."""
        async with self._one:
            if not self.open or not self.environment.has_user:
                return None
            self.steps_left -= 1
            try:
                return await self.environment.reply(said)
            except (CallFailure, CapReached):
                raise
            except Exception as error:
                raise EnvironmentFailure(error) from error

    async def score(self, answer: Answer) -> float:
        """The environment's score in [0, 1]. Raises ScoreFault for anything else."""
        try:
            found = self.environment.score(answer)
            return valid_score(await found if inspect.isawaitable(found) else found)
        except CapReached:
            raise
        except Exception as error:
            raise ScoreFault(f"{type(error).__name__}: {error}") from error

    def brief(self, native: bool) -> str:
        """What agents are told of the world: its instruction, and how to call its tools."""
        tools = self.environment.tools
        said = [self.environment.instruction]
        if tools and not native:
            said.append(
                "To act, write <<name: arguments>> with the arguments as JSON, one action at a "
                "time, and wait for its result. Actions:"
            )
            said += [
                f"{t.name}: {t.description} Arguments: {json.dumps(_properties(t))}" for t in tools
            ]
        elif tools:
            said.append("Act through the tools until the task is done; then answer.")
        return "\n".join(text for text in said if text)


def _properties(tool: Tool) -> Mapping[str, Any]:
    properties: Mapping[str, Any] = tool.schema.get("properties", {})
    return properties


def action(
    name: str,
    description: str,
    call: Callable[..., str],
    properties: Mapping[str, Mapping[str, Any]] | None = None,
    required: Sequence[str] | None = None,
) -> Tool:
    """A tool of an environment: `call` gets the arguments by name.

    `properties` are their JSON schemas (all required unless `required` says which). Arguments that
    are no JSON object, are missing, unknown or of another type are refused before `call` sees
    them; a plain text stands for the argument of a tool that has one alone.
    """
    known = dict(properties or {})
    needed = tuple(known if required is None else required)
    schema = {"type": "object", "properties": known, "required": list(needed)}

    def run(text: str) -> str:
        return call(**read_arguments(name, text, known, needed))

    return Tool(name, description, run, "", "", schema, argument="")


def read_arguments(
    name: str, text: str, properties: Mapping[str, Mapping[str, Any]], required: Sequence[str]
) -> dict[str, Any]:
    """The arguments of a call, checked against their schemas. Raises Refused, saying which."""
    try:
        given = json.loads(text) if text.strip() else {}
    except (ValueError, RecursionError):
        given = None
    if not isinstance(given, dict):
        if len(properties) != 1:
            raise Refused(f"{name}: the arguments are no JSON object")
        (only,) = properties
        plain = properties[only].get("type") == "string" and not isinstance(given, str)
        given = {only: text.strip() if given is None or plain else given}
    for key, value in given.items():
        if key not in properties:
            wanted = ", ".join(properties) or "none"
            raise Refused(f"{name}: no argument {key!r}; arguments: {wanted}")
        kind = properties[key].get("type")
        if not _fits(value, kind):
            raise Refused(f"{name}: {key} is no {kind}")
        inner = properties[key].get("items", {}).get("type")
        if isinstance(value, list) and not all(_fits(item, inner) for item in value):
            raise Refused(f"{name}: {key} must hold values of type {inner}")
        allowed = properties[key].get("enum")
        if allowed and value not in allowed:
            raise Refused(f"{name}: {key} must be one of {', '.join(map(str, allowed))}")
    missing = [key for key in required if key not in given]
    if missing:
        raise Refused(f"{name}: missing {', '.join(missing)}")
    return given


def _fits(value: object, kind: object) -> bool:
    """Whether a value is of a JSON type; whole numbers are numbers, truth values are not."""
    if kind in ("integer", "number"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        # JSON's NaN and Infinity would break every comparison that follows
        return -1e300 < value < 1e300 and (kind == "number" or isinstance(value, int))
    types: dict[object, type] = {"string": str, "boolean": bool, "array": list, "object": dict}
    return kind not in types or isinstance(value, types[kind])


async def replay(benchmark: Interactive, task: Task) -> float:
    """The score that the oracle of a task reaches, through the same tools as any design.

    Raises ValueError where the task has no oracle, EnvironmentFailure where the world breaks.
    """
    oracle = benchmark.oracle(task)
    if oracle is None:
        raise ValueError(f"{task.id} has no oracle")
    environment = benchmark.environment(task)
    try:
        if callable(oracle):
            answers = oracle

            async def ask(question: str) -> Answer:
                return Answer(answers(question))

            answer = await environment.play(ask, task.question)
        else:
            world = World(environment, len(oracle))
            tools = {tool.name: tool for tool in environment.tools}
            for step in oracle:
                if step.tool:
                    await world.act(tools[step.tool], step.arguments)
                else:
                    await world.hear(step.arguments)
            answer = Answer(task.answer)
        found = environment.score(answer)
        return await found if inspect.isawaitable(found) else found
    finally:
        await environment.aclose()
