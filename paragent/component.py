"""The contract of a component: what it is, what it may cost, and how to build it.

A plug-in is one file in `components/` that holds one or more `Component` objects; the registry
finds it. `build(**params)` returns the working part, whose shape depends on the kind:

    model      -> LanguageModel                              (paragent.runtime.model)
    reasoning  -> async (chat, question) -> Answer
    planning   -> async (chat, question, solve) -> Answer    `solve` is the agent's reasoning
    guard      -> async (chat, question, solve) -> Answer    `solve` is planning over reasoning
    memory     -> Memory
    tool       -> Tool
    topology   -> async (team, question) -> Answer
    subagent   -> SubAgent

A part never sees a model, a price, a cache or a budget: it talks through its `Chat`, which counts
and bounds what it does. It must be a pure function of what it is given: no global state, no clock,
no randomness of its own (`sample` numbers give different draws of a model).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeVar, get_args

from paragent.design import Agent, Param
from paragent.template import Prompt

Kind = Literal["model", "reasoning", "planning", "memory", "tool", "guard", "topology", "subagent"]
T = TypeVar("T")
KINDS: tuple[Kind, ...] = get_args(Kind)

#: What a model may provide, and what the words mean: components require them.
MODEL_TAGS: Mapping[str, str] = {
    "instruct": "follows free instructions",
    "judge": "can judge an answer that it is shown",
    "code": "writes programs",
    "tools": "calls tools",
    "logprobs": "tells how probable its words were",
}


@dataclass(frozen=True, slots=True)
class Price:
    """Dollars per million tokens and per call; None is unknown, which is not free."""

    usd_per_mtok_in: float | None = None
    usd_per_mtok_out: float | None = None
    usd_per_mtok_cached: float | None = None  # None: cached input costs as other input
    usd_per_call: float = 0.0

    def usd(
        self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0
    ) -> float | None:
        """Dollars of one call, or None where a needed price is unknown."""
        if self.usd_per_mtok_in is None or self.usd_per_mtok_out is None:
            return None
        cached = self.usd_per_mtok_cached
        if cached is None:
            cached = self.usd_per_mtok_in
        fresh = prompt_tokens - cached_tokens
        tokens = fresh * self.usd_per_mtok_in + cached_tokens * cached
        return self.usd_per_call + (tokens + completion_tokens * self.usd_per_mtok_out) / 1e6


def _one_call(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return sum(inner) if inner else 1


@dataclass(frozen=True)
class Component:
    """One building block.

    `params` maps a parameter to its legal values, the first being the default. `calls(params,
    inner)` is the worst-case number of model calls of one run, where `inner` holds the bounds of
    what the part wraps: nothing for reasoning, [reasoning] for planning, [planned] for a guard,
    [lead?, *members] for a topology, [the agent's whole work] for a memory (whose own calls come on
    top of those). `requires`/`provides` are tags checked inside one agent (or
    one team): what a part requires must come from the benchmark ("notes", "examples", "corpus",
    "table", "database"), from the agent's model ("instruct" follows free instructions, "tools"
    calls tools; the calculator needs neither) or from its reasoning ("steps" is room for tools,
    "folds" passes its steps through the memory's `fold`). What a topology requires
    and the benchmark does not give must come from its lead's model, or from the model of every
    agent below it where it has no lead: "instruct" is a model that follows free instructions.
    `suits` are tags of models too: it runs on others, but was measured to help none of them, so a
    space without such a model offers it only where `include` names it.
    `members` is the legal (lowest, highest) number of members of a topology, `lead` whether it
    has a lead agent. `prompts` are its templates, named `component.part`, for which a user may give
    other texts. `paper` is the source with its section; bump `version` whenever the same
    parameters would give other answers.
    """

    name: str
    kind: Kind
    summary: str
    build: Callable[..., Any] = field(repr=False, compare=False)
    params: Mapping[str, tuple[Param, ...]] = field(default_factory=dict, hash=False)
    calls: Callable[[Mapping[str, Param], Sequence[int]], int] = field(
        default=_one_call, repr=False, compare=False
    )
    requires: tuple[str, ...] = ()
    suits: tuple[str, ...] = ()
    provides: tuple[str, ...] = ()
    price: Price | None = None
    members: tuple[int, int] = (2, 3)
    lead: bool = False
    prompts: tuple[Prompt, ...] = ()
    paper: str = ""
    version: str = "1"

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"component {self.name!r}: kind {self.kind!r} is none of {KINDS}")
        for key, values in self.params.items():
            if not values:
                raise ValueError(f"component {self.name!r}: parameter {key!r} has no legal value")
        for prompt in self.prompts:
            if prompt.name.partition(".")[0] != self.name:
                raise ValueError(f"component {self.name!r}: {prompt.name!r} is not its template")

    @property
    def defaults(self) -> dict[str, Param]:
        """Every parameter at its default."""
        return {key: values[0] for key, values in self.params.items()}


@dataclass(frozen=True, slots=True)
class Answer:
    """What an agent or a team says.

    `text` is the final answer alone, `full` all that was said for it, `confidence` the model's
    own geometric mean probability per token in (0, 1], or None where it gave none.
    """

    text: str
    full: str = ""
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Example:
    """A solved task that a memory may show: never one of the tasks being measured."""

    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class Table:
    """A named table of texts; every row is as long as `columns`."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Context:
    """What surrounds a task: the benchmark's notes and worked examples, which may be looked up,
    and the names of its kinds of tasks, by which a team can divide the work. `labelled` are
    questions (never ones that are measured) with the skill each needs: what a router learns from.
    `corpus` (passages to search), `tables` and `database` (path of an SQLite file, opened for
    reading only) are what tools read.
    """

    notes: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    skills: tuple[str, ...] = ()
    labelled: tuple[tuple[str, str], ...] = ()
    corpus: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    database: str = ""

    @property
    def tags(self) -> frozenset[str]:
        """What a component may require of a benchmark, as far as it is there."""
        there = {
            "notes": self.notes,
            "examples": self.examples,
            "labelled": self.labelled,
            "corpus": self.corpus,
            "table": self.tables,
            "database": self.database,
        }
        return frozenset(tag for tag, found in there.items() if found)


@dataclass(frozen=True)
class Tool:
    """A function a model may call.

    `call` takes the arguments as one text and returns the result as text, at once or awaitable;
    what it raises becomes an error the model sees. `instruction` is the clause put into the system
    text for models that use tools by writing: they write `<<argument>>`, or `<<name: argument>>`
    where the agent has several tools. `schema` is the JSON schema of the arguments for models with
    native tool calling; `call` gets the one called `argument`, or all of them as one JSON text
    where `argument` is empty. `over` makes the tool over a benchmark's data, for tools that read
    some; without a benchmark the tool stands as it is.
    """

    name: str
    description: str
    call: Callable[[str], str | Awaitable[str]]
    instruction: str
    native_instruction: str
    schema: Mapping[str, Any] = field(default_factory=dict)
    argument: str = "expression"
    over: Callable[[Context], Tool] | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer of a model to `Chat.ask`. `confidence` as in `Answer`."""

    text: str
    confidence: float | None = None


class Chat(Protocol):
    """An agent's line to its own model; role, memory and tools are added on the way."""

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The agent's tools (an instruction with `{tools}` names them)."""

    async def use(self, tool: str, argument: str) -> str:
        """The result of one of the agent's tools; an unknown name or what the tool raises gives a
        text that begins with "error:". For reasoning that reads actions from the model's text."""

    async def fold(self, steps: Sequence[str]) -> Sequence[str]:
        """What the agent's memory keeps of the steps so far, for reasoning that goes by steps."""

    async def ask(
        self,
        instruction: str,
        question: str,
        *,
        temperature: float = 0.0,
        sample: int = 0,
        max_tokens: int | None = None,
        tools: bool = True,
        memory: bool = True,
    ) -> Reply:
        """One model call (more where tools are used by turns).

        `instruction` is the system text; `{tools}` in it becomes the tools' clause or nothing.
        Different `sample` numbers are independent draws at a temperature above 0.
        Raises `CallFailure` when the call failed for good and `CapReached` at a cap; a component
        lets both pass.
        """


Solve = Callable[[str], Awaitable[Answer]]


class Memory:
    """What an agent remembers. Override one method or both; these are the ways of no memory.

    Both get the agent's chat, for memories that need the model (asked with `memory=False`).
    """

    async def recall(self, chat: Chat, context: Context, question: str) -> str:
        """A block that is put before the question, or ""; asked once per task and agent."""
        return ""

    async def fold(self, chat: Chat, steps: Sequence[str]) -> Sequence[str]:
        """What is kept of the steps so far (thoughts, actions, observations), in order."""
        return steps


def tool_of(tools: Sequence[Tool], name: str) -> Tool | None:
    """The tool of that name, or None."""
    return next((tool for tool in tools if tool.name == name), None)


async def run_tool(tool: Tool, argument: str) -> str:
    """The tool's result; what it raises is an error the model reads, never a crash."""
    try:
        result = tool.call(argument)
        return result if isinstance(result, str) else await result
    except Exception as error:  # a tool is the user's own code
        return f"error: {error}"


@dataclass(frozen=True, slots=True)
class SubAgent:
    """A ready agent: the slots it brings, and the prompt that is told to a model that follows free
    instructions ("instruct"). Its model may be `design.OWN_MODEL`: then any model may play it."""

    agent: Agent
    prompt: Prompt | None = None


class MemberSolve(Protocol):
    """`await solve(question)`: the member's answer.

    A `temperature` above 0 warms every call of the member that would be greedy; different `sample`
    numbers are then independent draws.
    """

    def __call__(
        self, question: str, *, temperature: float = 0.0, sample: int = 0
    ) -> Awaitable[Answer]: ...


@dataclass(frozen=True)
class Member:
    """A member of a team.

    `name` is told to a lead: its role, or its model. `usd` is the worst case of one answer in
    dollars at nominal lengths, None where a price is not known.
    """

    name: str
    solve: MemberSolve
    usd: float | None = None


@dataclass(frozen=True)
class TeamView:
    """What a topology sees: its members, the line of its lead (None where it has none), and what
    surrounds the task."""

    members: tuple[Member, ...]
    lead: Chat | None = None
    context: Context = Context()


#: Seconds of model time on the current chain of one task; `together` joins chains by their maximum.
chain_clock: ContextVar[float] = ContextVar("chain_clock", default=0.0)

#: Whether independent steps of the task run one after another: they act on one world.
in_order: ContextVar[bool] = ContextVar("in_order", default=False)


async def together(jobs: Sequence[Awaitable[T]]) -> list[T]:
    """Run independent steps at the same time; the task's latency grows by the slowest only.

    In an environment they run one after another, in the order given: they act on one world.
    The first exception cancels the others and is raised.
    """
    if in_order.get():
        results: list[T] = []
        try:
            for job in jobs:
                results.append(await job)
        finally:
            _close_unbegun(jobs)
        return results

    async def run(job: Awaitable[T]) -> tuple[T, float]:
        return await job, chain_clock.get()

    tasks = [asyncio.ensure_future(run(job)) for job in jobs]
    try:
        done = await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        _close_unbegun(jobs)
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
    if done:
        chain_clock.set(max(clock for _, clock in done))
    return [result for result, _ in done]


def _close_unbegun(jobs: Sequence[Awaitable[Any]]) -> None:
    """One that has not begun never will, and Python would warn of it."""
    for job in jobs:
        if inspect.iscoroutine(job) and inspect.getcoroutinestate(job) == inspect.CORO_CREATED:
            job.close()


ANSWER_MARK = "Answer:"


def final_answer(text: str) -> str:
    """The part after the last "Answer:", or the last non-empty line; one line, without blanks and
    marks of Markdown around it."""
    around = " \t\r\n*`"
    _, mark, tail = text.rpartition(ANSWER_MARK)
    lines = [line.strip(around) for line in (tail if mark else text).strip(around).splitlines()]
    lines = [line for line in lines if line]
    return "" if not lines else lines[0] if mark else lines[-1]
