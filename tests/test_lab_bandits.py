"""`paragent lab bandits`: the table, and what it says of rules that do and do not learn."""

from __future__ import annotations

import json

import pytest

from paragent.cli import main


def test_the_table_tells_learning_from_not_learning(capsys: pytest.CaptureFixture[str]) -> None:
    """Random play loses most, Thompson far less; small parts keep the threshold's promise, large
    ones break it."""
    assert (
        main(["lab", "bandits", "--plays", "600", "--runs", "20", "--streams", "300", "--json"])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    rules = found["rules"]
    assert rules["beta"]["regret"] < rules["random"]["regret"] / 2
    assert rules["random"]["order"] == pytest.approx(1, abs=0.1)
    holds = {(row["size"], row["order"]): row["holds"] for row in found["threshold"]}
    assert holds[0.01, "rising"] and not holds[0.4, "rising"]


@pytest.mark.parametrize("wrong", ["x,y", "0.5", "0.5,1.5"])
def test_arms_that_make_no_sense_are_refused(
    wrong: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line that says what was given."""
    assert main(["lab", "bandits", "--means", wrong]) == 2
    error = capsys.readouterr().err
    assert wrong in error and len(error.strip().splitlines()) == 1
