"""Layers of members: each layer reads the answers of the one before, and a lead aggregates the last
(Wang et al. 2024, Mixture-of-Agents Enhances Large Language Model Capabilities, section 2.2).

With one layer the members answer on their own and the lead aggregates. Model calls: layers times
the members' own together, and the lead's one. Requires "instruct" of the lead's model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paragent.ballot import plurality
from paragent.component import Answer, Component, TeamView, together
from paragent.design import Param
from paragent.prompts import as_answer
from paragent.teamwork import distinct, report
from paragent.template import Prompt

LAYER = Prompt(
    "mixture_of_agents.layer",
    "{question}\n\nReference answers of other agents, some of which may be wrong:\n\n{others}\n\n"
    "Use them with care and answer the question.",
)
AGGREGATE = Prompt(
    "mixture_of_agents.aggregate",
    "Several agents answered the question. Weigh their answers critically, since some may be "
    'wrong, and give one answer of your own. End with the final answer after "Answer:".',
)


def build(layers: int) -> object:
    """A mixture of `layers` layers under a lead."""

    async def solve(team: TeamView, question: str) -> Answer:
        assert team.lead is not None, "the space gives a mixture a lead"
        names = distinct([member.name for member in team.members])
        asked = question
        answers: Sequence[Answer] = ()
        for _ in range(layers):
            answers = await together([member.solve(asked) for member in team.members])
            asked = LAYER(question=question, others=report(names, answers))
        reply = await team.lead.ask(
            AGGREGATE(), f"Question: {question}\n\n{report(names, answers)}", tools=False
        )
        found = as_answer(reply)
        return found if found.text else plurality(answers)

    return solve


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return inner[0] + int(params["layers"]) * sum(inner[1:])


MIXTURE_OF_AGENTS = Component(
    name="mixture_of_agents",
    kind="topology",
    summary="layers of members read each other's answers; a lead aggregates the last layer",
    build=build,
    params={"layers": (1, 2)},
    calls=_calls,
    requires=("instruct",),
    lead=True,
    members=(2, 5),
    prompts=(LAYER, AGGREGATE),
    paper="Wang et al. 2024, Mixture-of-Agents, section 2.2",
)
