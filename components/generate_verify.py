"""One member solves, a second solves on its own, and only where they differ the first mends its
draft (generator, verifier, refiner: Motwani et al. 2024, MALT, section 3).

The verifier never sees the draft: a checker that sees it tends to copy it. Where both agree the
answer stands; otherwise the more confident of the two drafts goes to the last member for repair
(the first one where there are only two), and the repaired answer stands.
Model calls: generator + verifier + refiner, each at most its own bound.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paragent.ballot import most_confident, normalised
from paragent.component import Answer, Component, TeamView, together
from paragent.design import Param
from paragent.prompts import draft_question


def build() -> object:
    """A team of generator, verifier and (optional third member) refiner."""

    async def solve(team: TeamView, question: str) -> Answer:
        generator, verifier = team.members[0], team.members[1]
        drafts = await together([generator.solve(question), verifier.solve(question)])
        if normalised(drafts[0].text) == normalised(drafts[1].text):
            return Answer(drafts[0].text, drafts[0].full, max_confidence(drafts))
        chosen = most_confident(drafts)
        refiner = team.members[2] if len(team.members) > 2 else generator
        refined = await refiner.solve(draft_question(question, chosen.full or chosen.text))
        return refined if refined.text else chosen

    return solve


def max_confidence(answers: Sequence[Answer]) -> float | None:
    """The highest confidence given, or None where none is."""
    known = [a.confidence for a in answers if a.confidence is not None]
    return max(known) if known else None


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    refiner = inner[2] if len(inner) > 2 else inner[0]
    return inner[0] + inner[1] + refiner


GENERATE_VERIFY = Component(
    name="generate_verify",
    kind="topology",
    summary="one member solves, a second checks by solving, a refiner settles differences",
    build=build,
    calls=_calls,
    members=(2, 3),
    paper="Motwani et al. 2024, MALT, section 3",
)
