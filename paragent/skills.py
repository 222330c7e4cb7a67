"""What a benchmark asks for, read from its questions: skills with weights and probe tasks.

The knapsack composer (arXiv 2510.16499, section 3.1) lets a language model name at most six skills
with weights and test queries (`skills_named`, where a model is configured). Without one, the
development tasks speak for themselves (`skills_of`): TF-IDF clusters of their questions are the
skills, a cluster's share of the tasks its weight, its most typical tasks the probes. Probes are
real tasks with real scores in both cases, so no model judges its own questions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

MOST_SKILLS = 6
#: Clusters are looked for among so many questions; more change nothing but the time.
MOST_QUESTIONS = 600


@dataclass(frozen=True, slots=True)
class Skill:
    """One kind of work. `weight` in (0, 1], summing to 1 over skills; `probes` are ids of
    development tasks, most typical first; `terms` are its typical words."""

    name: str
    weight: float
    probes: tuple[str, ...]
    terms: str


def skills_of(
    questions: Mapping[str, str], *, most: int = MOST_SKILLS, probes: int = 24, seed: int = 0
) -> tuple[Skill, ...]:
    """The skills of these tasks (id to question), heaviest first; one skill where questions do
    not fall into groups, none where there are no questions.

    The number of clusters, 1 to `most`, is the one of highest mean silhouette (Rousseeuw 1987);
    below .05 there is one.
    """
    ids = list(questions)[:MOST_QUESTIONS]
    if not ids:
        return ()
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.metrics import silhouette_score

    texts = [questions[i] for i in ids]
    vectorizer = TfidfVectorizer(sublinear_tf=True, token_pattern=r"(?u)\b[^\W\d_]{2,}\b")
    try:
        matrix = vectorizer.fit_transform(texts)
    except ValueError:  # no words at all: numbers, symbols
        return (Skill("all", 1.0, tuple(ids[:probes]), ""),)
    best: tuple[float, object] = (0.05, None)
    kinds = len({tuple(matrix[i].indices) for i in range(len(ids))})
    for k in range(2, min(most, kinds, len(ids) - 1) + 1):
        found = KMeans(k, n_init=3, random_state=seed).fit(matrix)
        if len(set(found.labels_)) < 2:
            continue
        quality = round(float(silhouette_score(matrix, found.labels_)), 6)
        if quality > best[0]:
            best = (quality, found)
    words = vectorizer.get_feature_names_out()
    if best[1] is None:
        mean = matrix.mean(axis=0).A1
        return (Skill("all", 1.0, tuple(ids[:probes]), _terms(mean, words)),)
    clusters = best[1]
    distance = clusters.transform(matrix)  # type: ignore[attr-defined]
    labels = clusters.labels_  # type: ignore[attr-defined]
    skills = []
    for k in range(distance.shape[1]):
        members = [i for i in range(len(ids)) if labels[i] == k]
        typical = sorted(members, key=lambda i: (round(float(distance[i, k]), 9), i))
        terms = _terms(clusters.cluster_centers_[k], words)  # type: ignore[attr-defined]
        skills.append(
            Skill(
                terms.split(" ")[0] or f"skill-{k}",
                len(members) / len(ids),
                tuple(ids[i] for i in typical[:probes]),
                terms,
            )
        )
    return tuple(sorted(skills, key=lambda s: (-s.weight, s.terms)))


def skills_named(
    named: Sequence[tuple[str, float, str]], questions: Mapping[str, str], *, probes: int = 24
) -> tuple[Skill, ...]:
    """Skills given as (name, weight above 0, text that describes them), heaviest first.

    Every task goes to the skill whose text it is most like (TF-IDF cosine), and probes it in that
    order; a skill that no task is like at all is left out, and the weights of the others sum to 1.
    """
    ids = list(questions)[:MOST_QUESTIONS]
    if not named or not ids:
        return ()
    texts = [Skill(name, weight, (), f"{name} {text}") for name, weight, text in named]
    likeness = similarity([questions[i] for i in ids], texts)
    nearest: list[list[tuple[float, int]]] = [[] for _ in named]
    for i, row in enumerate(likeness):
        best = max(range(len(row)), key=lambda j: (row[j], -j))
        if row[best] > 0:
            nearest[best].append((-row[best], i))
    total = sum(skill.weight for skill, near in zip(texts, nearest, strict=True) if near)
    found = [
        Skill(s.name, s.weight / total, tuple(ids[i] for _, i in sorted(near)[:probes]), s.terms)
        for s, near in zip(texts, nearest, strict=True)
        if near
    ]
    return tuple(sorted(found, key=lambda s: (-s.weight, s.terms)))


def _terms(weights: Sequence[float], words: Sequence[str], most: int = 12) -> str:
    order = sorted(range(len(words)), key=lambda i: (-round(float(weights[i]), 9), words[i]))
    return " ".join(str(words[i]) for i in order[:most] if weights[i] > 0)


def similarity(descriptions: Sequence[str], skills: Sequence[Skill]) -> list[list[float]]:
    """TF-IDF cosine in [0, 1] of every description with every skill's terms: [parts][skills]."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = [*descriptions, *(s.terms for s in skills)]
    try:
        matrix = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5)).fit_transform(texts)
    except ValueError:
        return [[0.0] * len(skills) for _ in descriptions]
    both = (matrix[: len(descriptions)] @ matrix[len(descriptions) :].T).toarray()
    return [[round(float(x), 9) for x in row] for row in both]
