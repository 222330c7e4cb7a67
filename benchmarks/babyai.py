"""BabyAI: instructions carried out in a grid world, of which an agent sees what lies before it.

Source: Chevalier-Boisvert et al. 2019, BabyAI: A Platform to Study the Sample Efficiency of
Grounded Language Learning, section 3; package `minigrid` (extra `grids`), whose levels, rules and
bot are used as they are. Licence: Apache-2.0. 40 dev and 40 test tasks of five levels. Version 1.
One raw example:

    level BabyAI-GoToLocal-v0, seed 1003: "go to the blue ball"

Tools: left, right, forward, pick_up, drop, toggle (opens doors); each tells what is then in view.
Scored by the package: 1 where it says that the mission is fulfilled, else 0. A level may end a task
after its own number of steps.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Sequence
from functools import cache, partial
from typing import Any

from paragent.benchmark import Referee, Task
from paragent.component import Answer
from paragent.environment import Action, Environment, Oracle, action
from paragent.errors import UsageError
from paragent.outcome import Split
from paragent.registry import BenchmarkPlugin
from paragent.world_benchmark import WorldBenchmark

VERSION = "1"
STEPS = 64
LEVELS = (
    "BabyAI-GoToLocal-v0",
    "BabyAI-PickupLoc-v0",
    "BabyAI-PutNextLocal-v0",
    "BabyAI-OpenDoor-v0",
    "BabyAI-GoToSeqS5R2-v0",
)
#: Tasks of each level in each split, and the seeds at which they begin.
EACH = 8
FIRST_SEED = {"dev": 1000, "test": 2000}
EXTRA = "pip install 'paragent[grids]'"

#: Our tools, and the package's actions.
MOVES = {"left": 0, "right": 1, "forward": 2, "pick_up": 3, "drop": 4, "toggle": 5}
_SAID = {
    "left": "Turn left.",
    "right": "Turn right.",
    "forward": "Go one cell forward.",
    "pick_up": "Pick up what is in the cell ahead.",
    "drop": "Put what is carried into the cell ahead.",
    "toggle": "Open or close the door or box ahead.",
}
_DOOR = ("open", "closed", "locked")


class Grid(Environment):
    """One level at one seed."""

    instruction = (
        "You are in a grid of rooms and see the cells before you, up to 6 ahead and 3 to each side."
    )

    def __init__(self, level: str, seed: int) -> None:
        self._game = make(level)
        self.view = begin(self._game, seed)
        self.done, self.reward = False, 0.0
        self.tools = tuple(
            action(name, said, partial(self._move, MOVES[name])) for name, said in _SAID.items()
        )

    def _move(self, number: int) -> str:
        self.view, reward, ended, cut, _ = self._game.step(number)
        self.reward = max(self.reward, float(reward))
        self.done = bool(ended or cut)
        if self.done:
            return "The mission is fulfilled." if self.reward > 0 else "Time is up."
        return self.describe()

    @property
    def over(self) -> bool:
        """Whether the level has ended."""
        return self.done

    def describe(self) -> str:
        """What is in view, the nearest first, and what is carried."""
        from minigrid.core.constants import IDX_TO_COLOR, IDX_TO_OBJECT

        image = self.view["image"]
        seen: list[tuple[int, str]] = []
        wide, deep = image.shape[:2]
        for x in range(wide):
            for y in range(deep):
                kind = IDX_TO_OBJECT[int(image[x, y, 0])]
                ahead, right = deep - 1 - y, x - wide // 2
                if kind in ("unseen", "empty", "floor") or (ahead, right) == (0, 0):
                    continue
                if kind == "wall" and right:  # of walls, the one ahead says enough
                    continue
                state = f"{_DOOR[int(image[x, y, 2])]} " if kind == "door" else ""
                colour = "" if kind == "wall" else f"{IDX_TO_COLOR[int(image[x, y, 1])]} "
                side = f", {abs(right)} to the {'right' if right > 0 else 'left'}" if right else ""
                seen.append((ahead + abs(right), f"a {state}{colour}{kind} {ahead} ahead{side}"))
        held = self._game.unwrapped.carrying
        carried = f" You carry a {held.color} {held.type}." if held is not None else ""
        return f"You see: {'; '.join(text for _, text in sorted(seen)) or 'nothing'}.{carried}"

    def score(self, answer: Answer) -> float:
        """1.0 where the mission is fulfilled."""
        return float(self.reward > 0)

    async def aclose(self) -> None:
        """Ends the game."""
        self._game.close()


def make(level: str) -> Any:
    """A level of the package. Raises UsageError where it is not installed."""
    if importlib.util.find_spec("minigrid") is None:
        raise UsageError(f"babyai needs the package minigrid, which is not installed; run: {EXTRA}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of the packages it imports
        import gymnasium
        import minigrid  # noqa: F401  (registers its levels)

        return gymnasium.make(level, disable_env_checker=True)


def begin(game: Any, seed: int) -> Any:
    """The first view of a game; the package's remarks on rejected drafts of a level are dropped."""
    with contextlib.redirect_stdout(io.StringIO()):
        view, _ = game.reset(seed=seed)
    return view


@cache
def missions(split: Split) -> tuple[Task, ...]:
    """The tasks of a split; any prefix of five has every level."""
    games = {level: make(level) for level in LEVELS}
    tasks = []
    for number in range(EACH):
        for level, game in games.items():
            seed = FIRST_SEED[split] + number
            begin(game, seed)
            mission = game.unwrapped.mission
            short = level.removeprefix("BabyAI-").removesuffix("-v0")
            about = f"Mission: {mission}. (level {short}, seed {seed})"
            tasks.append(Task(f"{split}-{short}-{seed}", about, "", {"level": level}))
    for game in games.values():
        game.close()
    return tuple(tasks)


def seed_of(task: Task) -> int:
    """The seed at which a task's level begins."""
    return int(task.id.rpartition("-")[2])


def _open(task: Task, referee: Referee | None) -> Environment:
    return Grid(task.tags["level"], seed_of(task))


def bot_plan(task: Task) -> Oracle:
    """What the package's own bot does, from the full map."""
    from minigrid.utils.baby_ai_bot import BabyAIBot

    names: Sequence[str] = tuple(MOVES)
    game = make(task.tags["level"])
    begin(game, seed_of(task))
    bot_of: Any = BabyAIBot
    bot, last, ended = bot_of(game.unwrapped), None, False
    plan: list[Action] = []
    while not ended and len(plan) < STEPS:
        last = bot.replan(last)
        plan.append(Action(names[int(last)]))
        _, _, done, cut, _ = game.step(int(last))
        ended = bool(done or cut)
    game.close()
    return plan


def load() -> WorldBenchmark:
    """The benchmark. Raises UsageError where the package is not installed."""
    make(LEVELS[0]).close()
    return WorldBenchmark("babyai", VERSION, missions, _open, bot_plan, steps=STEPS)


BABYAI = BenchmarkPlugin(
    "babyai",
    "instructions carried out in a grid world",
    load,
    source="package minigrid",
    licence="Apache-2.0",
    version=VERSION,
    sizes={"dev": 40, "test": 40},
    scorer="mission fulfilled",
    needs="the extra `grids`",
    missing=lambda: "" if importlib.util.find_spec("minigrid") else EXTRA,
)
