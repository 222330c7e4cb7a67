"""A central agent sees what all members think and sends each a short message; with it they answer
again (Gupta et al. 2021, HAMMER: Multi-Level Coordination of Reinforcement Learning Agents via
Learned Messaging, section 3; messages are written by a model instead of a trained policy).

Members never read each other: only the lead sees all. Messages are cut at `MESSAGE_LIMIT`
characters; a member that gets none keeps its answer without being asked. It ends early once all
agree; plurality decides. Model calls: the members' own together, and per round the lead's one and
the members' own again. Requires "instruct" of the lead's model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paragent.ballot import plurality
from paragent.component import Answer, Component, TeamView, together
from paragent.design import Param
from paragent.teamwork import agreed, distinct, report
from paragent.template import Prompt

MESSAGE_LIMIT = 300

INSTRUCTION = Prompt(
    "messenger.instruction",
    "You coordinate agents that cannot see each other. You see the question and what each said. "
    "Write to each agent that should think again one short message with what it most needs to "
    "know, as a line `name: message`. Write nothing to agents that are right.",
)
AGAIN = Prompt(
    "messenger.again",
    "{question}\n\nYour answer so far: {answer}\nMessage from your coordinator: {message}",
)

_LINE = re.compile(r"^[\s*\-\[]*([^:\]]+?)[\]*]*\s*:\s*(\S.*?)\s*$")


def read_messages(text: str, names: Sequence[str]) -> dict[str, str]:
    """Name to message, cut at MESSAGE_LIMIT; lines to nobody are left out, the first one counts."""
    plain = {name.casefold(): name for name in names}
    found: dict[str, str] = {}
    for line in text.splitlines():
        match = _LINE.match(line)
        if match and match[1].casefold() in plain:
            found.setdefault(plain[match[1].casefold()], match[2][:MESSAGE_LIMIT])
    return found


def build(rounds: int) -> object:
    """A team whose lead sends messages at most `rounds` times."""

    async def solve(team: TeamView, question: str) -> Answer:
        assert team.lead is not None, "the space gives a messenger team a lead"
        names = distinct([member.name for member in team.members])
        answers = list(await together([member.solve(question) for member in team.members]))
        for _ in range(rounds):
            if agreed(answers):
                break
            said = f"Question: {question}\n\n{report(names, answers)}"
            messages = read_messages(
                (await team.lead.ask(INSTRUCTION(), said, tools=False)).text, names
            )
            if not messages:
                break
            told = [i for i, name in enumerate(names) if name in messages]
            again = await together(
                [
                    team.members[i].solve(
                        AGAIN(question=question, answer=answers[i].text, message=messages[names[i]])
                    )
                    for i in told
                ]
            )
            for i, answer in zip(told, again, strict=True):
                answers[i] = answer
        return plurality(answers)

    return solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    rounds = int(params["rounds"])
    return rounds * inner[0] + (1 + rounds) * sum(inner[1:])


MESSENGER = Component(
    name="messenger",
    kind="topology",
    summary="a central agent reads all answers and sends each member a short message",
    build=build,
    params={"rounds": (1, 2)},
    calls=_calls,
    requires=("instruct",),
    lead=True,
    members=(2, 5),
    prompts=(INSTRUCTION, AGAIN),
    paper="Gupta et al. 2021, HAMMER, section 3",
)
