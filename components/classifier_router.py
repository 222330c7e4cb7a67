"""A small classifier reads what kind of task the question is, and the member that owns that kind
answers (predictive routing: Ong et al. 2024, RouteLLM, section 3, with TF-IDF and logistic
regression by scikit-learn instead of a trained language model).

It learns from the benchmark's labelled questions, which are none of the measured ones, and always
the same from the same questions; nothing is learned while answering. A member owns the kinds that
its role lists (`facts+lists`); without such roles kinds are dealt round. Without labelled questions
the first member answers all. Model calls: the chosen member's own. Requires "labelled": a benchmark
that gives such questions.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from paragent.component import Answer, Component, TeamView
from paragent.teamwork import owners


@lru_cache(maxsize=8)
def _model(labelled: tuple[tuple[str, str], ...]) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    model = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+"), LogisticRegression(C=10.0)
    )
    model.fit([question for question, _ in labelled], [skill for _, skill in labelled])
    return model


@lru_cache(maxsize=20_000)
def skill_of(question: str, labelled: tuple[tuple[str, str], ...]) -> str:
    """The kind of task that the question is, one of those in `labelled`."""
    skills = {skill for _, skill in labelled}
    if len(skills) == 1:
        return skills.pop()
    return str(_model(labelled).predict([question])[0])


async def solve(team: TeamView, question: str) -> Answer:
    """The owner's answer."""
    if not team.context.labelled:
        return await team.members[0].solve(question)
    skills = list(dict.fromkeys(skill for _, skill in team.context.labelled))
    owner = owners([member.name for member in team.members], skills)
    return await team.members[owner[skill_of(question, team.context.labelled)]].solve(question)


CLASSIFIER_ROUTER = Component(
    name="classifier_router",
    kind="topology",
    provides=("routes",),
    summary="a classifier (TF-IDF) reads the kind of task; the member that owns it answers",
    build=lambda: solve,
    calls=lambda params, inner: max(inner),
    requires=("labelled",),
    members=(2, 5),
    paper="Ong et al. 2024, RouteLLM, section 3",
)
