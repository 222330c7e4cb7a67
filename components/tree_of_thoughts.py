"""Partial solutions grow as a tree, breadth first: each kept one proposes ways to go on, a vote
among all of them keeps the best, and the best leaf is brought to its end (Yao et al. 2023, Tree of
Thoughts, section 3: proposal prompt, voting across states, and search as in its algorithm 1).

A vote that cannot be read keeps the first proposals. Where nothing is proposed, what stands goes
on. Model calls: per level one proposal for each kept thought and one vote, and one for the answer;
at the first level one thought stands: 2 + (depth - 1) * (breadth + 1) + 1.
Requires "instruct" and "judge"; provides "steps".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paragent.component import Answer, Chat, Component, together
from paragent.design import Param
from paragent.prompts import MARKED, as_answer
from paragent.teamwork import brief
from paragent.template import Prompt
from paragent.verdicts import numbered

PROPOSE = Prompt(
    "tree_of_thoughts.propose",
    "Below are a problem and the steps taken so far. Propose {breadth} different next steps that "
    "could lead to the solution, one per line, numbered 1:, 2:, and so on. Each is one or two "
    "sentences with its result. Do not repeat the steps taken.",
)
VOTE = Prompt(
    "tree_of_thoughts.vote",
    "Below are a problem and several partial solutions. Judge which are correct so far and closest "
    'to the solution. End with a line "Best:" and the numbers of the best {breadth}, the best '
    "first, with commas.",
)
FINISH = Prompt(
    "tree_of_thoughts.finish",
    f"Below are a problem and the steps taken so far. Go on to the solution{{tools}}. {MARKED}",
)
STATE = Prompt("tree_of_thoughts.state", "{question}\n\nSteps so far:\n{steps}")
CHOICE = Prompt("tree_of_thoughts.choice", "{question}\n\n{options}")

Path = tuple[str, ...]
_BEST = re.compile(r"best\W{0,6}((?:\d+[\s,;and]*)+)", re.IGNORECASE)


def chosen(text: str, options: int, most: int) -> list[int]:
    """Indices of the options that the vote names, best first, filled up with the first others."""
    marked = _BEST.findall(text)
    named = [int(n) - 1 for n in re.findall(r"\d{1,4}", marked[-1])] if marked else []
    order = dict.fromkeys([i for i in named if 0 <= i < options] + list(range(options)))
    return list(order)[:most]


def _state(question: str, path: Path) -> str:
    return STATE(question=question, steps="\n".join(path) or "(none)")


def build(breadth: int, depth: int) -> object:
    """A search that keeps `breadth` partial solutions on each of `depth` levels."""

    async def grow(chat: Chat, question: str, path: Path) -> list[Path]:
        shown = _state(question, path)
        reply = await chat.ask(PROPOSE(breadth=breadth), shown, tools=False)
        return [(*path, brief(step, 600)) for step in numbered(reply.text, breadth)]

    async def solve(chat: Chat, question: str) -> Answer:
        kept: Sequence[Path] = [()]
        for level in range(depth):
            grown = await together([grow(chat, question, path) for path in kept])
            options = [path for paths in grown for path in paths]
            if not options:
                break
            last = level == depth - 1
            wanted = 1 if last else breadth
            if len(options) > wanted:
                listed = "\n\n".join(
                    f"Option {i}:\n" + "\n".join(path) for i, path in enumerate(options, 1)
                )
                shown = CHOICE(question=question, options=listed)
                vote = await chat.ask(VOTE(breadth=wanted), shown, tools=False, memory=False)
                options = [options[i] for i in chosen(vote.text, len(options), wanted)]
            kept = options
        return as_answer(await chat.ask(FINISH(), _state(question, kept[0])))

    return solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return 3 + (int(params["depth"]) - 1) * (int(params["breadth"]) + 1)


TREE_OF_THOUGHTS = Component(
    name="tree_of_thoughts",
    kind="reasoning",
    summary="grows partial solutions as a tree and votes for the best on each level",
    build=build,
    params={"breadth": (2, 3), "depth": (2, 3)},
    calls=_calls,
    requires=("instruct", "judge"),
    provides=("steps",),
    prompts=(PROPOSE, VOTE, FINISH, STATE, CHOICE),
    paper="Yao et al. 2023, Tree of Thoughts, section 3 and algorithm 1",
)
