"""From a design to something that answers: every agent gets its chat, every team its members.

`compile_design` builds the parts once; `System.answer` runs them for one task.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from paragent.chat import Draw, ModelChat, TaskRun
from paragent.component import (
    Answer,
    Chat,
    Component,
    Member,
    Memory,
    Solve,
    TeamView,
    chain_clock,
    in_order,
)
from paragent.design import Agent, Design, Node, Part
from paragent.environment import EnvironmentFailure, World
from paragent.errors import CallFailure, CapReached, InvalidDesign, ParagentError, nearest
from paragent.parts import expand, subagent_of, templates, usd_bound
from paragent.registry import component_of
from paragent.runtime.model import LanguageModel
from paragent.template import Prompt, in_force, mistaken, nested


@dataclass(frozen=True)
class System:
    """A design that is ready to answer. `models` are its language models, by name."""

    design: Design
    models: dict[str, LanguageModel]
    max_calls: int
    _run: Callable[[TaskRun, str, Draw], Awaitable[Answer]]

    async def answer(self, run: TaskRun, question: str) -> Answer:
        """One task. Raises CallFailure, CapReached, or whatever a component raises."""
        run.asks_left = min(run.asks_left, self.max_calls)
        chain_clock.set(0.0)
        try:
            return await self._run(run, question, Draw())
        finally:
            run.usage = replace(run.usage, latency_s=chain_clock.get())

    async def play(self, run: TaskRun, world: World, question: str, plays: int) -> Answer:
        """One task that is an environment; the design may be asked `plays` times.

        Raises as `answer` does, and EnvironmentFailure.
        """
        run.world = world
        run.asks_left = min(run.asks_left, self.max_calls * plays)
        chain_clock.set(0.0)
        in_order.set(world.environment.orderly)
        left = plays

        async def ask(text: str) -> Answer:
            nonlocal left
            left -= 1
            if left < 0:
                raise ValueError(f"the environment asked more than {plays} times")
            try:
                return await self._run(run, text, Draw())
            except (CallFailure, CapReached):
                raise
            except Exception as error:
                raise _ComponentFault(error) from error

        try:
            return await world.environment.play(ask, question)
        except (CallFailure, CapReached):
            raise
        except _ComponentFault as fault:
            raise fault.error from fault.error
        except Exception as error:
            raise EnvironmentFailure(error) from error
        finally:
            in_order.set(False)
            run.usage = replace(run.usage, latency_s=chain_clock.get())


class _ComponentFault(Exception):
    """A component's error on its way through an environment, which must not be blamed for it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


def compile_design(design: Design, path: str = "") -> System:
    """Build every part of a design. Raises UnknownName or InvalidDesign with the path inside.

    With a `path` it draws as it would there inside a larger design: "1" is the second member.
    """
    models: dict[str, LanguageModel] = {}
    solver, bound = _compile(design.root, path, "root", models)
    wrong = mistaken(nested(design.prompts), templates()) if design.prompts else None
    if wrong:
        raise InvalidDesign(".".join(("prompts", *wrong[0])), wrong[1])

    async def run(task: TaskRun, question: str, draw: Draw) -> Answer:
        with in_force(design.prompts):
            return await solver(task, question, draw)

    return System(design, models, bound, run)


Solver = Callable[[TaskRun, str, Draw], Awaitable[Answer]]


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
    prices = [usd_bound(m) for m in node.members]
    lead: Callable[[TaskRun, str, Draw], Chat] | None = None
    if node.lead is not None:
        leader = expand(node.lead, f"{where}.lead")
        lead = _chat_maker(leader, f"{prefix}lead", f"{where}.lead", models)
        inner.insert(0, _with_memory(leader, 1, f"{where}.lead"))
    if topology.lead != (node.lead is not None) or len(node.members) < topology.members[0]:
        wanted = f"{'a' if topology.lead else 'no'} lead and at least {topology.members[0]} members"
        raise InvalidDesign(where, f"{topology.name} needs {wanted}")
    run_team = _build(topology, node.topology, f"{where}.topology")

    def member(i: int, run: TaskRun, draw: Draw) -> Member:
        async def solve(question: str, *, temperature: float = 0.0, sample: int = 0) -> Answer:
            answer = await compiled[i][0](run, question, draw.then(temperature, sample))
            if not path:
                run.said[i] = answer.text
            return answer

        return Member(names[i], solve, prices[i])

    async def solve(run: TaskRun, question: str, draw: Draw) -> Answer:
        view = TeamView(
            tuple(member(i, run, draw) for i in range(len(compiled))),
            lead(run, question, draw) if lead else None,
            run.context,
        )
        answer: Answer = await run_team(view, question)
        return answer

    return solve, _bound(topology, node.topology, inner, f"{where}.topology")


def _chat_maker(
    agent: Agent, path: str, where: str, models: dict[str, LanguageModel]
) -> Callable[[TaskRun, str, Draw], Chat]:
    model_component = component_of("model", agent.model.name, f"{where}.model")
    if agent.model.name not in models:
        models[agent.model.name] = _build(model_component, agent.model, f"{where}.model")
    model = models[agent.model.name]
    slot = f"{where}.tools"
    tools = tuple(_build(component_of("tool", t.name, slot), t, slot) for t in agent.tools)
    names = [tool.name for tool in tools]
    if len(set(names)) < len(names):
        raise InvalidDesign(slot, f"two tools have the same name for the model: {names}")
    memory: Memory | None = None
    if agent.memory is not None:
        slot = f"{where}.memory"
        memory = _build(component_of("memory", agent.memory.name, slot), agent.memory, slot)
    brief: Prompt | None = None
    if agent.subagent is not None and "instruct" in model_component.provides:
        brief = subagent_of(agent.subagent).prompt

    def make(run: TaskRun, question: str, draw: Draw) -> Chat:
        own = tuple(t if t.over is None else t.over(run.context) for t in tools)
        given = (*run.world.environment.tools, *own) if run.world is not None else own
        told = brief() if brief is not None else ""
        return ModelChat(run, path, model, agent.role, given, memory, question, draw, told)

    return make


def _with_memory(agent: Agent, bound: int, where: str) -> int:
    """The bound with what the agent's memory may add to it."""
    if agent.memory is None:
        return bound
    component = component_of("memory", agent.memory.name, f"{where}.memory")
    return bound + _bound(component, agent.memory, [bound], f"{where}.memory")


def _compile_agent(
    agent: Agent, path: str, where: str, models: dict[str, LanguageModel]
) -> tuple[Solver, int]:
    agent = expand(agent, where)
    chat_of = _chat_maker(agent, path, where, models)
    reasoning = component_of("reasoning", agent.reasoning.name, f"{where}.reasoning")
    reason = _build(reasoning, agent.reasoning, f"{where}.reasoning")
    bound = _bound(reasoning, agent.reasoning, [], f"{where}.reasoning")
    wrappers: list[Any] = []
    for slot, part in (("planning", agent.planning), ("guard", agent.guard)):
        if part is not None:
            component = component_of(slot, part.name, f"{where}.{slot}")  # type: ignore[arg-type]
            wrappers.append(_build(component, part, f"{where}.{slot}"))
            bound = _bound(component, part, [bound], f"{where}.{slot}")
    bound = _with_memory(agent, bound, where)

    async def solve(run: TaskRun, question: str, draw: Draw) -> Answer:
        chat = chat_of(run, question, draw)

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
        return node.role or (node.subagent or node.model).name
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
