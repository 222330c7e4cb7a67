"""Which designs show what a component does: itself in the plainest surroundings, and a control.

A part of an agent is put into an agent that answers directly and into one that thinks step by step,
and compared with the same agent of the same model without it. A topology is compared with that
member which, alone, scores best on the very tasks (so the control is chosen with hindsight, and
the team has the harder time). Members think step by step, with a calculator, and notes where there
are any.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from paragent.benchmark import Task
from paragent.component import Component, Context
from paragent.describe import variants
from paragent.design import Agent, Design, Node, Param, Part, Team
from paragent.outcome import Evaluation
from paragent.parts import lacks, shares_skills
from paragent.registry import component_of, components
from paragent.space import DesignSpace, Limits

DIRECT, STEPS = Part("direct"), Part("chain_of_thought")
#: Topologies whose members are asked from cheap to dear.
LADDERS = ("cascade", "rule_router")
#: The family of tasks a component was made for, where a benchmark has it.
FAMILY = {"decompose": "arithmetic"}
KINDS = ("reasoning", "planning", "memory", "tool", "guard", "topology", "subagent")


@dataclass(frozen=True)
class Case:
    """One comparison: `design` against the best of `controls`, which `against` says in words.
    `family` restricts the tasks to those that carry it as a tag ("" takes all)."""

    component: Component
    setting: str
    design: Design
    controls: tuple[Design, ...]
    against: str
    family: str = ""


@dataclass(frozen=True)
class Unmeasured:
    """A component that cannot run here, and why."""

    component: Component
    why: str


def member(model: str, context: Context, role: str = "") -> Agent:
    """A member of a measured team: steps, notes where there are some, calculator."""
    notes = Part.of("lookup", k=4) if context.notes else None
    return Agent(Part(model), STEPS, memory=notes, tools=(Part("calculator"),), role=role)


def text_variants(component: Component) -> Iterator[dict[str, Param]]:
    """The defaults, then every other text value of a parameter: other ways, not other sizes."""
    for params in variants(component):
        changed = [v for k, v in params.items() if v != component.defaults[k]]
        if all(isinstance(value, str) for value in changed):
            yield params


def owned(
    alone: Mapping[str, Evaluation], tasks: Sequence[Task], skills: Sequence[str]
) -> dict[str, str]:
    """Skill to the model that is best at it alone (ties to the first); tasks tell their skill by
    the value of a tag."""
    found = {}
    for skill in skills:
        ids = {t.id for t in tasks if skill in t.tags.values()}

        def mean(model: str, ids: set[str] = ids) -> float:
            scores = [s for task, s in alone[model].scores.items() if task in ids]
            return sum(scores) / len(scores) if scores else 0.0

        found[skill] = max(alone, key=mean)
    return found


class Plan:
    """The cases of a benchmark over some models. `alone` are the members measured on their own, on
    other dev tasks than the cases: they say who is best at what."""

    def __init__(
        self,
        models: Sequence[str],
        context: Context,
        alone: Mapping[str, Evaluation],
        tasks: Sequence[Task],
    ) -> None:
        self.models, self.context, self.base = tuple(models), context, models[0]
        self.skills = context.skills
        self.families = {value for task in tasks for value in task.tags.values()}
        by_price = sorted(models, key=lambda m: (_price(m), models.index(m)))
        self.cheap = [m for m in by_price if _price(m) == _price(by_price[0])][:3]
        if len(self.cheap) < 2:
            self.cheap = by_price[:3]
        self.best_cheap = max(self.cheap, key=lambda m: alone[m].score or 0.0)
        self.dear = by_price[-1]
        self.owner = owned({m: alone[m] for m in self.cheap}, tasks, self.skills)
        self.space = DesignSpace(  # with what a search would not offer these models unasked
            self.models,
            include=[c.name for c in components if c.kind not in ("model", "subagent")],
            limits=Limits(max_depth=3, max_members=8, max_tools=3, max_calls_per_task=10_000),
            available=context.tags,
            skills=self.skills,
            subagents=[c.name for c in components if c.kind == "subagent" and not self._idle(c)],
        )
        givers = (*self.space.models, *self.space.by_kind["reasoning"])
        self._given = context.tags.union(tag for c in givers for tag in c.provides)

    def cases(self, only: Sequence[str] = ()) -> list[Case | Unmeasured]:
        """All cases of all components (or of those named), by kind and name."""
        found: list[Case | Unmeasured] = []
        for kind in KINDS:
            for component in components:
                if component.kind != kind or component.name == "direct":
                    continue
                if only and component.name not in only:
                    continue
                found += self._of(component)
        return found

    def _idle(self, subagent: Component) -> str:
        """Why a sub-agent cannot be played by the single agents' model; "" where it can."""
        agent = Agent(Part(self.base), subagent=Part(subagent.name))
        reasons = lacks(agent, self.context.tags, subagent.name)
        return reasons[0].partition(": ")[2] if reasons else ""

    def _of(self, component: Component) -> list[Case | Unmeasured]:
        made = list(
            self._teams(component) if component.kind == "topology" else self._parts(component)
        )
        legal = [c for c in made if not self._why_not(c.design)]
        if legal:
            return list(legal)
        if component.kind == "subagent":
            return [Unmeasured(component, self._idle(component))]
        lacking = sorted(set(component.requires) - self._given)
        if lacking:
            why = f"requires {', '.join(lacking)}, which neither these models nor the tasks give"
        else:
            why = self._why_not(made[0].design) if made else "needs more models than there are"
        return [Unmeasured(component, why)]

    def _why_not(self, design: Design) -> str:
        reasons = self.space.check(self.space.normalise(design))
        return reasons[0].partition(": ")[2] if reasons else ""

    def _parts(self, component: Component) -> Iterator[Case]:
        plain, steps = Agent(Part(self.base), DIRECT), Agent(Part(self.base), STEPS)
        for params in text_variants(component):
            part = Part.of(component.name, **params)
            words = _words(params)
            if component.kind in ("reasoning", "subagent"):
                agent = replace(plain, reasoning=part)
                if component.kind == "subagent":
                    agent = Agent(Part(self.base), subagent=part)
                design = Design(agent)
                yield Case(component, words, design, (Design(plain),), "direct")
                if component.name != "chain_of_thought":
                    yield Case(component, words, design, (Design(steps),), "chain of thought")
                continue
            family = FAMILY.get(component.name, "")
            cases = []
            for host, name in ((plain, "direct"), (steps, "chain of thought")):
                if component.kind == "tool":
                    design = Design(replace(host, tools=(part,)))
                else:
                    slots: dict[str, Part] = {component.kind: part}
                    design = Design(replace(host, **slots))  # type: ignore[arg-type]
                cases.append(Case(component, f"{words}on {name}", design, (Design(host),), name))
            for tool in self._tools_inside(
                params
            ):  # what the part brings, its control may have too
                control = Design(replace(steps, tools=(Part(tool),)))
                against = f"chain of thought with {tool}"
                cases.append(replace(cases[-1], controls=(control,), against=against))
            for case in cases:
                yield case
                if family in self.families:
                    yield replace(case, family=family)

    @staticmethod
    def _tools_inside(params: Mapping[str, Param]) -> list[str]:
        """The tools that a part uses itself, by the values of its parameters."""
        tools = {c.name for c in components if c.kind == "tool"}
        return [str(value) for value in params.values() if value in tools]

    def _teams(self, component: Component) -> Iterator[Case]:
        if component.name in LADDERS:
            for first in self.cheap if self.dear not in self.cheap else self.cheap[:-1]:
                ladder = [member(m, self.context) for m in (first, self.dear)]
                yield self._team(component, component.defaults, ladder)
            for params in variants(component)[1:]:  # other thresholds, other trade-offs
                ladder = [member(m, self.context) for m in (self.best_cheap, self.dear)]
                yield self._team(component, params, ladder)
            return
        nodes = self._members(component)
        if len(nodes) >= component.members[0]:
            for params in text_variants(component):
                yield self._team(component, params, nodes)

    def _team(
        self, component: Component, params: Mapping[str, Param], nodes: Sequence[Agent]
    ) -> Case:
        lead = Agent(Part(self.base), DIRECT) if component.lead else None
        controls = tuple(Design(replace(m, role="")) for m in nodes)
        members: tuple[Node, ...] = tuple(nodes)
        design = Design(Team(Part.of(component.name, **params), members, lead))
        setting = f"{_words(params)}of {', '.join(m.model.name for m in nodes)}"
        return Case(component, setting, design, controls, "its best member alone")

    def _members(self, component: Component) -> list[Agent]:
        most = component.members[1]
        if shares_skills(component) and self.skills:
            roles: dict[str, list[str]] = {}
            for skill, model in self.owner.items():
                roles.setdefault(model, []).append(skill)
            return [member(m, self.context, "+".join(s)) for m, s in roles.items()][:most]
        return [member(m, self.context) for m in self.cheap][:most]


def _price(model: str) -> float:
    price = component_of("model", model).price
    usd = price.usd(600, 256) if price else None
    return float("inf") if usd is None else usd


def _words(params: Mapping[str, Param]) -> str:
    """The parameters in words; "" for a component without any."""
    return "".join(f"{key} {value}, " for key, value in params.items())
