"""`paragent lab value-model`, on tables made here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paragent.cli import main


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
