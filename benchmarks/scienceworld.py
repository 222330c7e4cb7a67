"""ScienceWorld: experiments of school science, carried out in a house by typed commands.

Source: Wang et al. 2022, ScienceWorld: Is your Agent Smarter than a 5th Grader?, sections 3 and 4;
package `scienceworld` (extra `science`; needs Java), whose world and scores are used as they are.
Licence: Apache-2.0. Ten of its 30 kinds of tasks, two variations of each in dev and test. Version
1. One raw example:

    find-plant, variation 0: "Your task is to find a plant. First, focus on the thing. Then, move it
    to the ... box in the ..."

Tools: act (one command, such as "open door to kitchen"), look, inventory. Scored by the package:
its 0 to 100 points, as a share; below zero is 0. Dev takes the first variations, which the
package's training part holds, test the last ones, which its test part holds. Each task in work
starts a Java process of its own; three are started at a time.
"""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
from collections.abc import Sequence
from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

from paragent.benchmark import Referee, Task
from paragent.component import Answer
from paragent.environment import Action, Ask, Environment, Oracle, action
from paragent.errors import UsageError
from paragent.outcome import Split
from paragent.registry import BenchmarkPlugin
from paragent.world_benchmark import WorldBenchmark

VERSION = "1"
STEPS = 100
AT_ONCE = 3
#: The tasks' names in the package, and how many variations it has of each.
KINDS = {
    "find-plant": 300,
    "find-animal": 300,
    "find-living-thing": 300,
    "find-non-living-thing": 300,
    "lifespan-longest-lived": 125,
    "lifespan-shortest-lived": 125,
    "boil": 30,
    "melt": 30,
    "freeze": 30,
    "use-thermometer": 540,
}
EACH = 2
EXTRA = "pip install 'paragent[science]'"

_COMMAND = {"type": "string", "description": "for example: open door to kitchen"}
_places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


class Laboratory(Environment):
    """One variation of a task. Its Java process is started when it is first needed."""

    instruction = (
        "You are in a house with several rooms. Commands: look around, look at X, look in X, open "
        "X, close X, go to X, pick up X, put down X, move X to Y, pour X into Y, use X on Y, "
        "activate X, deactivate X, focus on X, wait, inventory."
    )

    def __init__(self, kind: str, variation: int) -> None:
        self.kind, self.variation = kind, variation
        self.points, self.done = 0.0, False
        self._game: Any = None
        self.tools = (
            action("act", "Carry out one command.", self.act, {"command": _COMMAND}),
            action("look", "What is here.", lambda: self.act("look around")),
            action("inventory", "What you carry.", lambda: self.act("inventory")),
        )

    @property
    def over(self) -> bool:
        """Whether the package has ended the task."""
        return self.done

    def begin(self) -> str:
        """Start the process; what the task is and where one stands."""
        self._game = start(self.kind, self.variation)
        seen, told = self._game.reset()
        return f"{told['taskDesc']}\n{seen}"

    def act(self, command: str) -> str:
        """One command."""
        if self._game is None:
            self.begin()
        seen, _, done, told = self._game.step(command[:500].replace("\n", " "))
        self.done = bool(done)
        self.points = float(told["score"])
        return str(seen)

    async def play(self, ask: Ask, question: str) -> Answer:
        """The task's text comes from the package."""
        loop = asyncio.get_running_loop()
        async with _places.setdefault(loop, asyncio.Semaphore(AT_ONCE)):
            return await ask(await asyncio.to_thread(self.begin))

    def score(self, answer: Answer) -> float:
        """The package's points, as a share."""
        return min(1.0, max(0.0, self.points / 100))

    async def aclose(self) -> None:
        """Ends the process."""
        if self._game is not None:
            self._game.close()


def start(kind: str, variation: int, *, gold: bool = False) -> Any:
    """A game of the package. Raises UsageError where it, or Java, is not there."""
    if command := missing():
        raise UsageError(f"scienceworld needs a package and Java; run: {command}")
    from scienceworld import ScienceWorldEnv

    game = ScienceWorldEnv("", envStepLimit=10 * STEPS)
    game.load(kind, variation, "easy", generateGoldPath=gold)
    return game


def missing() -> str:
    """The command that makes it ready, or ""."""
    if importlib.util.find_spec("scienceworld") is None:
        return EXTRA
    return "" if shutil.which("java") else "install Java 8 or newer"


@cache
def variations(split: Split) -> tuple[Task, ...]:
    """The tasks of a split; any prefix of ten has every kind."""
    tasks = []
    for number in range(EACH):
        for kind, most in KINDS.items():
            variation = number if split == "dev" else most - 1 - number
            about = f"{kind.replace('-', ' ')} (variation {variation})"
            tasks.append(Task(f"{kind}-{variation}", about, "", {"kind": kind}))
    return tuple(tasks)


def variation_of(task: Task) -> int:
    """The number of the variation."""
    return int(task.id.rpartition("-")[2])


def _open(task: Task, referee: Referee | None) -> Environment:
    return Laboratory(task.tags["kind"], variation_of(task))


def gold_path(task: Task) -> Oracle:
    """The commands that the package itself gives."""
    game = start(task.tags["kind"], variation_of(task), gold=True)
    try:
        game.reset()
        commands: Sequence[str] = game.get_gold_action_sequence()
    finally:
        game.close()
    return [Action.of("act", command=command) for command in commands]


def load() -> WorldBenchmark:
    """The benchmark. Raises UsageError where the package or Java is not there."""
    if command := missing():
        raise UsageError(f"scienceworld needs a package and Java; run: {command}")
    return WorldBenchmark("scienceworld", VERSION, variations, _open, gold_path, steps=STEPS)


SCIENCEWORLD = BenchmarkPlugin(
    "scienceworld",
    "experiments of school science by typed commands",
    load,
    source="package scienceworld",
    licence="Apache-2.0",
    version=VERSION,
    sizes={"dev": 20, "test": 20},
    scorer="points of the package",
    needs="Java and the extra `science`",
    missing=missing,
)
