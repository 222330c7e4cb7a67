"""Ready sub-agents as components: a role prompt, a model, tools and the rest of an agent, with a
price and a promise.

A sub-agent stands in a design where an agent stands (`agent: {subagent: critic, model: …}`), and is
then the agent that it brings. Its `summary` is what it promises; composers retrieve it by that, and
what it is worth is measured. Its `price` is what the inventory lists it at, in dollars for one task
that it is given: composers spend their price budget on it. What a run is charged is what its model
uses, as for any other agent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paragent.component import Component, Price, SubAgent
from paragent.design import OWN_MODEL, Agent, Param, Part
from paragent.parts import call_bound
from paragent.template import Prompt


def sub_agent(
    name: str,
    promise: str,
    *,
    prompt: str = "",
    model: str = "",
    reasoning: Part = Part("direct"),
    planning: Part | None = None,
    memory: Part | None = None,
    tools: Sequence[Part] = (),
    guard: Part | None = None,
    price: float | None = None,
    paper: str,
    version: str = "1",
) -> Component:
    """The sub-agent as a component of kind "subagent".

    `promise` is what it says it can do, `prompt` what its model is told before every instruction,
    `model` its own model ("" lets the design choose one), `price` dollars a task, None unknown.
    """
    agent = Agent(
        Part(model or OWN_MODEL), reasoning, planning, memory, tuple(sorted(tools)), guard
    )
    template = Prompt(f"{name}.role", prompt) if prompt else None
    made = SubAgent(agent, template)

    def calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
        return call_bound(agent)

    return Component(
        name=name,
        kind="subagent",
        summary=promise,
        build=lambda: made,
        calls=calls,
        price=None if price is None else Price(0.0, 0.0, usd_per_call=price),
        prompts=(template,) if template else (),
        paper=paper,
        version=version,
    )
