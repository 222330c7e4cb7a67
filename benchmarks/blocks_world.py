"""Blocks world, acted out: an agent moves blocks with its own hand and sees what comes of it.

Source: generated here; the rules are those of the planning domain (Slaney and Thiebaux 2001, Blocks
World Revisited, section 2). Licence: MIT. 100 dev and 100 test problems of 3 to 6 blocks, no two
alike. Version 1. One raw example:

    a on b; b on the table; c on the table; d on c. Goal: c on a.

Tools: look, pick_up, put_down, stack, unstack. Scored by the state alone: 1 where the goal holds at
the end, else 0. It takes 40 steps at most; a problem of n blocks can be solved in 4n.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

from paragent.benchmark import Referee, Task
from paragent.component import Answer
from paragent.environment import Action, Environment, Oracle, Refused, action
from paragent.outcome import Split
from paragent.registry import BenchmarkPlugin
from paragent.world_benchmark import WorldBenchmark

VERSION = "1"
STEPS = 40

#: Where each block stands: on another block, or on "table".
Places = dict[str, str]

_BLOCK = {"type": "string", "description": "a block's letter"}


class BlocksWorld(Environment):
    """Blocks on a table and a hand. `places` lacks the block that is held."""

    instruction = (
        "You move blocks with one hand, which holds one block at a time. Only a block with nothing "
        "on it can be taken or be put upon."
    )

    def __init__(self, places: Places, goal: Places) -> None:
        self.places, self.goal, self.held = dict(places), dict(goal), ""
        self.tools = (
            action("look", "What stands where.", self.look),
            action("pick_up", "Take a block from the table.", self.pick_up, {"block": _BLOCK}),
            action("put_down", "Put the held block on the table.", self.put_down),
            action("stack", "Put the held block on another.", self.stack, {"on": _BLOCK}),
            action("unstack", "Take a block off another block.", self.unstack, {"block": _BLOCK}),
        )

    @property
    def over(self) -> bool:
        """Whether the goal is reached."""
        return not self.held and all(self.places.get(b) == on for b, on in self.goal.items())

    def look(self) -> str:
        """The places in words."""
        held = f"; in hand: {self.held}" if self.held else ""
        return describe(self.places) + held

    def pick_up(self, block: str) -> str:
        """From the table."""
        if self._free(block) != "table":
            raise Refused(f"{block} stands on {self.places[block]}: unstack it")
        return self._take(block)

    def unstack(self, block: str) -> str:
        """From a block."""
        if self._free(block) == "table":
            raise Refused(f"{block} stands on the table: pick it up")
        return self._take(block)

    def put_down(self) -> str:
        """On the table."""
        return self._put("table")

    def stack(self, on: str) -> str:
        """On a block."""
        if on not in self.places:
            raise Refused(f"no block {on!r} stands anywhere")
        if on in self.places.values():
            raise Refused(f"something stands on {on}")
        return self._put(on)

    def _free(self, block: str) -> str:
        """What the block, which can be taken, stands on."""
        if self.held:
            raise Refused(f"the hand holds {self.held}")
        if block not in self.places:
            raise Refused(f"there is no block {block!r}; blocks: {', '.join(sorted(self.places))}")
        if block in self.places.values():
            raise Refused(f"something stands on {block}")
        return self.places[block]

    def _take(self, block: str) -> str:
        self.held = block
        del self.places[block]
        return f"in hand: {block}"

    def _put(self, on: str) -> str:
        if not self.held:
            raise Refused("the hand is empty")
        self.places[self.held], self.held = on, ""
        return "the goal is reached" if self.over else self.look()

    def score(self, answer: Answer) -> float:
        """1.0 where the goal is reached."""
        return float(self.over)


def describe(places: Places) -> str:
    """`a on b; b on the table; …`, by letter."""
    return "; ".join(
        f"{b} on {'the table' if on == 'table' else on}" for b, on in sorted(places.items())
    )


def read(described: str) -> Places:
    """Inverse of `describe`."""
    pairs = (part.split(" on ") for part in described.split("; "))
    return {b: "table" if on == "the table" else on for b, on in pairs}


@cache
def problems(split: Split) -> tuple[Task, ...]:
    """100 problems; those of the test split are drawn after those of dev, and differ from them."""
    rng = random.Random("blocks-world-1")
    found: dict[str, Task] = {}
    while len(found) < 200:
        blocks = "abcdef"[: rng.choice((3, 4, 5, 6))]
        now, then = _towers(blocks, rng), _towers(blocks, rng)
        goal = {b: on for b, on in then.items() if on != "table"}
        if not goal or all(now[b] == on for b, on in goal.items()):
            continue
        question = f"Now: {describe(now)}.\nGoal: {describe(goal)}."
        name = "dev" if len(found) < 100 else "test"
        tags = {"blocks": str(len(blocks))}
        found.setdefault(question, Task(f"{name}-{len(found) % 100:03}", question, "", tags))
    tasks = list(found.values())
    return tuple(tasks[:100] if split == "dev" else tasks[100:])


def _towers(blocks: Sequence[str], rng: random.Random) -> Places:
    order = rng.sample(blocks, len(blocks))
    places: Places = {}
    for i, block in enumerate(order):
        places[block] = "table" if i == 0 or rng.random() < 0.4 else order[i - 1]
    return places


def solve(places: Places, goal: Places) -> list[Action]:
    """Everything to the table, then the goal's towers from below: at most 4n actions."""
    actions: list[Action] = []
    left = dict(places)
    while tall := sorted(b for b, on in left.items() if on != "table" and b not in left.values()):
        actions += [Action.of("unstack", block=tall[0]), Action("put_down")]
        left[tall[0]] = "table"
    placed = {b for b in places if b not in goal}
    while waiting := sorted(b for b, on in goal.items() if b not in placed and on in placed):
        actions += [Action.of("pick_up", block=waiting[0]), Action.of("stack", on=goal[waiting[0]])]
        placed.add(waiting[0])
    return actions


def places_of(task: Task) -> tuple[Places, Places]:
    """Now and goal of a task, from its question."""
    now, goal = (line.partition(": ")[2].rstrip(".") for line in task.question.splitlines())
    return read(now), read(goal)


def _open(task: Task, referee: Referee | None) -> Environment:
    return BlocksWorld(*places_of(task))


def _known(task: Task) -> Oracle:
    return solve(*places_of(task))


def load() -> WorldBenchmark:
    """The benchmark."""
    return WorldBenchmark("blocks_world", VERSION, problems, _open, _known, steps=STEPS)


BLOCKS_WORLD = BenchmarkPlugin(
    "blocks_world",
    "blocks moved step by step until the goal stands",
    load,
    source="generated here",
    licence="MIT",
    version=VERSION,
    sizes={"dev": 100, "test": 100},
    scorer="state of the world",
)
