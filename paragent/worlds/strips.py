"""STRIPS planning: domains and problems in PDDL, actions applied one by one, plans checked.

Fikes and Nilsson 1971, STRIPS, section 2: an action may be taken where its preconditions are among
the facts; it then adds some facts and deletes others. A plan is valid where each action may be
taken in its turn and the goal holds at the end. Read are `:parameters`, `:precondition` and
`:effect` with `and` and `not`, which is all that PlanBench's domains use; types are not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from paragent.environment import Refused

#: A predicate with its arguments, e.g. ("on", "a", "b"); in an action, arguments begin with "?".
Fact = tuple[str, ...]
#: An action with its objects, e.g. ("stack", "a", "b").
Step = tuple[str, ...]

#: Longest plan that is read, in actions; the longest gold plan of PlanBench has 50.
MAX_PLAN = 1000


@dataclass(frozen=True)
class Operator:
    """What an action needs, adds and deletes; `needs` and `deletes` name its parameters."""

    name: str
    parameters: tuple[str, ...]
    needs: tuple[Fact, ...]
    adds: tuple[Fact, ...]
    deletes: tuple[Fact, ...]


@dataclass(frozen=True)
class Domain:
    """The actions by name (lower case)."""

    operators: Mapping[str, Operator]

    def apply(self, state: frozenset[Fact], step: Step) -> frozenset[Fact]:
        """The facts after one action. Raises Refused, naming the fact that is missing."""
        operator = self.operators.get(step[0])
        if operator is None:
            raise Refused(f"there is no action {step[0]!r}; actions: {', '.join(self.operators)}")
        if len(step) - 1 != len(operator.parameters):
            wanted = len(operator.parameters)
            raise Refused(f"{step[0]} takes {wanted} objects, got {len(step) - 1}")
        bound = dict(zip(operator.parameters, step[1:], strict=True))

        def ground(facts: Sequence[Fact]) -> list[Fact]:
            return [(f[0], *(bound.get(a, a) for a in f[1:])) for f in facts]

        for fact in ground(operator.needs):
            if fact not in state:
                raise Refused(f"{' '.join(step)} is not possible: not ({' '.join(fact)})")
        return (state - frozenset(ground(operator.deletes))) | frozenset(ground(operator.adds))


@dataclass(frozen=True)
class Problem:
    """Objects, the facts at the beginning, and those wanted at the end."""

    objects: tuple[str, ...]
    init: frozenset[Fact]
    goal: frozenset[Fact]


def read_domain(pddl: str) -> Domain:
    """A domain from its PDDL text. Raises ValueError for what is no PDDL."""
    found = {}
    for section in _expression(pddl)[1:]:
        if isinstance(section, list) and section[:1] == [":action"]:
            slots = dict(zip(section[2::2], section[3::2], strict=True))
            adds, deletes = _signed(slots[":effect"])
            needs, _ = _signed(slots[":precondition"])
            name = str(section[1])
            found[name] = Operator(name, tuple(slots[":parameters"]), needs, adds, deletes)
    return Domain(found)


def read_problem(pddl: str) -> Problem:
    """A problem from its PDDL text. Raises ValueError for what is no PDDL."""
    sections = {s[0]: s[1:] for s in _expression(pddl)[1:] if isinstance(s, list)}
    goal, _ = _signed(sections[":goal"][0])
    init = frozenset(tuple(f) for f in sections[":init"])
    return Problem(tuple(sections[":objects"]), init, frozenset(goal))


def valid(domain: Domain, problem: Problem, plan: Sequence[Step]) -> bool:
    """Whether the plan reaches the goal."""
    state = problem.init
    try:
        for step in plan:
            state = domain.apply(state, step)
    except Refused:
        return False
    return problem.goal <= state


def read_plan(text: str, domain: Domain, objects: Sequence[str]) -> list[Step]:
    """The actions that a text names, in order: `(stack a b)`, `stack a b`, `stack(a, b)`.

    They are read after the last "Answer:" or "[PLAN]", if there is one, up to "[PLAN END]". At
    most MAX_PLAN of them.
    """
    text = text.lower()
    start = max(text.rfind("answer:"), text.rfind("[plan]"))
    text = text[max(start, 0) :].partition("[plan end]")[0]
    thing = "|".join(map(re.escape, sorted(objects, key=len, reverse=True)))
    gap = r"[ \t,(]{1,3}"
    patterns = [
        rf"{re.escape(o.name)}" + rf"{gap}({thing})(?![\w-])" * len(o.parameters)
        for o in sorted(domain.operators.values(), key=lambda o: -len(o.name))
    ]
    found: list[Step] = []
    whole = re.compile(rf"(?<![\w-])(?:{'|'.join(f'(?:{p})' for p in patterns)})")
    for match in whole.finditer(text):
        found.append(tuple(re.split(r"[\s,(]+", match[0])))
        if len(found) >= MAX_PLAN:
            break
    return found


def _signed(expression: object) -> tuple[tuple[Fact, ...], tuple[Fact, ...]]:
    """The positive and the negated facts of a conjunction."""
    assert isinstance(expression, list)
    parts = expression[1:] if expression[:1] == ["and"] else [expression]
    positive = tuple(tuple(p) for p in parts if p[0] != "not")
    negative = tuple(tuple(p[1]) for p in parts if p[0] == "not")
    return positive, negative


def _expression(text: str) -> list[object]:
    """One s-expression as nested lists of lower-case words."""
    words = iter(re.findall(r"[()]|[^\s()]+", re.sub(r";[^\n]*", "", text).lower()))
    if next(words, "") != "(":
        raise ValueError("no PDDL: it does not begin with a bracket")
    return _rest(words)


def _rest(words: Iterator[str]) -> list[object]:
    found: list[object] = []
    for word in words:
        if word == ")":
            return found
        found.append(_rest(words) if word == "(" else word)
    raise ValueError("no PDDL: a bracket is not closed")
