"""Which designs are legal, and how to move among them.

One grammar, `_grow`, says how a design is built from the top: what is the root, then its topology
and parameters, its members, then the slots of each agent. Everything top-down is derived from it:
`next` and `build` for tree searches, `sample`, and the names under which Optuna sees the choices.
Moves on finished designs (`paragent.moves`) work on the tree itself. `check` is the one
judge of what is legal, whoever made the design (`paragent.legality`).
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from paragent.component import Component, Kind
from paragent.design import OWN_MODEL, Agent, Design, Node, Param, Part, Team
from paragent.errors import UnknownName, UsageError
from paragent.legality import Legality
from paragent.moves import Moves
from paragent.parts import (
    call_bound,
    default_part,
    features_of,
    lacks,
    normal,
    shares_skills,
    slots_of,
    subagent_of,
    suits,
    texts_of,
    usd_bound,
    with_role,
)
from paragent.registry import component_of
from paragent.registry import components as all_components
from paragent.searcher import Bounds, Decision, Partial

T = TypeVar("T")
NONE = "none"
TRIES = 2000


@dataclass(frozen=True)
class Limits:
    """How large a design may be. `max_calls_per_task` bounds declared worst-case calls, without
    the steps and plays of an environment."""

    max_depth: int = 2
    max_members: int = 3
    max_tools: int = 1
    max_calls_per_task: int = 20
    max_usd_per_task: float | None = None


class DesignSpace:
    """The legal designs over the registered components.

    `models` are the models to choose from; `include` (all where None) and `exclude` name other
    components; `available` are the tags that the benchmark gives ("notes", "examples"); `skills`
    its kinds of tasks, which a topology with a lead shares out among its members. `steps` and
    `plays` are those of its environments, for bounds (see `paragent.environment`).
    Raises UnknownName for a name that is not registered, UsageError for a space without designs.
    """

    def __init__(
        self,
        models: Sequence[str],
        *,
        include: Sequence[str] | None = None,
        exclude: Sequence[str] = (),
        limits: Limits = Limits(),
        available: frozenset[str] = frozenset(),
        skills: Sequence[str] = (),
        steps: int = 0,
        plays: int = 1,
        prompts: Sequence[tuple[str, str]] = (),
        subagents: Sequence[str] = (),
    ) -> None:
        if not models:
            raise UsageError("a space needs at least one model")
        self.limits, self.available, self.skills = limits, available, tuple(skills)
        self.steps, self.plays, self.prompts = steps, plays, tuple(prompts)
        self._legality = Legality(self)
        self._played: dict[tuple[str, str], list[str]] = {}
        for name in (*(include or ()), *exclude):
            if name not in all_components:
                raise UnknownName("component", name, all_components.names())
        self.models = tuple(component_of("model", name, "models") for name in models)

        def chosen(kind: Kind) -> tuple[Component, ...]:
            return tuple(
                c
                for c in all_components
                if c.kind == kind
                and (suits(c, self.models) if include is None else c.name in include)
                and c.name not in exclude
            )

        self.by_kind: dict[Kind, tuple[Component, ...]] = {
            kind: chosen(kind) for kind in ("reasoning", "planning", "memory", "tool", "guard")
        }
        self.by_kind["model"] = self.models
        self.by_kind["topology"] = tuple(
            c for c in chosen("topology") if c.members[0] <= limits.max_members and self.able(c)
        )
        if not self.by_kind["reasoning"]:
            raise UsageError("the space has no reasoning component: include at least one")
        for model in self.models:
            if not any(self.fits(c, model) for c in self.by_kind["reasoning"]):
                lacking = sorted({t for c in self.by_kind["reasoning"] for t in c.requires})
                raise UsageError(
                    f"no reasoning of the space runs on model {model.name!r}, which does not give "
                    f"{', '.join(lacking)}; include another, such as direct"
                )
        self.by_kind["subagent"] = self._ready(subagents)
        self.unfit: set[str] = set()  # chosen, but no model and reasoning here give what it needs
        for kind in ("reasoning", "planning", "memory", "tool", "guard"):
            usable = tuple(c for c in self.by_kind[kind] if self._usable(c))
            self.unfit |= {c.name for c in self.by_kind[kind]} - {c.name for c in usable}
            self.by_kind[kind] = usable

    # -- the grammar ----------------------------------------------------------------------------

    def _grow(self) -> Generator[Decision, str, Design]:
        return Design((yield from self._node("root", self.limits.max_depth, self.models)))

    def _node(
        self, at: str, depth: int, models: Sequence[Component]
    ) -> Generator[Decision, str, Node]:
        teams = [
            c for c in self.by_kind["topology"] if depth > 1 and (c.lead or self.able(c, models))
        ]
        kind = yield from _choose(at, [None, *teams], lambda c: c.name if c else "agent")
        if kind is None:
            return (yield from self._agent(at, models))
        topology = yield from self._part(f"{at}.topology", kind)
        low, high = kind.members
        count = yield from _choose(
            f"{at}.members", range(low, min(high, self.limits.max_members) + 1)
        )
        lead = None
        owners: list[int] = []
        if kind.lead:
            model = yield from _choose(f"{at}.lead.model", self.able(kind), _name)
            lead = Agent(Part(model.name), self.plainest)
        else:
            models = self.able(kind, models)
        if shares_skills(kind):
            for skill in self.skills:
                owners.append((yield from _choose(f"{at}.owner.{skill}", range(count))))
        members = []
        for i in range(count):
            member = yield from self._node(f"{at}.{i}", depth - 1, models)
            members.append(member)
        if owners:
            members = self.with_roles(members, owners)
        return Team(topology, tuple(members), lead)

    def _agent(self, at: str, models: Sequence[Component]) -> Generator[Decision, str, Agent]:
        players = {
            c.name: [m for m in models if not self._unplayable(c, m)]
            for c in self.by_kind["subagent"]
        }
        ready = [None, *(c for c in self.by_kind["subagent"] if players[c.name])]
        subagent = yield from _choose(f"{at}.subagent", ready, lambda c: c.name if c else NONE)
        if subagent is not None:
            model = yield from _choose(f"{at}.model", players[subagent.name], _name)
            return Agent(Part(model.name), subagent=default_part(subagent))
        model = yield from _choose(f"{at}.model", models, _name)
        able = [c for c in self.by_kind["reasoning"] if self.fits(c, model)]
        reasoning = yield from _choose(f"{at}.reasoning", able, _name)
        thought = yield from self._part(f"{at}.reasoning", reasoning)
        slots: dict[str, Part | None] = {}
        for slot in ("planning", "memory", "guard"):
            fitting = [c for c in self.by_kind[slot] if self.fits(c, model, reasoning)]
            component = yield from _choose(
                f"{at}.{slot}", [None, *fitting], lambda c: c.name if c else NONE
            )
            slots[slot] = (yield from self._part(f"{at}.{slot}", component)) if component else None
        tools = [c for c in self.by_kind["tool"] if self.fits(c, model, reasoning)]
        kits = [
            kit
            for size in range(self.limits.max_tools + 1)
            for kit in itertools.combinations(tools, size)
        ]
        kit = yield from _choose(
            f"{at}.tools", kits, lambda found: "+".join(map(_name, found)) or NONE
        )
        return Agent(
            Part(model.name),
            thought,
            slots["planning"],
            slots["memory"],
            tuple(default_part(c) for c in kit),
            slots["guard"],
        )

    def _part(self, at: str, component: Component) -> Generator[Decision, str, Part]:
        values: dict[str, Param] = {}
        for key in sorted(component.params):
            values[key] = yield from _choose(f"{at}.{component.name}.{key}", component.params[key])
        return Part.of(component.name, **values)

    def fits(self, component: Component, *others: Component) -> bool:
        """Whether the benchmark and the others (model, reasoning) give all that it requires."""
        given = self.available.union(*(other.provides for other in others))
        return given.issuperset(component.requires)

    def _unplayable(self, subagent: Component, model: Component) -> list[str]:
        """Why the model cannot play the sub-agent; empty where it can."""
        pair = subagent.name, model.name
        if pair not in self._played:
            agent = Agent(Part(model.name), subagent=Part(subagent.name))
            self._played[pair] = lacks(agent, self.available, subagent.name)
        return self._played[pair]

    def _ready(self, names: Sequence[str]) -> tuple[Component, ...]:
        """The sub-agents of these names; "all": every one that some model here can play."""
        found = [component_of("subagent", n, "subagents") for n in sorted({*names} - {"all"})]
        if "all" in names:
            found = [c for c in all_components if c.kind == "subagent"]
        whys = {c.name: [self._unplayable(c, m) for m in self.models] for c in found}
        wrong = [why[0][0] for why in whys.values() if all(why)]
        if wrong and "all" not in names:
            raise UsageError(f"this sub-agent cannot run here: {wrong[0]}")
        return tuple(c for c in found if not all(whys[c.name]))

    def admit(self, subagent: Component) -> None:
        """Offer one more sub-agent from now on. Raises UsageError where no model here can play it.

        Its parts must be among those of this space: what a model wrote may not bring in others.
        """
        agent = subagent_of(Part(subagent.name)).agent
        for kind, where, part in slots_of(agent, subagent.name):
            if part.name not in {OWN_MODEL, *(c.name for c in self.by_kind[kind])}:
                raise UsageError(f"{where}: {part.name} is not among the chosen components")
        if len(agent.tools) > self.limits.max_tools:
            raise UsageError(f"{subagent.name}: at most {self.limits.max_tools} tools")
        (found,) = self._ready([subagent.name])
        if found not in self.by_kind["subagent"]:
            self.by_kind["subagent"] = (*self.by_kind["subagent"], found)

    def _usable(self, component: Component) -> bool:
        """Whether some model here, with a reasoning where it needs one, gives what it requires."""
        if component.kind == "reasoning":
            return any(self.fits(component, m) for m in self.models)
        thinking = self.by_kind["reasoning"]
        return any(self.fits(component, m, r) for m in self.models for r in thinking)

    def able(
        self, topology: Component, models: Sequence[Component] | None = None
    ) -> tuple[Component, ...]:
        """Of the models (all by default) those that can lead the team, or be in it without lead."""
        needed = set(topology.requires) - self.available
        among = self.models if models is None else models
        return tuple(m for m in among if needed <= set(m.provides))

    @cached_property
    def plainest(self) -> Part:
        """The reasoning of a lead, which only names a member."""
        names = [c.name for c in self.by_kind["reasoning"]]
        chosen = "direct" if "direct" in names else names[0]
        return default_part(component_of("reasoning", chosen))

    def with_roles(self, members: Sequence[Node], owners: Sequence[int]) -> list[Node]:
        """The members with the skills they own as role. An agent that owns none takes the last
        skill of whoever owns most, where that one keeps some: without a role it would never be
        asked."""
        found, owners = list[Node](), list(owners)
        for i, member in enumerate(members):
            if owners and isinstance(member, Agent) and i not in owners:
                richest = max(owners, key=lambda o: (owners.count(o), -o))
                if owners.count(richest) > 1:
                    owners[len(owners) - 1 - owners[::-1].index(richest)] = i
        for i, member in enumerate(members):
            role = "+".join(s for s, o in zip(self.skills, owners, strict=True) if o == i)
            found.append(with_role(member, role) if isinstance(member, Agent) else member)
        return found

    # -- top down -------------------------------------------------------------------------------

    def next(self, partial: Partial) -> Decision | None:
        """The decision after `partial`, or None. Raises ValueError for an option not offered."""
        found = self._replay(partial)
        return found if isinstance(found, Decision) else None

    def build(self, partial: Partial) -> Design:
        """The design of a complete sequence of choices; it may still break a limit (`check`)."""
        found = self._replay(partial)
        if isinstance(found, Decision):
            raise ValueError(f"the choice {found.name!r} is still open")
        return found

    def _replay(self, partial: Partial) -> Decision | Design:
        growing = self._grow()
        try:
            decision = next(growing)
            for option in partial:
                if option not in decision.options:
                    raise ValueError(f"{option!r} is no option of {decision.name!r}")
                decision = growing.send(option)
        except StopIteration as done:
            return self.normalise(done.value)
        return decision

    def sample(self, rng: random.Random) -> Design:
        """Top down, every option of a decision equally likely; what breaks a limit is redrawn.

        Raises UsageError where no legal design turns up in 2,000 draws.
        """
        reasons: Counter[str] = Counter()
        for _ in range(TRIES):
            growing = self._grow()
            try:
                decision = next(growing)
                while True:
                    decision = growing.send(rng.choice(decision.options))
            except StopIteration as done:
                design = self.normalise(done.value)
            reason = self.check(design)
            if not reason:
                return design
            reasons.update(reason[:1])
        usual = reasons.most_common(1)[0][0]
        raise UsageError(f"no design is legal within the limits; the usual reason: {usual}")

    def all(self, limit: int) -> list[Design] | None:
        """Every legal design in the order of the grammar, or None where more than `limit`
        complete sequences of choices exist."""
        found: dict[str, Design] = {}
        pending: list[Partial] = [()]
        complete = 0
        while pending:
            partial = pending.pop()
            step = self._replay(partial)
            if isinstance(step, Decision):
                pending += [(*partial, option) for option in reversed(step.options)]
                if len(pending) > 4 * limit:
                    return None
                continue
            complete += 1
            if complete > limit:
                return None
            if not self.check(step):
                found.setdefault(step.hash, step)
        return list(found.values())

    # -- one form, one judge --------------------------------------------------------------------

    def normalise(self, design: Design) -> Design:
        """The one form of equal designs: defaults written out, symmetric members sorted.

        Unknown components stay as they are (`check` names them).
        """
        root, prompts = normal(design.root), texts_of(design, self.prompts)
        return (
            design if root is design.root and prompts == design.prompts else Design(root, prompts)
        )

    def check(self, design: Design) -> list[str]:
        """Why the design is not legal, each reason with its path; empty where it is."""
        return self._legality.check(design)

    # -- bounds and features --------------------------------------------------------------------

    def bounds(self, design: Design) -> Bounds:
        """Worst case of one task, steps and plays of an environment included. Dollars take every
        call at the dearest model's price and 600 + 256 tokens; None where a price is unknown."""
        once, usd = call_bound(design.root), usd_bound(design.root)
        calls = once * self.plays + self.steps
        return Bounds(calls, usd if usd is None else usd * calls / once)

    def features(self, design: Design) -> Mapping[str, float]:
        """Counts of components and of pairs inside an agent, tree measures, bounds."""
        return features_of(design, self.bounds(design))

    # -- moves: see `paragent.moves` ------------------------------------------------------------

    @cached_property
    def _moves(self) -> Moves:
        return Moves(self)

    def agents(self, most: int) -> Sequence[Design]:
        """See `paragent.searcher.TeamSpace.agents`."""
        return self._moves.agents(most)

    def teams(self, members: Sequence[Design]) -> Sequence[Design]:
        """See `paragent.searcher.TeamSpace.teams`."""
        return self._moves.teams(members)

    def describe(self, design: Design) -> str:
        """See `paragent.searcher.TeamSpace.describe`."""
        return self._moves.describe(design)

    def edits(self, design: Design) -> Sequence[Design]:
        """All legal designs one edit away, without doubles, in a fixed order."""
        return self._moves.edits(design)

    def unfold(self, design: Design, rng: random.Random) -> Iterator[Design]:
        """The edits in random order, each made when it is asked for."""
        return self._moves.unfold(design, rng)

    def recombine(self, one: Design, other: Design, rng: random.Random) -> Design:
        """`one` with a slot or a subtree of `other`; where nothing legal and new comes of it, a
        random edit of `one`, or `one` itself where it has none."""
        return self._moves.recombine(one, other, rng)


def _name(component: Component) -> str:
    return component.name


def _choose(
    at: str, values: Iterable[T], text: Callable[[T], str] = str
) -> Generator[Decision, str, T]:
    """Offer the values as texts; a choice of one is no decision."""
    found = {text(value): value for value in values}
    if len(found) == 1:
        return next(iter(found.values()))
    option = yield Decision(at, tuple(found))
    return found[option]
