r"""PlanBench, plan generation: blocks world, the same under misleading names, and logistics.

Source: Valmeekam et al. 2023, PlanBench, section 3, task 1; github.com/karthikv792/LLMs-Planning at
b008bc4, plan-bench/instances. Licence: MIT. 500 + 100 problems of the blocks world, 500 + 100 of
the mystery blocks world, 285 of logistics. Version 1. One raw example (`blocksworld.jsonl`):

    {"id": "blocksworld-2", "problem_pddl": "(define (problem BW-rand-4)\n(:domain
    blocksworld-4ops)\n(:objects a b c d )\n(:init\n(handempty)\n(on a b)\n(ontable b)\n
    (ontable c)\n(on d c)\n(clear a)\n(clear d)\n)\n(:goal\n(and\n(on c a))\n)\n)",
    "gold_plan": ["unstack d c", "put-down d", "pick-up c", "stack c a"]}

Scored by a plan validator: 1 where every action can be taken and the goal holds at the end; any
valid plan will do, not the gold one alone. The problem is put formally, as facts, with the rules of
its domain in words; the data set's colours for blocks are not used.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from paragent.benchmark import Task
from paragent.errors import UnknownName
from paragent.hub import Part, Row, Source
from paragent.registry import BenchmarkPlugin
from paragent.rows_benchmark import RowsBenchmark
from paragent.worlds.strips import Domain, Problem, read_domain, read_plan, read_problem, valid

VERSION = "1"

_BLOCKS = """(define (domain blocks)
(:action pick-up :parameters (?x) :precondition (and (clear ?x) (ontable ?x) (handempty))
 :effect (and (holding ?x) (not (clear ?x)) (not (ontable ?x)) (not (handempty))))
(:action put-down :parameters (?x) :precondition (holding ?x)
 :effect (and (clear ?x) (handempty) (ontable ?x) (not (holding ?x))))
(:action stack :parameters (?x ?y) :precondition (and (clear ?y) (holding ?x))
 :effect (and (handempty) (clear ?x) (on ?x ?y) (not (clear ?y)) (not (holding ?x))))
(:action unstack :parameters (?x ?y) :precondition (and (on ?x ?y) (clear ?x) (handempty))
 :effect (and (holding ?x) (clear ?y) (not (on ?x ?y)) (not (clear ?x)) (not (handempty)))))"""

#: The mystery domain is the blocks world with these names.
_MASKS = {
    "pick-up": "attack",
    "put-down": "succumb",
    "unstack": "feast",
    "stack": "overcome",
    "clear": "province",
    "ontable": "planet",
    "handempty": "harmony",
    "holding": "pain",
    "(on ": "(craves ",
}

_LOGISTICS = """(define (domain logistics)
(:action load-truck :parameters (?p ?t ?l) :precondition
 (and (obj ?p) (truck ?t) (location ?l) (at ?t ?l) (at ?p ?l))
 :effect (and (not (at ?p ?l)) (in ?p ?t)))
(:action load-airplane :parameters (?p ?a ?l) :precondition
 (and (obj ?p) (airplane ?a) (location ?l) (at ?p ?l) (at ?a ?l))
 :effect (and (not (at ?p ?l)) (in ?p ?a)))
(:action unload-truck :parameters (?p ?t ?l) :precondition
 (and (obj ?p) (truck ?t) (location ?l) (at ?t ?l) (in ?p ?t))
 :effect (and (not (in ?p ?t)) (at ?p ?l)))
(:action unload-airplane :parameters (?p ?a ?l) :precondition
 (and (obj ?p) (airplane ?a) (location ?l) (in ?p ?a) (at ?a ?l))
 :effect (and (not (in ?p ?a)) (at ?p ?l)))
(:action drive-truck :parameters (?t ?from ?to ?c) :precondition
 (and (truck ?t) (location ?from) (location ?to) (city ?c) (at ?t ?from)
 (in-city ?from ?c) (in-city ?to ?c))
 :effect (and (not (at ?t ?from)) (at ?t ?to)))
(:action fly-airplane :parameters (?a ?from ?to) :precondition
 (and (airplane ?a) (airport ?from) (airport ?to) (at ?a ?from))
 :effect (and (not (at ?a ?from)) (at ?a ?to))))"""


@cache
def domain_of(name: str) -> Domain:
    """The domain of a part of the data set."""
    if name == "logistics":
        return read_domain(_LOGISTICS)
    text = _BLOCKS
    if name.startswith("mystery"):
        for plain, mask in _MASKS.items():
            text = text.replace(plain, mask)
    return read_domain(text)


def rules(domain: Domain) -> str:
    """The actions in words, one a line."""
    said = []
    for o in domain.operators.values():
        names = {p: p.lstrip("?") for p in o.parameters}

        def facts(found: tuple[tuple[str, ...], ...], names: dict[str, str] = names) -> str:
            return ", ".join(f"({' '.join(names.get(a, a) for a in f)})" for f in found)

        said.append(
            f"({' '.join([o.name, *names.values()])}): needs {facts(o.needs)}; "
            f"makes {facts(o.adds)} true; makes {facts(o.deletes)} false"
        )
    return "\n".join(said)


SOURCE = Source(
    "planbench",
    (
        Part("blocksworld", 500),
        Part("blocksworld_3", 100),
        Part("mystery_blocksworld", 500),
        Part("mystery_blocksworld_3", 100),
        Part("logistics", 285),
    ),
    ("problem_pddl", "gold_plan"),
    where="blocksworld.jsonl and so on, made from github.com/karthikv792/LLMs-Planning",
)
PARTS = tuple(part.name for part in SOURCE.parts)


def _task(part: str, row: Row, place: int) -> Task:
    problem = read_problem(str(row["problem_pddl"]))

    def facts(found: frozenset[tuple[str, ...]]) -> str:
        return " ".join(sorted(f"({' '.join(f)})" for f in found))

    question = (
        f"Actions:\n{rules(domain_of(part))}\nNow: {facts(problem.init)}\n"
        f"Goal: {facts(problem.goal)}\n"
        "Write a plan: the actions in order, one a line, after a line that says [PLAN]."
    )
    gold = "\n".join(f"({step})" for step in row["gold_plan"])
    return Task(str(row.get("id", f"{part}-{place}")), question, gold, {"part": part})


def problem_of(task: Task) -> Problem:
    """The problem that a task's question tells."""
    lines = task.question.splitlines()
    now, goal = (
        frozenset(tuple(fact.split()) for fact in re.findall(r"\(([^()]*)\)", line))
        for begin in ("Now: ", "Goal: ")
        for line in [next(line for line in lines if line.startswith(begin))]
    )
    return Problem(tuple(sorted({name for fact in now | goal for name in fact[1:]})), now, goal)


def _score(task: Task, answer: str) -> float:
    domain, problem = domain_of(task.tags["part"]), problem_of(task)
    return float(valid(domain, problem, read_plan(answer, domain, problem.objects)))


def load(part: str = "blocksworld", data: str | Path | None = None) -> RowsBenchmark:
    """The problems of one part: blocksworld, blocksworld_3, mystery_blocksworld,
    mystery_blocksworld_3 or logistics. Raises UnknownName for another."""
    if part not in PARTS:
        raise UnknownName("part of planbench", part, PARTS)
    return RowsBenchmark(SOURCE, VERSION, _task, _score, test=part, data=data, reads_all=True)


PLANBENCH = BenchmarkPlugin(
    "planbench",
    "plans for blocks, disguised blocks and logistics, checked step by step",
    load,
    source="github.com/karthikv792/LLMs-Planning",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 255, "test": 245},
    scorer="plan validator",
    missing=SOURCE.missing,
    data=SOURCE,
)
