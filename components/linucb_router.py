"""Two stages choose the member that answers: a screening by how well the question matches what a
member owns, then LinUCB with one shared theta (Symphony-Coord, arXiv 2602.00966, section 3; LinUCB:
Li et al. 2010, A Contextual-Bandit Approach, algorithm 1; beta_t: Abbasi-Yadkori et al. 2011).

    score = x . theta + beta_t sqrt(x' A^-1 x),   A = I + sum x x',  theta = A^-1 sum r x
    beta_t = sqrt(d ln(1 + t) + 2 ln(1 / delta)) + 1,   delta = 0.05

x = [1, match, price share, reputation] / 2: the match is the cosine (TF-IDF) of the question with
the labelled questions of the kinds a member owns, the reputation a moving average (0.95) of its
rewards. The reward of a choice is 1 where the member owns the question's kind, less `frugality`
times the square root of its price over the dearest member's.

A component is a pure function, so nothing is learned while answering: the bandit is played once
over the benchmark's labelled questions, in their order, each with itself taken out of the match;
then the member with the highest mean score x . theta among the screened answers. Without labelled
questions the first member answers all. Model calls: the chosen member's own. Requires "labelled".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from paragent.component import Answer, Component, TeamView
from paragent.teamwork import owners

SCREEN, LEAST_MATCH = 3, 0.05
DELTA, KEPT = 0.05, 0.95
FEATURES = 4


@dataclass(frozen=True)
class Router:
    """A trained router: `choose(question)` is the index of a member."""

    vectorizer: Any
    centres: Any  # members x words: the sum of the questions whose kind each member owns
    price: tuple[float, ...]
    reputation: tuple[float, ...]
    theta: tuple[float, ...]

    def choose(self, question: str) -> int:
        """The best of the screened members; the first of equals."""
        vector = self.vectorizer.transform([question]).toarray()[0]
        match = [_cosine(vector, centre) for centre in self.centres]

        def mean(i: int) -> float:
            x = features(match[i], self.price[i], self.reputation[i])
            return math.fsum(a * b for a, b in zip(x, self.theta, strict=True))

        return max(screened(match), key=mean)


def screened(match: list[float]) -> list[int]:
    """The first stage: at most SCREEN members that match, all where none does; by index."""
    fitting = [i for i, m in enumerate(match) if m >= LEAST_MATCH] or list(range(len(match)))
    return sorted(sorted(fitting, key=lambda i: (-match[i], i))[:SCREEN])


def features(match: float, price: float, reputation: float) -> list[float]:
    """The context of one member, of length at most 1."""
    return [0.5, match / 2, price / 2, reputation / 2]


def beta(t: int) -> float:
    """The width of the confidence ellipsoid after t choices (lambda = S = 1)."""
    return math.sqrt(FEATURES * math.log(1 + t) + 2 * math.log(1 / DELTA)) + 1


@lru_cache(maxsize=64)
def train(
    labelled: tuple[tuple[str, str], ...],
    names: tuple[str, ...],
    usd: tuple[float | None, ...],
    frugality: float,
) -> Router:
    """Play the bandit over the labelled questions, in order."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    skills = list(dict.fromkeys(skill for _, skill in labelled))
    owner = owners(names, skills)
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+")
    vectors = vectorizer.fit_transform([question for question, _ in labelled]).toarray()
    owned = np.array([owner[skill] for _, skill in labelled])
    centres = np.stack([vectors[owned == i].sum(axis=0) for i in range(len(names))])
    dearest = max((price for price in usd if price is not None), default=0.0)
    price = tuple(p / dearest if p is not None and dearest else 1.0 for p in usd)
    reputation = [0.5] * len(names)
    inverse, total = np.eye(FEATURES), np.zeros(FEATURES)
    for t, vector in enumerate(vectors):
        match = [
            _cosine(vector, centre - vector * (owned[t] == i)) for i, centre in enumerate(centres)
        ]
        theta = inverse @ total
        contexts = {
            i: np.array(features(match[i], price[i], reputation[i])) for i in screened(match)
        }
        best, x = max(
            contexts.items(),
            key=lambda item: item[1] @ theta + beta(t) * math.sqrt(item[1] @ inverse @ item[1]),
        )
        reward = float(owned[t] == best) - frugality * math.sqrt(price[best])
        turned = inverse @ x
        inverse = inverse - np.outer(turned, turned) / (1 + x @ turned)  # Sherman-Morrison
        total = total + reward * x
        reputation[best] = KEPT * reputation[best] + (1 - KEPT) * max(0.0, min(1.0, reward))
    learned = tuple(float(v) for v in inverse @ total)
    return Router(vectorizer, centres, price, tuple(reputation), learned)


def _cosine(one: Any, other: Any) -> float:
    length = math.sqrt(float(one @ one) * float(other @ other))
    return float(one @ other) / length if length > 1e-12 else 0.0


def build(frugality: float) -> object:
    """A router whose rewards are lowered by up to `frugality` for the dearest member."""

    async def solve(team: TeamView, question: str) -> Answer:
        labelled = team.context.labelled
        if not labelled:
            return await team.members[0].solve(question)
        names = tuple(member.name for member in team.members)
        usd = tuple(member.usd for member in team.members)
        return await team.members[train(labelled, names, usd, frugality).choose(question)].solve(
            question
        )

    return solve


LINUCB_ROUTER = Component(
    name="linucb_router",
    kind="topology",
    provides=("routes",),
    summary="a screening and a linear bandit, trained on labelled questions, choose the member",
    build=build,
    params={"frugality": (0.2, 0.0)},
    calls=lambda params, inner: max(inner),
    requires=("labelled",),
    members=(2, 5),
    paper="Symphony-Coord, arXiv 2602.00966, section 3; Li et al. 2010, algorithm 1",
)
