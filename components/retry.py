"""One member answers, and again with rising temperature while it is not sure (repeated sampling:
Brown et al. 2024, Large Language Monkeys, section 2; the gate is FrugalGPT's threshold, Chen et al.
2023, section 3, on the member's own confidence).

Attempt k of n is drawn at temperature `top` * (k - 1) / (n - 1): the first is greedy. It ends at
the first answer with confidence of at least `threshold`; a member without confidence ends once two
attempts agree. Otherwise the most confident attempt stands (plurality where none has confidence).
Model calls: at most `attempts` times the member's own. The samples of a pocket model err alike, so
that asking one again was measured not to help (docs/components.md): it is not offered to them
unasked.
"""

from __future__ import annotations

from paragent.ballot import most_confident, normalised, plurality
from paragent.component import Answer, Component, TeamView


def build(attempts: int, threshold: float, top: float) -> object:
    """A member asked up to `attempts` times, at temperatures from 0 to `top`."""

    async def solve(team: TeamView, question: str) -> Answer:
        (member,) = team.members
        answers: list[Answer] = []
        for k in range(attempts):
            temperature = top * k / max(1, attempts - 1)
            answer = await member.solve(question, temperature=temperature, sample=k)
            answers.append(answer)
            if answer.confidence is not None:
                if answer.confidence >= threshold:
                    return answer
            elif _repeated(answers):
                return answer
        known = [a for a in answers if a.confidence is not None]
        return most_confident(known) if known else plurality(answers)

    return solve


def _repeated(answers: list[Answer]) -> bool:
    last = normalised(answers[-1].text)
    return bool(last) and last in [normalised(a.text) for a in answers[:-1]]


RETRY = Component(
    name="retry",
    kind="topology",
    summary="one member is asked again, with rising temperature, while it is not sure",
    build=build,
    params={"attempts": (3, 5), "threshold": (0.9, 0.97), "top": (0.8, 1.2)},
    calls=lambda params, inner: int(params["attempts"]) * sum(inner),
    suits=("instruct",),
    members=(1, 1),
    paper="Brown et al. 2024, Large Language Monkeys, section 2; FrugalGPT, section 3",
)
