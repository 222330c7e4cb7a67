"""Members answer on their own; who is near the common view teaches those that are not (SelfOrg,
arXiv 2510.00685, section 3: contribution psi = cosine of an answer with the mean answer, a cheap
stand-in for the Shapley value).

Per round: an edge m -> n where the answers are at least `tau` alike and psi_m > psi_n (such a graph
has no cycle); in the order of the graph every member with teachers answers again, having read
theirs. The answer nearest to the psi-weighted mean of all stands. Answers are compared as bags of
words, where the paper uses sentence embeddings (no download is needed; synonyms are not seen).
Model calls: at most (1 + rounds) times the members' own together. Requires "instruct" of every
member's model.
"""

from __future__ import annotations

from collections.abc import Sequence

from paragent.component import Answer, Component, TeamView, together
from paragent.teamwork import agreed, bag, cosine, distinct, report, weighted_sum
from paragent.template import Prompt

READ = Prompt(
    "self_organizing.read",
    "{question}\n\nAgents near the common view of the team answered:\n\n{others}\n\n"
    "Check their reasoning, mend your own where they are right, and answer again.",
)


def contributions(texts: Sequence[str]) -> list[float]:
    """The psi of every answer, in [0, 1]: its cosine with the mean of all."""
    bags = [bag(text) for text in texts]
    mean = weighted_sum(bags, [1 / len(bags)] * len(bags))
    return [cosine(b, mean) for b in bags]


def teachers(texts: Sequence[str], tau: float) -> list[list[int]]:
    """For every member those it reads, the nearest to the common view first."""
    psi = contributions(texts)
    bags = [bag(text) for text in texts]
    order = sorted(range(len(texts)), key=lambda i: (-psi[i], i))
    return [
        [m for m in order if psi[m] > psi[n] and cosine(bags[m], bags[n]) >= tau]
        for n in range(len(texts))
    ]


def chosen(texts: Sequence[str]) -> int:
    """The answer nearest to the psi-weighted mean; the first of equals."""
    psi = contributions(texts)
    bags = [bag(text) for text in texts]
    total = sum(psi) or 1.0
    mean = weighted_sum(bags, [p / total for p in psi])
    return max(range(len(texts)), key=lambda i: cosine(bags[i], mean))


def build(rounds: int, tau: float) -> object:
    """A team that organises itself `rounds` times."""

    async def solve(team: TeamView, question: str) -> Answer:
        names = distinct([member.name for member in team.members])
        answers = list(await together([member.solve(question) for member in team.members]))
        for _ in range(rounds):
            if agreed(answers):
                break
            reads = teachers(_texts(answers), tau)
            waiting = [n for n, who in enumerate(reads) if who]
            while waiting:  # who waits for nobody that is still waiting goes now, side by side
                ready = [n for n in waiting if not set(reads[n]) & set(waiting)]
                asks = [
                    team.members[n].solve(
                        READ(
                            question=question,
                            others=report(
                                [names[m] for m in reads[n]], [answers[m] for m in reads[n]]
                            ),
                        )
                    )
                    for n in ready
                ]
                for n, answer in zip(ready, await together(asks), strict=True):
                    answers[n] = answer
                waiting = [n for n in waiting if n not in ready]
        return answers[chosen(_texts(answers))]

    return solve


def _texts(answers: Sequence[Answer]) -> list[str]:
    return [a.full or a.text for a in answers]


SELF_ORGANIZING = Component(
    name="self_organizing",
    kind="topology",
    summary="members near the common view teach the others; the answer nearest to it stands",
    build=build,
    params={"rounds": (1, 2), "tau": (0.3, 0.6)},
    calls=lambda params, inner: (1 + int(params["rounds"])) * sum(inner),
    requires=("instruct",),
    members=(3, 5),
    prompts=(READ,),
    paper="SelfOrg, arXiv 2510.00685, section 3",
)
