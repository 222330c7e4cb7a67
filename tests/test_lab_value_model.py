"""`paragent lab value-model`, on tables made here."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import paragent
from paragent.cli import main
from paragent.design import Agent, Design, Part, Team
from paragent.lab.knowledge import GAMMA, SAME, alpha, amplification, words


def table(folder: Path, levels: int) -> Path:
    """A table of levels x 4 designs whose score is a sum and whose cost is one too."""
    rows = ["design_id,a,b,score,cost_usd"]
    for i in range(levels):
        for j in range(4):
            rows.append(f"d{i}{j},x{i},y{j},{0.1 + 0.1 * i + 0.05 * j:.3f},{1 + i + 2 * j}")
    (folder / "table.csv").write_text("\n".join(rows) + "\n", "utf-8")
    a, b = (", ".join(f"{f}{k}" for k in range(n)) for f, n in (("x", levels), ("y", 4)))
    (folder / "table.yaml").write_text(
        f"name: toy\nfactors:\n  a: [{a}]\n  b: [{b}]\nobjectives:\n"
        "  score: {direction: maximize}\n  cost_usd: {direction: minimize, per: task}\n"
        "tasks: 100\nnoise: none\n",
        "utf-8",
    )
    return folder


def test_it_prints_every_family_and_chooses_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """On sums the chosen family ranks unseen designs nearly perfectly; JSON has all figures."""
    assert main(["lab", "value-model", "--table", str(table(tmp_path, 6)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"table", "folds", "seed", "score", "log10_cost"}
    score = found["score"]
    assert set(score["families"]) == {"ridge", "boosting", "gp", "latent", "mixture"}
    assert "parts" in found["log10_cost"]["families"]
    chosen = score["families"][score["chosen"]]
    assert chosen["spearman"] == max(f["spearman"] for f in score["families"].values()) > 0.95
    assert chosen["low"] <= chosen["spearman"] <= chosen["high"]
    assert set(chosen) >= {"r2", "mae", "coverage_90", "coverage_90_conformal"}


def test_misuse_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One fold is no cross-validation; a folder that is not there is named."""
    folder = str(table(tmp_path, 2))
    assert main(["lab", "value-model", "--table", folder, "--folds", "1"]) == 2
    assert "--folds is 1; wanted at least 2" in capsys.readouterr().err
    assert main(["lab", "value-model", "--table", str(tmp_path / "none")]) == 2
    assert "none" in capsys.readouterr().err


def test_the_factor_of_a_vote_on_hand_worked_values() -> None:
    """With rho .6 and gamma .9: 1.08, 1.215, 1.328, 1.426 for 3, 5, 7, 9; errors that are shared
    wholly leave gamma alone; a tie adds nothing; one member has no vote."""
    assert [alpha(b, 0.6) for b in (3, 5, 7, 9)] == pytest.approx(
        [1.08, 1.215, 1.3275, 1.4259], abs=1e-4
    )
    assert alpha(9, 1.0) == pytest.approx(GAMMA)
    assert alpha(4, 0.6) == alpha(3, 0.6) and alpha(1, 0.6) == alpha(2, 0.6) == 1.0


def test_three_equal_models_collapse_and_three_kinds_amplify() -> None:
    """Pairs on one model share more errors: .9 (.8 + .2 * 1.5) = .99, else .9 (.5 + .5 * 1.5)."""

    def vote(*models: str) -> Design:
        return Design(Team(Part("vote"), tuple(Agent(Part(m)) for m in models)))

    same = amplification(vote("pocket-s", "pocket-s", "pocket-s"))
    assert same["prior:amplify"] == pytest.approx(math.log(0.99)) and same["prior:collapse"] == 1
    other = amplification(vote("pocket-s", "pocket-m", "pocket-s-math"))
    assert other["prior:amplify"] == pytest.approx(math.log(1.125)) and other["prior:collapse"] == 0
    alone = Agent(Part("pocket-s"), Part.of("self_consistency", n=5))
    assert amplification(Design(alone))["prior:amplify"] == pytest.approx(math.log(alpha(5, SAME)))
    chain = Design(Team(Part("cascade"), (Agent(Part("pocket-s")), alone)))
    assert amplification(chain)["prior:amplify"] == pytest.approx(math.log(alpha(5, SAME)) / 2)


def test_words_that_all_designs_have_tell_nothing() -> None:
    """Rows of length 1; the more rarely a word stands, the more it weighs."""
    plain, thinking = Agent(Part("pocket-s")), Agent(Part("pocket-s"), Part("chain_of_thought"))
    rows = words([Design(plain), Design(plain), Design(thinking), Design(thinking)])
    assert rows[0] == rows[1] != rows[2] == rows[3]
    assert not set(rows[0]) & set(rows[2]), "what both have is left out"
    assert sum(v * v for v in rows[0].values()) == pytest.approx(1.0)


def test_a_run_is_judged_with_more_features_and_its_latency(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real little search: score, cost and latency, each with the prior and the words beside."""
    run = paragent.optimize(
        evals=8, tasks=6, confirm=6, test_tasks=6, finalists=2, out=tmp_path / "run"
    )
    assert main(["lab", "value-model", "--run", str(run.path), "--folds", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for target in ("score", "log10_cost", "log10_latency"):
        assert {"gp", "gp+prior", "gp+words"} <= set(found[target]["families"])
        assert found[target]["designs"] >= 8
    assert main(["lab", "value-model", "--run", str(tmp_path / "gone")]) == 2
    assert "gone, does not exist" in capsys.readouterr().err
