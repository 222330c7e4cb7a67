"""Which designs are legal, and how to move among them.

One grammar, `_grow`, says how a design is built from the top: what is the root, then its topology
and parameters, its members, then the slots of each agent. Everything top-down is derived from it:
`next` and `build` for tree searches, `sample`, and the names under which Optuna sees the choices.
Moves on finished designs (`edits`, `recombine`) work on the tree itself. `check` is the one
judge of what is legal, whoever made the design.
"""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from paragent.component import Component, Kind
from paragent.design import PART_SLOTS, Agent, Design, Node, Param, Part, Team, canonical_json
from paragent.errors import UnknownName, UsageError
from paragent.registry import component_of
from paragent.registry import components as all_components
from paragent.searcher import Bounds, Decision, Partial

T = TypeVar("T")
NONE = "none"
#: Tokens of one call for worst-case dollars; longer prompts exist, so it is an estimate.
PROMPT_TOKENS, COMPLETION_TOKENS = 600, 256
TRIES = 2000


@dataclass(frozen=True)
class Limits:
    """How large a design may be. `max_calls_per_task` bounds declared worst-case calls."""

    max_depth: int = 2
    max_members: int = 3
    max_tools: int = 1
    max_calls_per_task: int = 20
    max_usd_per_task: float | None = None


class DesignSpace:
    """The legal designs over the registered components.

    `models` are the models to choose from; `include` (all where None) and `exclude` name other
    components; `available` are the tags that the benchmark gives ("notes", "examples"); `skills`
    its kinds of tasks, which a topology with a lead shares out among its members.
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
    ) -> None:
        if not models:
            raise UsageError("a space needs at least one model")
        self.limits, self.available, self.skills = limits, available, tuple(skills)
        for name in (*(include or ()), *exclude):
            if name not in all_components:
                raise UnknownName("component", name, all_components.names())
        self.models = tuple(component_of("model", name, "models") for name in models)

        def chosen(kind: Kind) -> tuple[Component, ...]:
            return tuple(
                c
                for c in all_components
                if c.kind == kind
                and (include is None or c.name in include)
                and c.name not in exclude
            )

        self.by_kind: dict[Kind, tuple[Component, ...]] = {
            kind: chosen(kind) for kind in ("reasoning", "planning", "memory", "tool", "guard")
        }
        self.by_kind["model"] = self.models
        self.by_kind["topology"] = tuple(
            c for c in chosen("topology") if c.members[0] <= limits.max_members and self._able(c)
        )
        if not self.by_kind["reasoning"]:
            raise UsageError("the space has no reasoning component: include at least one")

    # -- the grammar ----------------------------------------------------------------------------

    def _grow(self) -> Generator[Decision, str, Design]:
        return Design((yield from self._node("root", self.limits.max_depth, self.models)))

    def _node(
        self, at: str, depth: int, models: Sequence[Component]
    ) -> Generator[Decision, str, Node]:
        teams = [
            c for c in self.by_kind["topology"] if depth > 1 and (c.lead or self._able(c, models))
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
            model = yield from _choose(f"{at}.lead.model", self._able(kind), _name)
            lead = Agent(Part(model.name), self._plainest)
        else:
            models = self._able(kind, models)
        if _shares_skills(kind):
            for skill in self.skills:
                owners.append((yield from _choose(f"{at}.owner.{skill}", range(count))))
        members = []
        for i in range(count):
            member = yield from self._node(f"{at}.{i}", depth - 1, models)
            members.append(member)
        if owners:
            members = self._with_roles(members, owners)
        return Team(topology, tuple(members), lead)

    def _agent(self, at: str, models: Sequence[Component]) -> Generator[Decision, str, Agent]:
        model = yield from _choose(f"{at}.model", models, _name)
        reasoning = yield from _choose(f"{at}.reasoning", self.by_kind["reasoning"], _name)
        thought = yield from self._part(f"{at}.reasoning", reasoning)
        slots: dict[str, Part | None] = {}
        for slot in ("planning", "memory", "guard"):
            fitting = [c for c in self.by_kind[slot] if self._fits(c, reasoning)]
            component = yield from _choose(
                f"{at}.{slot}", [None, *fitting], lambda c: c.name if c else NONE
            )
            slots[slot] = (yield from self._part(f"{at}.{slot}", component)) if component else None
        tools = [c for c in self.by_kind["tool"] if self._fits(c, reasoning)]
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
            tuple(self._default(c) for c in kit),
            slots["guard"],
        )

    def _part(self, at: str, component: Component) -> Generator[Decision, str, Part]:
        values: dict[str, Param] = {}
        for key in sorted(component.params):
            values[key] = yield from _choose(f"{at}.{component.name}.{key}", component.params[key])
        return Part.of(component.name, **values)

    def _fits(self, component: Component, reasoning: Component) -> bool:
        return set(component.requires) <= self.available | set(reasoning.provides)

    def _able(
        self, topology: Component, models: Sequence[Component] | None = None
    ) -> tuple[Component, ...]:
        """Of the models (all by default) those that can lead the team, or be in it without lead."""
        needed = set(topology.requires) - self.available
        among = self.models if models is None else models
        return tuple(m for m in among if needed <= set(m.provides))

    @cached_property
    def _plainest(self) -> Part:
        """The reasoning of a lead, which only names a member."""
        names = [c.name for c in self.by_kind["reasoning"]]
        chosen = "direct" if "direct" in names else names[0]
        return self._default(component_of("reasoning", chosen))

    @staticmethod
    def _default(component: Component) -> Part:
        return Part.of(component.name, **component.defaults)

    def _with_roles(self, members: Sequence[Node], owners: Sequence[int]) -> list[Node]:
        """The members with the skills they own as role; a member without any keeps none."""
        found: list[Node] = []
        for i, member in enumerate(members):
            role = "+".join(s for s, o in zip(self.skills, owners, strict=True) if o == i)
            found.append(replace(member, role=role) if isinstance(member, Agent) else member)
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
        return Design(self._normal(design.root))

    def _normal(self, node: Node) -> Node:
        if isinstance(node, Team):
            members = tuple(self._normal(m) for m in node.members)
            topology = _find("topology", node.topology)
            if topology and "symmetric" in topology.provides:
                members = tuple(sorted(members, key=lambda m: canonical_json(Design(m))))
            lead = self._normal(node.lead) if node.lead else None
            assert lead is None or isinstance(lead, Agent)
            return Team(_full("topology", node.topology), members, lead)
        slots = {s: _full(s, p) for s in PART_SLOTS if (p := getattr(node, s)) is not None}
        tools = tuple(sorted(_full("tool", t) for t in node.tools))
        return replace(node, model=_full("model", node.model), tools=tools, **slots)  # type: ignore[arg-type]

    def check(self, design: Design) -> list[str]:
        """Why the design is not legal, each reason with its path; empty where it is."""
        reasons: list[str] = []
        self._check_node(design.root, "root", reasons)
        if design.depth > self.limits.max_depth:
            reasons.append(f"root: {design.depth} levels; at most {self.limits.max_depth}")
        if not reasons:
            bounds = self.bounds(design)
            if bounds.calls > self.limits.max_calls_per_task:
                reasons.append(
                    f"root: up to {bounds.calls} calls per task; "
                    f"at most {self.limits.max_calls_per_task}"
                )
            dear = self.limits.max_usd_per_task
            if dear is not None and (bounds.usd is None or bounds.usd > dear):
                reasons.append(f"root: up to ${bounds.usd} per task; at most ${dear}")
        return reasons

    def _check_node(self, node: Node, at: str, reasons: list[str]) -> None:
        if isinstance(node, Agent):
            self._check_agent(node, at, reasons)
            return
        topology = self._check_part("topology", node.topology, f"{at}.topology", reasons)
        if topology is not None:
            low, high = topology.members
            high = min(high, self.limits.max_members)
            if not low <= len(node.members) <= high:
                reasons.append(
                    f"{at}.members: {len(node.members)} members; {topology.name} takes "
                    f"{low} to {high}"
                )
            self._check_models(topology, node, at, reasons)
            if topology.lead and node.lead is None:
                reasons.append(f"{at}.lead: {topology.name} needs a lead")
            if not topology.lead and node.lead is not None:
                reasons.append(f"{at}.lead: {topology.name} has no lead")
        if node.lead is not None:
            self._check_agent(node.lead, f"{at}.lead", reasons)
        for i, member in enumerate(node.members):
            self._check_node(member, f"{at}.members[{i}]", reasons)

    def _check_models(self, topology: Component, team: Team, at: str, reasons: list[str]) -> None:
        """What the topology requires must come from its lead's model or, without one, from all."""
        needed = set(topology.requires) - self.available
        if not needed:
            return
        where = f"{at}.topology: {topology.name} requires {', '.join(sorted(needed))}"
        whole = Design(team if team.lead is None else team.lead)
        for path, agent in whole.agents():
            model = _find("model", agent.model)
            if model is not None and not needed <= set(model.provides):
                who = f"{at}.lead" if team.lead is not None else _yaml_path(at, path)
                reasons.append(f"{where}, which model {agent.model.name} ({who}) does not give")
                return

    def _check_agent(self, agent: Agent, at: str, reasons: list[str]) -> None:
        self._check_part("model", agent.model, f"{at}.model", reasons)
        reasoning = self._check_part("reasoning", agent.reasoning, f"{at}.reasoning", reasons)
        given = self.available | set(reasoning.provides if reasoning else ())
        extras: list[tuple[Kind, str, Part]] = [
            (slot, f"{at}.{slot}", part)
            for slot in ("planning", "memory", "guard")
            if (part := getattr(agent, slot)) is not None
        ]
        extras += [("tool", f"{at}.tools[{i}]", t) for i, t in enumerate(agent.tools)]
        for kind, where, part in extras:
            component = self._check_part(kind, part, where, reasons)
            missing = sorted(set(component.requires) - given) if component else []
            if missing:
                reasons.append(f"{where}: {part.name} requires {', '.join(missing)}")
        if len(agent.tools) > self.limits.max_tools:
            reasons.append(f"{at}.tools: {len(agent.tools)} tools; at most {self.limits.max_tools}")

    def _check_part(self, kind: Kind, part: Part, at: str, reasons: list[str]) -> Component | None:
        try:
            component = component_of(kind, part.name, at)
        except UnknownName as unknown:
            reasons.append(str(unknown))
            return None
        if component not in self.by_kind[kind] and not (
            kind == "topology" and not self._able(component)  # `_check_models` says it better
        ):
            reasons.append(f"{at}: {part.name} is not among the chosen components")
        for key, value in part.params:
            legal = component.params.get(key)
            if legal is None:
                known = ", ".join(sorted(component.params)) or "none"
                reasons.append(f"{at}.{part.name}: no parameter {key!r}; known: {known}")
            elif value not in legal:
                values = ", ".join(map(str, legal))
                reasons.append(f"{at}.{part.name}.{key}: {value!r} is not one of {values}")
        return component

    # -- bounds and features --------------------------------------------------------------------

    def bounds(self, design: Design) -> Bounds:
        """Worst case of one task. Dollars take every call at the dearest model's price and
        600 + 256 tokens; None where a price is unknown."""
        return Bounds(call_bound(design.root), usd_bound(design.root))

    def features(self, design: Design) -> Mapping[str, float]:
        """Counts of components and of pairs inside an agent, tree measures, bounds."""
        found: Counter[str] = Counter()
        nodes = list(design.nodes())
        models: set[str] = set()
        widest = 1
        for _, node in nodes:
            if isinstance(node, Team):
                found[f"has:{node.topology.name}"] += 1
                widest = max(widest, len(node.members))
                parts = [node.topology]
            else:
                parts = [part for _, part in node.parts()]
                models.add(node.model.name)
                found.update(f"has:{p.name}" for p in parts)
                names = sorted({p.name for p in parts})
                found.update(f"pair:{a}&{b}" for a, b in itertools.combinations(names, 2))
            found.update(f"param:{p.name}.{k}={v}" for p in parts for k, v in p.params)
        bounds = self.bounds(design)
        agents = sum(isinstance(node, Agent) for _, node in nodes)
        measures = {
            "tree:agents": agents,
            "tree:teams": len(nodes) - agents,
            "tree:depth": design.depth,
            "tree:width": widest,
            "tree:models": len(models),
            "bound:log_calls": math.log(bounds.calls),
        }
        if bounds.usd:
            measures["bound:log_usd"] = math.log10(bounds.usd)
        return {**found, **measures}

    # -- moves on finished designs --------------------------------------------------------------

    def edits(self, design: Design) -> Sequence[Design]:
        """All legal designs one edit away, without doubles, in a fixed order."""
        return self._legal(
            (
                design.replace_at(path, changed)
                for path, node in design.nodes()
                for changed in self._changed(node)
                if isinstance(changed, Agent) or not path.endswith("lead")
            ),
            design,
        )

    def _legal(self, candidates: Iterable[Design], but: Design) -> list[Design]:
        found: dict[str, Design] = {}
        but = self.normalise(but)
        for candidate in candidates:
            normal = self.normalise(candidate)
            if normal.hash not in found and normal != but and not self.check(normal):
                found[normal.hash] = normal
        return list(found.values())

    def _changed(self, node: Node) -> Iterable[Node]:
        if isinstance(node, Agent):
            yield from self._changed_agent(node)
            for topology in self.by_kind["topology"]:
                if topology.members[1] == 1:
                    yield self._team(topology, (node,))
                    continue
                for model in self.models:
                    if model.name != node.model.name or len(self.models) == 1:
                        pair = (node, replace(node, model=Part(model.name)))
                        yield self._team(topology, pair)
            return
        current = _find("topology", node.topology)
        for part in self._parameters("topology", node.topology):
            yield replace(node, topology=part)
        for other in self.by_kind["topology"]:
            if other != current:
                yield self._team(other, node.members[: other.members[1]])
        for i, member in enumerate(node.members):
            rest = node.members[:i] + node.members[i + 1 :]
            if rest:
                yield replace(node, members=rest)
            yield replace(member, role="") if isinstance(member, Agent) else member
            if i:
                swapped = (*rest[: i - 1], member, *rest[i - 1 :])
                yield replace(node, members=swapped)
        last = node.members[-1]
        for model in self.models:
            if isinstance(last, Agent):
                more = replace(last, model=Part(model.name), role="")
                yield replace(node, members=(*node.members, more))
        yield from self._moved_skills(node)

    def _changed_agent(self, agent: Agent) -> Iterable[Agent]:
        for model in self.models:
            yield replace(agent, model=Part(model.name))
        slots: tuple[Kind, ...] = ("reasoning", "planning", "memory", "guard")
        for slot in slots:
            now: Part | None = getattr(agent, slot)
            options = [
                self._default(c) for c in self.by_kind[slot] if not now or c.name != now.name
            ]
            if now is not None:
                options += self._parameters(slot, now)
            for part in options:
                yield replace(agent, **{slot: part})  # type: ignore[arg-type]
            if now is not None and slot != "reasoning":
                yield replace(agent, **{slot: None})  # type: ignore[arg-type]
        for tool in self.by_kind["tool"]:
            held = {t.name for t in agent.tools}
            if tool.name in held:
                yield replace(agent, tools=tuple(t for t in agent.tools if t.name != tool.name))
            else:
                yield replace(agent, tools=(*agent.tools, self._default(tool)))
        # A tool and the reasoning that gives it room come together.
        for reasoning in self.by_kind["reasoning"]:
            for tool in self.by_kind["tool"]:
                if reasoning.name != agent.reasoning.name and not agent.tools:
                    yield replace(
                        agent, reasoning=self._default(reasoning), tools=(self._default(tool),)
                    )
            yield replace(agent, reasoning=self._default(reasoning), tools=())

    def _parameters(self, kind: Kind, part: Part) -> list[Part]:
        """The part with one parameter at another legal value."""
        component = _find(kind, part)
        if component is None:
            return []
        now = {**component.defaults, **dict(part.params)}
        return [
            Part.of(part.name, **{**now, key: value})
            for key in sorted(component.params)
            for value in component.params[key]
            if value != now[key]
        ]

    def _team(self, topology: Component, members: Sequence[Node]) -> Team:
        """A team of these members; with a lead and the skills shared out where it has one."""
        plain = [replace(m, role="") if isinstance(m, Agent) else m for m in members]
        lead = None
        if topology.lead:
            lead = Agent(Part(self._able(topology)[0].name), self._plainest)
        if _shares_skills(topology):
            owners = [i % len(plain) for i in range(len(self.skills))]
            plain = self._with_roles(plain, owners)
        return Team(self._default(topology), tuple(plain), lead)

    def _moved_skills(self, team: Team) -> Iterable[Team]:
        """One skill given to another member."""
        topology = _find("topology", team.topology)
        if topology is None or not _shares_skills(topology) or not self.skills:
            return
        roles = [m.role.split("+") if isinstance(m, Agent) else [] for m in team.members]
        owners = [next((i for i, r in enumerate(roles) if s in r), 0) for s in self.skills]
        for k, owner in enumerate(owners):
            for i in range(len(team.members)):
                if i != owner:
                    moved = [*owners[:k], i, *owners[k + 1 :]]
                    yield replace(team, members=tuple(self._with_roles(team.members, moved)))

    def recombine(self, one: Design, other: Design, rng: random.Random) -> Design:
        """`one` with a slot or a subtree of `other`; where nothing legal and new comes of it, a
        random edit of `one`, or `one` itself where it has none."""
        trials: list[Callable[[], Design]] = []
        theirs = list(other.nodes())
        for path, node in one.nodes():
            for _, given in theirs:
                if isinstance(node, Agent) and isinstance(given, Agent):
                    for slot in ("model", *PART_SLOTS, "tools"):
                        changed = replace(node, **{slot: getattr(given, slot)})
                        trials.append(lambda p=path, c=changed: one.replace_at(p, c))  # type: ignore[misc]
                if not path.endswith("lead"):
                    trials.append(lambda p=path, c=given: one.replace_at(p, c))  # type: ignore[misc]
        rng.shuffle(trials)
        known = {self.normalise(one).hash, self.normalise(other).hash}
        for trial in trials[:50]:
            child = self.normalise(trial())
            if child.hash not in known and not self.check(child):
                return child
        edits = self.edits(one)
        return rng.choice(edits) if edits else one


def _shares_skills(topology: Component) -> bool:
    """Whether the members' roles are kinds of tasks that the topology hands out."""
    return topology.lead or "labelled" in topology.requires


def _yaml_path(at: str, path: str) -> str:
    """A node's path below `at` as it reads in the YAML."""
    steps = path.split(".") if path else []
    return at + "".join(f".{s}" if s == "lead" else f".members[{s}]" for s in steps)


def usd_bound(node: Node) -> float | None:
    """Dollars of one task in the worst case: every call at the dearest model's price and
    600 + 256 tokens; None where a price is unknown."""
    usd = 0.0
    for _, agent in Design(node).agents():
        price = component_of("model", agent.model.name).price
        one = price.usd(PROMPT_TOKENS, COMPLETION_TOKENS) if price else None
        if one is None:
            return None
        usd = max(usd, one)
    return usd * call_bound(node)


def call_bound(node: Node) -> int:
    """Declared worst-case model calls of one task (without turns of tool use)."""
    if isinstance(node, Team):
        topology = component_of("topology", node.topology.name)
        inner = [_with_memory(node.lead, 1)] if node.lead is not None else []
        inner += [call_bound(m) for m in node.members]
        return topology.calls({**topology.defaults, **dict(node.topology.params)}, inner)
    bound = 0
    for slot in ("reasoning", "planning", "guard"):
        part = getattr(node, slot)
        if part is not None:
            component = component_of(slot, part.name)
            inner = [bound] if slot != "reasoning" else []
            bound = component.calls({**component.defaults, **dict(part.params)}, inner)
    return _with_memory(node, bound)


def _with_memory(agent: Agent, bound: int) -> int:
    if agent.memory is None:
        return bound
    memory = component_of("memory", agent.memory.name)
    return bound + memory.calls({**memory.defaults, **dict(agent.memory.params)}, [bound])


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


def _find(kind: str, part: Part) -> Component | None:
    if part.name in all_components and all_components[part.name].kind == kind:
        return all_components[part.name]
    return None


def _full(kind: str, part: Part) -> Part:
    """The part with its defaults written out."""
    component = _find(kind, part)
    return Part.of(part.name, **{**component.defaults, **dict(part.params)}) if component else part
