"""What several topologies share: names that tell members apart, reports of what others said, who
owns a skill, and how alike two texts are.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from paragent.ballot import normalised
from paragent.component import Answer

#: Characters of one answer that another agent gets to read.
REPORT_LIMIT = 2000

_WORD = re.compile(r"\w+")


def distinct(names: Sequence[str]) -> list[str]:
    """The names, a repeated one numbered: `["a", "b", "a"]` gives `["a", "b", "a-2"]`."""
    found: list[str] = []
    for name in names:
        candidate, number = name, 1
        while candidate in found:
            number += 1
            candidate = f"{name}-{number}"
        found.append(candidate)
    return found


def brief(text: str, limit: int = REPORT_LIMIT) -> str:
    """The text, its middle left out where it is longer than `limit` characters."""
    text = text.strip()
    if len(text) <= limit:
        return text
    half = (limit - 5) // 2
    return f"{text[:half]} ... {text[-half:]}"


def report(names: Sequence[str], answers: Sequence[Answer]) -> str:
    """What others said, one paragraph each."""
    return "\n\n".join(
        f"[{name}]\n{brief(a.full or a.text)}" for name, a in zip(names, answers, strict=True)
    )


def agreed(answers: Sequence[Answer]) -> bool:
    """Whether all gave the same answer, and it is not empty."""
    texts = {normalised(a.text) for a in answers}
    return len(texts) == 1 and "" not in texts


def owners(names: Sequence[str], skills: Sequence[str]) -> dict[str, int]:
    """Skill to the member that owns it: the first whose role lists it (`facts+lists`), else, for
    members without such roles, skill k belongs to member k modulo their number."""
    found: dict[str, int] = {}
    for k, skill in enumerate(skills):
        holding = (i for i, name in enumerate(names) if skill in name.split("+"))
        found[skill] = next(holding, k % len(names))
    return found


def bag(text: str) -> dict[str, float]:
    """Words with their counts, scaled to length 1; {} for a text without words."""
    counts = Counter(word.casefold() for word in _WORD.findall(text))
    norm = math.sqrt(sum(n * n for n in counts.values()))
    return {word: n / norm for word, n in counts.items()}


def cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """Cosine similarity of two sparse vectors, in [0, 1] for counts; 0 where one is empty."""
    dot = math.fsum(value * other.get(word, 0.0) for word, value in one.items())
    lengths = math.sqrt(
        math.fsum(v * v for v in one.values()) * math.fsum(v * v for v in other.values())
    )
    return dot / lengths if lengths else 0.0


def weighted_sum(
    vectors: Sequence[Mapping[str, float]], weights: Sequence[float]
) -> dict[str, float]:
    """The sum of sparse vectors, each times its weight."""
    total: dict[str, float] = {}
    for vector, weight in zip(vectors, weights, strict=True):
        for word, value in vector.items():
            total[word] = total.get(word, 0.0) + weight * value
    return total
