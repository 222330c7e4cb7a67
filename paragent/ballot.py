"""Counting votes over answers: shared by everything that samples or asks several."""

from __future__ import annotations

from collections.abc import Sequence

from paragent.component import Answer


def normalised(answer: str) -> str:
    """The form in which two answers are the same: no case, no blanks at the ends, no full stop."""
    return answer.strip().rstrip(".").casefold()


def plurality(answers: Sequence[Answer]) -> Answer:
    """The most frequent answer; ties go to the higher summed confidence, then to the first given.

    The result keeps the text of its first voter, and as confidence the share of the votes it won
    (votes without text never win unless all are empty). Raises ValueError for no answers.
    """
    if not answers:
        raise ValueError("a vote needs at least one answer")
    groups: dict[str, list[Answer]] = {}
    for answer in answers:
        groups.setdefault(normalised(answer.text), []).append(answer)
    voting = {key: group for key, group in groups.items() if key} or groups

    def weight(group: list[Answer]) -> tuple[int, float]:
        return len(group), sum(a.confidence or 0.0 for a in group)

    winner = max(voting.values(), key=weight)  # max keeps the first of equals
    return Answer(winner[0].text, winner[0].full, len(winner) / len(answers))


def most_confident(answers: Sequence[Answer]) -> Answer:
    """The answer with the highest confidence; one without confidence loses; ties to the first."""
    if not answers:
        raise ValueError("nothing to choose from")
    return max(answers, key=lambda a: -1.0 if a.confidence is None else a.confidence)


def weighted_plurality(answers: Sequence[Answer], weights: Sequence[float]) -> Answer:
    """The answer with the largest summed weight (ties to the first given), told by its heaviest
    voter; its confidence is its share of all weight.

    Weights are positive. Answers without text win only where all are empty. Raises ValueError for
    no answers.
    """
    if not answers:
        raise ValueError("a vote needs at least one answer")
    groups: dict[str, list[int]] = {}
    for i, answer in enumerate(answers):
        groups.setdefault(normalised(answer.text), []).append(i)
    voting = {key: group for key, group in groups.items() if key} or groups
    winner = max(voting.values(), key=lambda group: sum(weights[i] for i in group))
    voter = answers[max(winner, key=lambda i: weights[i])]
    return Answer(voter.text, voter.full, sum(weights[i] for i in winner) / sum(weights))
