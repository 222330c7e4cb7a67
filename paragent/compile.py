"""From a design to something that answers: every agent gets its chat, every team its members.

`compile_design` builds the parts once; `System.answer` runs them for one task. All calls of a task
pass its `TaskRun`, which counts what the design used (as if nothing were cached), and stops a
component that makes more calls than it declared.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from paragent.component import (
    Answer,
    Chat,
    Component,
    Context,
    Member,
    Reply,
    Solve,
    TeamView,
    Tool,
    chain_clock,
)
from paragent.design import Agent, Design, Node, Part
from paragent.errors import CallFailure, InvalidDesign, ParagentError, nearest
from paragent.outcome import Purpose, Usage
from paragent.registry import component_of
from paragent.runtime.model import Completion, LanguageModel, Message, Request

#: Turns of tool use inside one `ask`, for models whose engine does not run tools itself.
MAX_TOOL_TURNS = 8
DEFAULT_MAX_TOKENS = 512


class Caller(Protocol):
    """Who makes the calls: the session, with its cache, limits and budget."""

    async def call(
        self, model: LanguageModel, request: Request, purpose: Purpose
    ) -> Completion: ...


@dataclass
class TraceStep:
    """One model call as a reader wants to see it."""

    path: str
    model: str
    messages: tuple[Message, ...]
    completion: Completion


@dataclass
class TaskRun:
    """One design on one task: who calls, for what, what may be looked up, and what was used."""

    caller: Caller
    purpose: Purpose
    seed: int
    context: Context = field(default_factory=Context)
    asks_left: int = 1_000_000
    usage: Usage = field(default_factory=Usage)
    trace: list[TraceStep] | None = None

    async def call(self, path: str, model: LanguageModel, request: Request) -> Completion:
        """One model call through the session, counted."""
        completion = await self.caller.call(model, request, self.purpose)
        chain_clock.set(chain_clock.get() + completion.latency_s)
        usd = model.price.usd(
            completion.prompt_tokens, completion.completion_tokens, completion.cached_tokens
        )
        self.usage = self.usage + Usage(
            1, completion.prompt_tokens, completion.completion_tokens, usd
        )
        if self.trace is not None:
            self.trace.append(TraceStep(path, model.name, request.messages, completion))
        return completion


@dataclass(frozen=True)
class ModelChat:
    """An agent's line to its model (the `Chat` that components see)."""

    run: TaskRun
    path: str
    model: LanguageModel
    role: str = ""
    tools: tuple[Tool, ...] = ()
    recall: Callable[[Context, str], Awaitable[str]] | None = None
    #: The task's question, which memory is asked about whatever a component adds to it.
    subject: str = ""

    @property
    def has_tools(self) -> bool:
        """Whether the agent has tools."""
        return bool(self.tools)

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
        """See `paragent.component.Chat.ask`."""
        if self.run.asks_left <= 0:
            raise CallFailure("call-bound", f"{self.path or 'root'}: more calls than declared")
        self.run.asks_left -= 1
        used = self.tools if tools and "{tools}" in instruction else ()
        system = instruction.replace("{tools}", self._clause(used))
        if self.role:
            system = f"You are the {self.role.replace('+', ' and ')} agent. {system}"
        if memory and self.recall is not None:
            block = await self.recall(self.run.context, self.subject or question)
            if block:
                question = f"{block}\n\n{question}"
        label = f"{self.path}/{sample}" if temperature > 0 else ""
        request = Request(
            messages=(Message("system", system), Message("user", question)),
            max_tokens=max_tokens or DEFAULT_MAX_TOKENS,
            temperature=temperature,
            seed=stable_seed(self.run.seed, label, question) if label else 0,
            sample=label,
            tools=used,
        )
        completion = await self._converse(request)
        return Reply(completion.text, completion.confidence)

    def _clause(self, tools: Sequence[Tool]) -> str:
        native = self.model.tool_protocol == "native"
        return "".join(t.native_instruction if native else t.instruction for t in tools)

    async def _converse(self, request: Request) -> Completion:
        """The call, and its turns of tool use. Text already said is kept in the final text."""
        protocol = self.model.tool_protocol
        if request.tools and protocol == "text":
            request = replace(request, stop=(*request.stop, ">>"))
        said = ""
        for turn in range(MAX_TOOL_TURNS + 1):
            completion = await self.run.call(self.path, self.model, request)
            if not request.tools or protocol == "inline" or turn == MAX_TOOL_TURNS:
                break
            if protocol == "native":
                if not completion.tool_calls:
                    break
                results = tuple(
                    Message("tool", self._run_native(call.name, call.arguments), (), call.id)
                    for call in completion.tool_calls
                )
                spoken = Message("assistant", completion.text, completion.tool_calls)
            else:
                head, mark, expression = completion.text.rpartition("<<")
                if not mark or ">>" in expression:
                    break
                result = run_tool(request.tools[0], expression)
                said += f"{head}<<{expression}>>={result}"
                spoken = Message("assistant", f"{head}<<{expression}>>")
                results = (Message("user", f"={result}"),)
            request = replace(request, messages=(*request.messages, spoken, *results))
        return replace(completion, text=said + completion.text) if said else completion

    def _run_native(self, name: str, arguments: str) -> str:
        for tool in self.tools:
            if tool.name == name:
                try:
                    value = json.loads(arguments or "{}")
                except json.JSONDecodeError:
                    return "error: the arguments are no JSON"
                if isinstance(value, dict):
                    value = value.get(tool.argument, "")
                return run_tool(tool, str(value))
        return f"error: there is no tool called {name!r}"


def run_tool(tool: Tool, argument: str) -> str:
    """The tool's result; what it raises is an error the model reads, never a crash."""
    try:
        return tool.call(argument)
    except Exception as error:  # a tool is the user's own code
        return f"error: {error}"


def stable_seed(*parts: object) -> int:
    """A 31-bit seed, equal in every process."""
    text = "\x1f".join(str(p) for p in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF


@dataclass(frozen=True)
class System:
    """A design that is ready to answer. `models` are its language models, by name."""

    design: Design
    models: dict[str, LanguageModel]
    max_calls: int
    _run: Callable[[TaskRun, str], Awaitable[Answer]]

    async def answer(self, run: TaskRun, question: str) -> Answer:
        """One task. Raises CallFailure, CapReached, or whatever a component raises."""
        run.asks_left = min(run.asks_left, self.max_calls)
        chain_clock.set(0.0)
        try:
            return await self._run(run, question)
        finally:
            run.usage = replace(run.usage, latency_s=chain_clock.get())


def compile_design(design: Design) -> System:
    """Build every part of a design. Raises UnknownName or InvalidDesign with the path inside."""
    models: dict[str, LanguageModel] = {}
    solver, bound = _compile(design.root, "", "root", models)
    return System(design, models, bound, solver)


Solver = Callable[[TaskRun, str], Awaitable[Answer]]


def _compile(
    node: Node, path: str, where: str, models: dict[str, LanguageModel]
) -> tuple[Solver, int]:
    if isinstance(node, Agent):
        return _compile_agent(node, path, where, models)
    topology = component_of("topology", node.topology.name, f"{where}.topology")
    prefix = f"{path}." if path else ""
    compiled = [
        _compile(m, f"{prefix}{i}", f"{where}.members[{i}]", models)
        for i, m in enumerate(node.members)
    ]
    names = [_member_name(m) for m in node.members]
    inner = [bound for _, bound in compiled]
    lead: Callable[[TaskRun, str], Chat] | None = None
    if node.lead is not None:
        lead, _ = _chat_maker(node.lead, f"{prefix}lead", f"{where}.lead", models)
        inner.insert(0, 1)
    if topology.lead != (node.lead is not None) or len(node.members) < topology.members[0]:
        wanted = f"{'a' if topology.lead else 'no'} lead and at least {topology.members[0]} members"
        raise InvalidDesign(where, f"{topology.name} needs {wanted}")
    run_team = _build(topology, node.topology, f"{where}.topology")

    def member(solver: Solver, name: str, run: TaskRun) -> Member:
        async def solve(question: str) -> Answer:
            return await solver(run, question)

        return Member(name, solve)

    async def solve(run: TaskRun, question: str) -> Answer:
        view = TeamView(
            tuple(member(s, n, run) for (s, _), n in zip(compiled, names, strict=True)),
            lead(run, question) if lead else None,
        )
        answer: Answer = await run_team(view, question)
        return answer

    return solve, _bound(topology, node.topology, inner, f"{where}.topology")


def _chat_maker(
    agent: Agent, path: str, where: str, models: dict[str, LanguageModel]
) -> tuple[Callable[[TaskRun, str], Chat], Component]:
    model_component = component_of("model", agent.model.name, f"{where}.model")
    if agent.model.name not in models:
        models[agent.model.name] = _build(model_component, agent.model, f"{where}.model")
    model = models[agent.model.name]
    slot = f"{where}.tools"
    tools = tuple(_build(component_of("tool", t.name, slot), t, slot) for t in agent.tools)
    recall = None
    if agent.memory is not None:
        slot = f"{where}.memory"
        recall = _build(component_of("memory", agent.memory.name, slot), agent.memory, slot)

    def make(run: TaskRun, question: str) -> Chat:
        return ModelChat(run, path, model, agent.role, tools, recall, question)

    return make, model_component


def _compile_agent(
    agent: Agent, path: str, where: str, models: dict[str, LanguageModel]
) -> tuple[Solver, int]:
    chat_of, _ = _chat_maker(agent, path, where, models)
    reasoning = component_of("reasoning", agent.reasoning.name, f"{where}.reasoning")
    reason = _build(reasoning, agent.reasoning, f"{where}.reasoning")
    bound = _bound(reasoning, agent.reasoning, [], f"{where}.reasoning")
    wrappers: list[Any] = []
    for slot, part in (("planning", agent.planning), ("guard", agent.guard)):
        if part is not None:
            component = component_of(slot, part.name, f"{where}.{slot}")  # type: ignore[arg-type]
            wrappers.append(_build(component, part, f"{where}.{slot}"))
            bound = _bound(component, part, [bound], f"{where}.{slot}")

    async def solve(run: TaskRun, question: str) -> Answer:
        chat = chat_of(run, question)

        async def reasoned(q: str) -> Answer:
            answer: Answer = await reason(chat, q)
            return answer

        current: Solve = reasoned
        for wrapper in wrappers:
            current = _wrapped(wrapper, chat, current)
        return await current(question)

    return solve, bound


def _wrapped(wrapper: Any, chat: Chat, inner: Solve) -> Solve:
    async def solve(question: str) -> Answer:
        answer: Answer = await wrapper(chat, question, inner)
        return answer

    return solve


def _member_name(node: Node) -> str:
    if isinstance(node, Agent):
        return node.role or node.model.name
    return "team"


def _params(component: Component, part: Part) -> dict[str, Any]:
    return {**component.defaults, **dict(part.params)}


def _build(component: Component, part: Part, where: str) -> Any:
    for name in dict(part.params):
        if component.params and name not in component.params:
            near = nearest(name, component.params)
            hint = f"did you mean {near!r}?" if near else f"known: {', '.join(component.params)}"
            raise InvalidDesign(where, f"{component.name} has no parameter {name!r}; {hint}")
    with _told(part, where):
        return component.build(**_params(component, part))


def _bound(component: Component, part: Part, inner: Sequence[int], where: str) -> int:
    with _told(part, where):
        return component.calls(_params(component, part), inner)


@contextmanager
def _told(part: Part, where: str) -> Iterator[None]:
    """A part is a plug-in with parameters that a person may have written: say which one raised."""
    try:
        yield
    except ParagentError:
        raise
    except Exception as error:
        why = f"{part} cannot be built: {type(error).__name__}: {error}"
        raise InvalidDesign(where, why) from error
