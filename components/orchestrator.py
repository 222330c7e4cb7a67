"""A lead agent chooses which sub-agent answers (sub-agents as tools of an orchestrator: BOAD,
section 3; HuggingGPT, Shen et al. 2023, section 3).

The lead sees the members' names (their roles, or their models) and the question, and answers with
one name. A role may join several skills, `facts+lists`: each is offered as a name of its own. A
name that is not a member's is matched without case, then by its beginning; where nothing matches,
the first member answers, and that call is not lost: it is counted like any other.
Model calls: the lead's one, and the chosen member's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paragent.ballot import normalised
from paragent.component import Answer, Component, TeamView, final_answer
from paragent.design import Param
from paragent.template import Prompt

INSTRUCTION = Prompt(
    "orchestrator.choose",
    "Choose the best agent for the question. Answer with its name.",
)


def offers(roles: Sequence[str]) -> tuple[list[str], list[int]]:
    """The names the lead may say, and the member each belongs to; the first owner keeps a name."""
    names: list[str] = []
    owners: list[int] = []
    for owner, role in enumerate(roles):
        for name in role.split("+"):
            if name and name not in names:
                names.append(name)
                owners.append(owner)
    return names, owners


def choose(names: Sequence[str], said: str) -> int:
    """The index of the member the lead named; 0 where it named none."""
    wish = normalised(said)
    plain = [normalised(name) for name in names]
    if wish in plain:
        return plain.index(wish)
    for i, name in enumerate(plain):
        if wish and (name.startswith(wish) or wish.startswith(name)):
            return i
    return 0


def build() -> object:
    """A team whose lead hands the question to one member."""

    async def solve(team: TeamView, question: str) -> Answer:
        assert team.lead is not None, "the space gives an orchestrator a lead"
        names, owners = offers([member.name for member in team.members])
        reply = await team.lead.ask(
            INSTRUCTION(),
            f"Agents: {', '.join(names)}\nQuestion: {question}",
            tools=False,
            memory=False,
        )
        chosen = owners[choose(names, final_answer(reply.text))]
        return await team.members[chosen].solve(question)

    return solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return 1 + max(inner[1:])


ORCHESTRATOR = Component(
    name="orchestrator",
    kind="topology",
    provides=("routes",),
    summary="a lead agent chooses which sub-agent answers",
    build=build,
    calls=_calls,
    lead=True,
    members=(2, 5),
    prompts=(INSTRUCTION,),
    paper="BOAD, arXiv 2512.23631, section 3; Shen et al. 2023, HuggingGPT, section 3",
)
