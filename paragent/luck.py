"""What the luckiest design of a search was worth on tasks that the search had not seen.

Among many noisy means the highest is partly luck (the winner's curse; Smith and Winkler 2006), so
finalists run fresh tasks. This says how far the highest mean fell, and what it saved to hand out
the design that was best after the fresh tasks in place of the one that was best before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from paragent.outcome import Evaluation
from paragent.stats import mean_interval, paired_difference


def luck_of(
    before: Sequence[Evaluation], after: Sequence[Evaluation], chosen: str
) -> dict[str, Any] | None:
    """`before`: what the search saw; `after`: the finalists with all their dev tasks, fresh ones
    among them; `chosen`: hash of the design handed out, one of `after`.

    The finalist of the highest mean before (`design`), its mean then (`observed`, of `tasks`), on
    the fresh tasks (`fresh`, with a 95 % interval, of `fresh_tasks`), and `saved`: the chosen
    design's mean minus its own on the fresh tasks that both ran, with its interval; 0 where they
    are the same. The fresh tasks took part in the choice, so `saved` is flattered; `fresh` is not.
    None where the luckiest finalist ran no fresh task or the two share none.
    """
    seen = {e.design.hash: e for e in before if e.score is not None}
    finalists = {e.design.hash: e for e in after if e.design.hash in seen}
    if not finalists:
        return None
    lucky = max(finalists, key=lambda key: seen[key].score or 0.0)
    known = {task for e in seen.values() for task in e.scores}
    fresh = {e.design.hash: _without(e.scores, known) for e in after}
    mine, other = fresh[lucky], fresh.get(chosen, {})
    if not mine or not mine.keys() & other.keys():
        return None
    scores = list(mine.values())
    interval = mean_interval(scores)
    saved = paired_difference(other, mine)
    return {
        "design": lucky,
        "observed": seen[lucky].score,
        "tasks": seen[lucky].n,
        "fresh": sum(scores) / len(scores),
        "fresh_interval": [interval.low, interval.high],
        "fresh_tasks": len(scores),
        "chosen": chosen,
        "saved": saved.mean,
        "saved_interval": [saved.low, saved.high],
    }


def luck_text(luck: Mapping[str, Any]) -> str:
    """The same in words, for the report."""
    low, high = luck["fresh_interval"]
    text = (
        f"The highest dev score of the search was {luck['observed']:.1%} on {luck['tasks']} tasks; "
        f"on {luck['fresh_tasks']} fresh ones that design has {luck['fresh']:.1%} "
        f"[{low:.1%}, {high:.1%}]. "
    )
    if luck["chosen"] == luck["design"]:
        return text + "It is still the best of the front."
    low, high = luck["saved_interval"]
    return text + (
        f"Another is the best of the front in its place: on the fresh tasks it scores "
        f"{100 * luck['saved']:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}] against it, "
        "which flatters, since they took part in the choice."
    )


def _without(scores: Mapping[str, float], known: set[str]) -> dict[str, float]:
    return {task: score for task, score in scores.items() if task not in known}
