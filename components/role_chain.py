"""One model plays a whole team inside one growing context (Chain-of-Agents: End-to-End Agent
Foundation Models via Multi-Agent Distillation and Agentic RL, 2025, section 3, without its
training): the roles speak in turn, each reads all that was said, the last one answers.

The same work as a `chain` of agents, so that the two can be compared in tokens and in score. The
single member may be an agent or a team. Model calls: one of the member per role. Requires
"instruct" of the member's model.
"""

from __future__ import annotations

from paragent.component import Answer, Component, TeamView
from paragent.teamwork import brief
from paragent.template import Prompt

TURN = Prompt("role_chain.turn", "{question}{so_far}\n\nYou now speak as the {role}. {task}")
TASKS = {
    "planner": Prompt(
        "role_chain.planner", "Say which steps lead to the answer. Do not carry them out yet."
    ),
    "solver": Prompt("role_chain.solver", "Carry out the work so far and give the answer."),
    "checker": Prompt(
        "role_chain.checker",
        "Check every step so far, mend what is wrong, and give the final answer.",
    ),
}
ROLES = {
    "plan-solve-check": ("planner", "solver", "checker"),
    "solve-check": ("solver", "checker"),
}


def build(roles: str) -> object:
    """A member that speaks in the roles called `roles`, one after the other."""

    async def solve(team: TeamView, question: str) -> Answer:
        (member,) = team.members
        said: list[str] = []
        best = Answer("")
        for role in ROLES[roles]:
            so_far = "".join(f"\n\n{line}" for line in said)
            answer = await member.solve(
                TURN(question=question, so_far=so_far, role=role, task=TASKS[role]())
            )
            said.append(f"The {role} said:\n{brief(answer.full or answer.text)}")
            best = answer if answer.text else best
        return best

    return solve


ROLE_CHAIN = Component(
    name="role_chain",
    kind="topology",
    summary="one member plays planner, solver and checker in turn inside one context",
    build=build,
    params={"roles": tuple(ROLES)},
    calls=lambda params, inner: len(ROLES[str(params["roles"])]) * sum(inner),
    requires=("instruct",),
    members=(1, 1),
    prompts=(TURN, *TASKS.values()),
    paper="Chain-of-Agents: End-to-End Agent Foundation Models, 2025, section 3",
)
