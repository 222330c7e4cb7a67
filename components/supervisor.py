"""A lead that calls its sub-agents as tools: several, several times, within a bound (BOAD, arXiv
2512.23631, section 3: sub-agents take one text and share no history with the lead).

Each turn the lead writes lines `CALL name: request`, all of which run side by side, or its answer.
It sees the sub-agents' names and worst prices. A call to nobody is answered with the known names,
and counts as one. After `calls` calls it must answer. Model calls: at most calls + 1 of the lead,
and `calls` times the dearest member's own. Requires "instruct" of the lead's model; `orchestrator`
hands the whole question to one member and needs no more than a name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from paragent.component import Answer, Component, Member, TeamView, together
from paragent.design import Param
from paragent.errors import nearest
from paragent.prompts import as_answer
from paragent.teamwork import brief, distinct
from paragent.template import Prompt

INSTRUCTION = Prompt(
    "supervisor.instruction",
    "You lead sub-agents. They see only what you write to them. To call them, write lines "
    "`CALL name: request`, with everything they need in the request; you will read their replies. "
    "You may make {left} more calls. When you know the answer, write no CALL, and end with the "
    'final answer after "Answer:".',
)
LAST = Prompt(
    "supervisor.last",
    "You lead sub-agents and have made all your calls. Answer the question from their replies, and "
    'end with the final answer after "Answer:".',
)

_CALL = re.compile(r"^[\s*\-`]*CALL\s+([^:]+?)\s*:\s*(\S.*?)[\s`]*$", re.IGNORECASE | re.MULTILINE)


def read_calls(text: str) -> list[tuple[str, str]]:
    """(name, request) of every line that calls, in order."""
    return [(m[1], m[2]) for m in _CALL.finditer(text)]


def offer(names: Sequence[str], members: Sequence[Member]) -> str:
    """The sub-agents as the lead sees them, with the worst price of a call where it is known."""
    prices = ["" if m.usd is None else f" (up to ${m.usd:.2g} a call)" for m in members]
    return ", ".join(f"{name}{price}" for name, price in zip(names, prices, strict=True))


def build(calls: int) -> object:
    """A lead with at most `calls` calls of sub-agents."""

    async def solve(team: TeamView, question: str) -> Answer:
        assert team.lead is not None, "the space gives a supervisor a lead"
        names = distinct([member.name for member in team.members])
        plain = {name.casefold(): i for i, name in enumerate(names)}
        said = f"Sub-agents: {offer(names, team.members)}\nQuestion: {question}"
        left = calls
        while left:
            instruction = INSTRUCTION(left=left)
            reply = await team.lead.ask(instruction, said, tools=False)
            wishes = read_calls(reply.text)[:left]
            if not wishes:
                return as_answer(reply)
            left -= len(wishes)
            known = [(plain[n.casefold()], r) for n, r in wishes if n.casefold() in plain]
            answers = iter(await together([team.members[i].solve(r) for i, r in known]))
            for name, request in wishes:
                if name.casefold() in plain:
                    answer = next(answers)
                    heard = brief(answer.full or answer.text)
                else:
                    near = nearest(name, plain)
                    heard = f"error: no sub-agent is called {name!r}; there are {', '.join(names)}"
                    heard += f". Did you mean {near!r}?" if near else ""
                said += f"\n\nCALL {name}: {request}\n{name} replied: {heard}"
        return as_answer(await team.lead.ask(LAST(), said, tools=False))

    return solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    calls = int(params["calls"])
    return (calls + 1) * inner[0] + calls * max(inner[1:])


SUPERVISOR = Component(
    name="supervisor",
    kind="topology",
    summary="a lead calls sub-agents as tools, several and several times, then answers",
    build=build,
    params={"calls": (4, 8)},
    calls=_calls,
    requires=("instruct",),
    lead=True,
    members=(2, 5),
    prompts=(INSTRUCTION, LAST),
    paper="BOAD, arXiv 2512.23631, section 3",
)
