"""An agent's line to its model: role, memory and tools are added, and every call is counted.

All calls of a task pass its `TaskRun`, which counts what the design used (as if nothing were
cached), and stops a component that makes more calls than it declared.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from paragent.component import Context, Memory, Reply, Tool, chain_clock, run_tool, tool_of
from paragent.environment import World
from paragent.errors import CallFailure
from paragent.outcome import Purpose, Usage
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
    #: The last answer of every member of the root's team that was asked, by its number.
    said: dict[int, str] = field(default_factory=dict)
    #: The environment that the design acts in, where the task has one.
    world: World | None = None

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
class Draw:
    """How a team wants its member's calls drawn: warmed to `temperature` where they would be
    greedy; `label` tells independent draws apart."""

    temperature: float = 0.0
    label: str = ""

    def then(self, temperature: float, sample: int) -> Draw:
        """The draw of a member that is asked again, inside this one."""
        if temperature <= 0:
            return self
        return Draw(max(self.temperature, temperature), f"{self.label}{sample}.")


@dataclass
class ModelChat:
    """An agent's line to its model (the `Chat` that components see)."""

    run: TaskRun
    path: str
    model: LanguageModel
    role: str = ""
    tools: tuple[Tool, ...] = ()
    memory: Memory | None = None
    #: The task's question, which memory is asked about whatever a component adds to it.
    subject: str = ""
    draw: Draw = Draw()
    #: What a sub-agent is told before every instruction.
    brief: str = ""
    _recalled: str | None = None
    _recalling: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def use(self, tool: str, argument: str) -> str:
        """See `paragent.component.Chat.use`."""
        found = tool_of(self.tools, tool)
        if found is None:
            known = ", ".join(t.name for t in self.tools) or "none"
            return f"error: there is no tool called {tool!r}; tools: {known}"
        return await self._run(found, argument)

    async def fold(self, steps: Sequence[str]) -> Sequence[str]:
        """See `paragent.component.Chat.fold`."""
        return steps if self.memory is None else await self.memory.fold(self, steps)

    async def _block(self, question: str) -> str:
        if self.memory is None:
            return ""
        async with self._recalling:  # asks side by side share one recall
            if self._recalled is None:
                about = self.subject or question
                self._recalled = await self.memory.recall(self, self.run.context, about)
            return self._recalled

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
        world = self.run.world
        if tools and world is not None:  # whoever may use tools may act
            used = self.tools
            system = f"{system}\n{world.brief(self.model.tool_protocol == 'native')}"
        if self.role:
            system = f"You are the {self.role.replace('+', ' and ')} agent. {system}"
        if self.brief:
            system = f"{self.brief} {system}"
        if memory and (block := await self._block(question)):
            question = f"{block}\n\n{question}"
        temperature = temperature or self.draw.temperature
        label = f"{self.path}/{self.draw.label}{sample}" if temperature > 0 else ""
        request = Request(
            messages=(Message("system", system), Message("user", question)),
            max_tokens=max_tokens or DEFAULT_MAX_TOKENS,
            temperature=temperature,
            seed=stable_seed(self.run.seed, label, question) if label else 0,
            sample=label,
            tools=used,
        )
        if tools and world is not None:
            completion = await self._act(request, world)
        else:
            completion = await self._converse(request)
        return Reply(completion.text, completion.confidence)

    def _clause(self, tools: Sequence[Tool]) -> str:
        protocol = self.model.tool_protocol
        if protocol == "text" and len(tools) > 1:
            known = " ".join(f"{t.name}: {t.description}" for t in tools)
            return f". Use the tools by writing <<name: argument>> ({known})"
        native = protocol == "native"
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
                    [
                        Message("tool", await self._run_native(c.name, c.arguments), (), c.id)
                        for c in completion.tool_calls
                    ]
                )
                spoken = Message("assistant", completion.text, completion.tool_calls)
            else:
                head, mark, expression = completion.text.rpartition("<<")
                if not mark or ">>" in expression:
                    break
                result = await self._run_written(request.tools, expression)
                said += f"{head}<<{expression}>>={result}"
                spoken = Message("assistant", f"{head}<<{expression}>>")
                results = (Message("user", f"={result}"),)
            request = replace(request, messages=(*request.messages, spoken, *results))
        return replace(completion, text=said + completion.text) if said else completion

    async def _act(self, request: Request, world: World) -> Completion:
        """The call, and all that the agent does in the world until it is done or stopped.

        Every turn takes a step of the world, so a task's calls are bounded by its asks and steps.
        """
        native = self.model.tool_protocol == "native"
        if not native:  # an engine that runs its own tools knows nothing of a world
            request = replace(request, tools=(), stop=(*request.stop, ">>"))
        while True:
            completion = await self.run.call(self.path, self.model, request)
            if not world.open:
                return completion
            before = world.steps_left
            spoken = Message("assistant", completion.text, completion.tool_calls if native else ())
            head, mark, written = completion.text.rpartition("<<")
            if native and completion.tool_calls:
                results = []
                for c in completion.tool_calls:  # in the order in which the model wrote them
                    result = await self._run_native(c.name, c.arguments)
                    results.append(Message("tool", result, (), c.id))
            elif not native and mark and ">>" not in written:
                name, _, argument = written.partition(":")
                result = await self.use(name.strip(), argument.strip())
                spoken = Message("assistant", f"{head}<<{written}>>")
                results = [Message("user", f"={result}")]
            else:
                answer = await world.hear(completion.text)
                if answer is None:
                    return completion
                results = [Message("user", answer)]
            if world.environment.over:
                return completion
            # Own tools, unknown names and unreadable arguments took none: each turn takes one.
            world.steps_left = min(world.steps_left, before - 1)
            request = replace(request, messages=(*request.messages, spoken, *results))

    async def _run(self, tool: Tool, argument: str) -> str:
        world = self.run.world
        if world is not None and world.owns(tool):
            return await world.act(tool, argument)
        return await run_tool(tool, argument)

    async def _run_native(self, name: str, arguments: str) -> str:
        tool = tool_of(self.tools, name)
        if tool is None:
            return await self.use(name, arguments)
        try:
            value = json.loads(arguments or "{}")
        except json.JSONDecodeError:
            return "error: the arguments are no JSON"
        if not tool.argument:
            return await self._run(tool, json.dumps(value))
        if isinstance(value, dict):
            value = value.get(tool.argument, "")
        return await run_tool(tool, str(value))

    async def _run_written(self, tools: Sequence[Tool], written: str) -> str:
        """`name: argument` where the name is a tool's; else all of it goes to the only tool."""
        name, colon, argument = written.partition(":")
        named = tool_of(tools, name.strip()) if colon else None
        if named is not None:
            return await run_tool(named, argument.strip())
        if len(tools) > 1:
            known = ", ".join(tool.name for tool in tools)
            return f"error: write <<name: argument>>; the tools are {known}"
        return await run_tool(tools[0], written)


def stable_seed(*parts: object) -> int:
    """A 31-bit seed, equal in every process."""
    text = "\x1f".join(str(p) for p in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") & 0x7FFFFFFF
