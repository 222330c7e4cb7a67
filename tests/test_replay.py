"""Tables replayed through the engine: exact values, noise, caps, the simulated clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from test_recorded import CSV, YAML, write

from paragent.errors import CapReached, UsageError
from paragent.executor import Job
from paragent.outcome import Measured, Outcome
from paragent.recorded import DesignTable, load_table
from paragent.replay import EXACT_TASKS, Noise, Replay, VirtualClock

OUTCOMES = "design_id,task_id,run,score,cost_usd\n" + "".join(
    f"{d},t{t},r{r},{(t + r + k) % 2},{0.01 * (k + 1)}\n"
    for k, d in enumerate("abc")
    for r in range(2)
    for t in range(10)
)


def table(tmp_path: Path, outcomes: str | None = None) -> DesignTable:
    """The toy table."""
    return load_table(write(tmp_path, YAML, CSV, outcomes))


def run(replay: Replay, row: int, tasks: int) -> dict[str, Outcome]:
    """The first tasks of a row, as the engine asks for them."""
    names = tuple(t.id for t in replay.tasks("dev")[:tasks])
    found: dict[str, Outcome] = {}
    design = replay.table.design(row)
    job = Job(design.to_data(), "dev", names, "search-eval", 0)
    asyncio.run(replay.run(job, found.__setitem__))
    return found


def scores(found: dict[str, Outcome]) -> list[float]:
    """Of the measured."""
    return [o.score for o in found.values() if isinstance(o, Measured)]


def test_without_noise_every_task_is_the_truth(tmp_path: Path) -> None:
    """The mean score and the cost per task, for any number of tasks."""
    replay = Replay(table(tmp_path))
    found = run(replay, 1, EXACT_TASKS)
    assert set(scores(found)) == {0.6}
    assert all(isinstance(o, Measured) and o.usage.usd == 0.03 for o in found.values())
    assert list(replay.tasks("test")) == []


def test_binomial_draws_have_the_row_s_mean(tmp_path: Path) -> None:
    """2,000 seeds of 10 tasks at 0.6: the mean within four standard errors; 0/1 scores."""
    t = table(tmp_path)
    drawn = np.array([Replay(t, "recorded", seed=s).drawn(1)[0] for s in range(2000)])
    assert set(np.unique(drawn)) == {0.0, 1.0}
    assert abs(drawn.mean() - 0.6) < 4 * (0.24 / drawn.size) ** 0.5


def test_finite_draws_sum_to_the_row_exactly(tmp_path: Path) -> None:
    """All recorded tasks together give the mean, whatever the seed; parts of them do not."""
    t = table(tmp_path)
    for seed in range(20):
        assert Replay(t, "finite", seed=seed).drawn(0)[0].mean() == pytest.approx(0.5)
    assert len({Replay(t, "finite", seed=s).drawn(0)[0][:3].sum() for s in range(20)}) > 1


def test_outcomes_are_one_run_on_the_same_tasks(tmp_path: Path) -> None:
    """Tasks held out are never asked; all designs see the rest in one order."""
    t = table(tmp_path, OUTCOMES)
    replay = Replay(t, "recorded", seed=3, held_out=0.4)
    assert t.outcomes is not None
    asked = [x.id for x in replay.tasks("dev")]
    held = {t.outcomes.task_ids[i] for i in replay.held}
    assert len(asked) == 6 and len(held) == 4 and not held & set(asked)
    found = run(replay, 0, 6)
    places = [t.outcomes.task_ids.index(name) for name in found]
    runs = t.outcomes.score[0][:, places]
    assert any(scores(found) == list(r) for r in runs), "a run as recorded, no mixture"
    assert replay.held_out_scores()[0] == pytest.approx(
        t.outcomes.mean_score[0, replay.held].mean()
    )


@pytest.mark.parametrize("noise", ["recorded", "finite"])
def test_one_seed_is_one_replay(tmp_path: Path, noise: Noise) -> None:
    """The same seed gives the same draws in whatever order designs are asked."""
    t = table(tmp_path)
    one, two = Replay(t, noise, seed=5), Replay(t, noise, seed=5)
    forward = [one.drawn(i)[0].tolist() for i in (0, 1, 2)]
    backward = [two.drawn(i)[0].tolist() for i in (2, 1, 0)]
    assert forward == backward[::-1]


def test_caps_are_never_exceeded(tmp_path: Path) -> None:
    """Seven tasks are seven tasks; $0.10 buys three at $0.03 each, not four."""
    replay = Replay(table(tmp_path), "recorded", task_budget=7)
    run(replay, 0, 5)
    with pytest.raises(CapReached):
        run(replay, 1, 5)
    assert replay.tasks_run == 7
    replay = Replay(table(tmp_path), "recorded", cost_budget=0.1)
    with pytest.raises(CapReached):
        run(replay, 1, 10)
    assert replay.tasks_run == 3 and replay.cost_spent <= 0.1


def test_noise_that_is_not_recorded_is_refused(tmp_path: Path) -> None:
    """A table without noise says so; so does a held-out share that is none."""
    t = load_table(write(tmp_path, YAML.replace("noise: binomial n=10 (means only)", ""), CSV))
    with pytest.raises(UsageError, match="no noise is recorded"):
        Replay(t, "recorded")
    with pytest.raises(UsageError, match="held-out share"):
        Replay(t, held_out=1.0)


def test_the_clock_by_hand() -> None:
    """Two places: tasks of 3, 2 and 2 s end at 3, 2 and 4; a second design queues behind."""
    clock = VirtualClock(2)
    clock.run("a", [3.0, 2.0, 2.0])
    clock.told("a")
    assert clock.now == 4.0
    clock.run("b", [1.0])
    clock.run("c", [1.0])
    clock.told("b")
    clock.told("c")
    assert clock.now == 5.0, "after 4 s both places are free"
