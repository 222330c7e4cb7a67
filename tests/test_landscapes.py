"""Searchers on synthetic landscapes: what is drawn, what is judged, what is said."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest

from paragent.cli import main
from paragent.lab.landscapes import Landscape, judged, replay, space


def test_a_landscape_is_enumerated_exactly() -> None:
    """1,137,240 designs; the best and the mean are those of all; any design's rate is in there."""
    land = Landscape.of(3, triple=0.2)
    assert land.rate.size == space().size() == 1_137_240
    assert land.best == land.rate.max() and land.mean == pytest.approx(land.rate.mean())
    rates = [land.true(space().sample(random.Random(i))) for i in range(50)]
    assert len(set(rates)) > 40 and all(0 < r <= land.best for r in rates)
    assert land.normalised(land.best) == 1 and land.normalised(land.mean) == pytest.approx(0)
    assert not np.array_equal(land.rate, Landscape.of(3).rate), "three-way effects change it"


def test_a_replay_follows_from_its_seed_and_judges_true_values() -> None:
    """Twice the same; the best evaluated is never below what is recommended; no model, no
    posterior as recommendation."""
    one, again = (replay(("random", 2, 60, 0.0))["marks"] for _ in range(2))
    assert one == again and set(one) == {"50"}
    mark = one["50"]
    assert mark["recommended"] == mark["luckiest"]
    assert mark["best"] >= max(mark["recommended"], mark["posterior"])


def test_pairs_are_on_the_same_landscapes() -> None:
    """The better of two is named with the mean difference of pairs."""

    def rows(*values: float) -> list[dict[str, object]]:
        return [{"marks": {"50": {"recommended": v}}} for v in values]

    good, poor = rows(*[0.9, 0.8, 0.7] * 4), rows(*[0.5, 0.45, 0.2] * 4)
    (verdict,) = judged({"good": good, "poor": poor}, "50")
    assert verdict["better"] == "good"
    assert verdict["difference"] == pytest.approx((0.4 + 0.35 + 0.5) / 3)
    assert verdict["evaluations"] == 50


def test_the_command_prints_figures_and_verdicts(capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON for two searchers, one with an option; misuse is one line."""
    words = ["--searchers", "random,ageing_evolution:population=5", "--evals", "50"]
    assert main(["lab", "landscapes", *words, "--seeds", "2", "--jobs", "1", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [r["seed"] for r in said["results"]["random"]] == [0, 1]
    assert said["verdicts"][0]["pair"] == ["random", "ageing_evolution:population=5"]
    for wrong, why in (
        (["--searchers", "forst"], "Did you mean 'forest'"),
        (["--evals", "20"], "--evals is 20; wanted 50 or more"),
        (["--seeds", "0"], "--seeds is 0; wanted 1 or more"),
    ):
        assert main(["lab", "landscapes", *wrong]) == 2
        assert why in capsys.readouterr().err


def test_a_measurement_that_was_stopped_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line that was cut off is measured again, the others are not; the figures are the same."""
    file = tmp_path / "rows.jsonl"
    words = ["lab", "landscapes", "--searchers", "random", "--evals", "50", "--seeds", "3"]
    words += ["--jobs", "1", "--json", "--keep", str(file)]
    assert main(words) == 0
    whole = json.loads(capsys.readouterr().out)["results"]["random"]
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:2], lines[2][:20]]))
    did = list[int]()

    def counted(work: tuple[str, int, int, float]) -> dict[str, object]:
        did.append(work[1])
        return replay(work)

    monkeypatch.setattr("paragent.lab.landscapes.replay", counted)
    assert main(words) == 0
    again = json.loads(capsys.readouterr().out)["results"]["random"]
    assert did == [2] and file.read_text().splitlines()[:2] == lines[:2]
    assert main(words) == 0 and did == [2], "the file is whole again"
    capsys.readouterr()
    assert [r["marks"] for r in again] == [r["marks"] for r in whole]
    file.write_text("nonsense\n" + lines[0] + "\n")
    assert main(words) == 2
    assert "line 1: no result of landscapes" in capsys.readouterr().err
