"""Tables as users make them: the command runs them cleanly or says in one line what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paragent.cli import main
from paragent.lab.random_table import write as random_table

YAML = """name: toy
factors: {model: [s, m], n: [1, 3]}
objectives: {score: {direction: maximize}, cost_usd: {direction: minimize, per: task}}
tasks: 10
noise: binomial n=10 (means only)
"""
HEAD = "design_id,model,n,score,cost_usd"
ROWS = ["a,s,1,0.5,0.01", "b,s,3,0.6,0.02", "c,m,1,0.7,0.05", "d,m,3,0.8,0.1"]
EVERY = "mcts,portfolio,gp,tpe,random,exhaustive,best_arm,arm_elimination"


def table(folder: Path, rows: list[str], yaml: str = YAML, head: str = HEAD) -> str:
    """The folder with both files."""
    (folder / "table.yaml").write_text(yaml, encoding="utf-8")
    (folder / "table.csv").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return str(folder)


CLEAN = {
    "as it should be": (ROWS, YAML, HEAD),
    "an unknown column and key": ([f"{r},x" for r in ROWS], YAML + "more: 1\n", HEAD + ",what"),
    "an unknown cost": (["a,s,1,0.5,", *ROWS[1:]], YAML, HEAD),
    "a factor of one level": (ROWS[:2], YAML.replace("[s, m]", "[s]"), HEAD),
    "one design": (ROWS[:1], YAML, HEAD),
    "nothing to choose": (ROWS[:1], YAML.replace("[s, m]", "[s]").replace("[1, 3]", "[1]"), HEAD),
    "all scores equal": ([r.replace(r.split(",")[3], "0.5") for r in ROWS], YAML, HEAD),
    "all scores zero": (["a,s,1,0,0.01", "b,s,3,0,0.01"], YAML, HEAD),
    "all free": (["a,s,1,0.4,0", "b,s,3,0.5,0"], YAML, HEAD),
}


@pytest.mark.parametrize("name", CLEAN)
def test_odd_tables_are_searched_to_their_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Every searcher, with evaluations to spare: all designs are found, none twice, and what cannot
    be divided (no spread, no cost) gives figures all the same."""
    folder = table(tmp_path, *CLEAN[name])
    words = ["lab", "compare", "--table", folder, "--searchers", EVERY, "--evals", "9"]
    assert main([*words, "--seeds", "1", "--jobs", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    for searcher, result in found["results"].items():
        if searcher in ("best_arm", "arm_elimination"):
            continue  # they ask again for a design with more tasks
        assert result["hv_share"]["median"] == pytest.approx(1.0), searcher
        assert result["duplicates"]["mean"] == 0, searcher
        assert result["designs"]["median"] == len(CLEAN[name][0]), searcher


REFUSED = {
    "table.csv: line 2: score is empty": ["a,s,1,,0.01"],
    "line 2: score is 'nan'; wanted a number in [0, 1]": ["a,s,1,nan,0.01"],
    "line 2: score is 'inf'": ["a,s,1,inf,0.01"],
    "line 2: score is '1.5'": ["a,s,1,1.5,0.01"],
    "line 2: cost_usd is 'nan'": ["a,s,1,0.5,nan"],
    "line 2: cost_usd is '-1'": ["a,s,1,0.5,-1"],
    "line 2: model is empty": ["a,,1,0.5,0.01"],
    "line 2: 'mm' is no level of 'model'. Did you mean 'm'?": ["a,mm,1,0.5,0.01"],
    "line 2: 3 cells, the header has 5": ["a,s,1"],
    "the design_id 'a' is given twice": [ROWS[0], "a,m,3,0.5,0.01"],
    "the designs 'a' and 'e' have the same levels": [ROWS[0], "e,s,1,0.5,0.01"],
    "no designs (only a header)": [],
    "no design has a known cost": ["a,s,1,0.5,", "b,s,3,0.6,"],
}


@pytest.mark.parametrize("message", REFUSED)
def test_bad_tables_are_refused_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], message: str
) -> None:
    """Exit code 2, the file with the line or the design at fault, no traceback."""
    folder = table(tmp_path, REFUSED[message])
    words = ["lab", "compare", "--table", folder, "--searchers", "random", "--seeds", "1"]
    assert main([*words, "--jobs", "1"]) == 2
    error = [e for e in capsys.readouterr().err.splitlines() if "loaded in" not in e]
    assert len(error) == 1 and message in error[0] and error[0].startswith("paragent: ")


def test_a_misspelt_column_gets_the_nearest_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`modle` stands where `model` was wanted; a cap on dollars needs every cost."""
    folder = table(tmp_path, ROWS, head=HEAD.replace("model", "modle"))
    assert main(["lab", "compare", "--table", folder, "--seeds", "1"]) == 2
    assert "the column 'model' is missing" in capsys.readouterr().err
    folder = table(tmp_path, ["a,s,1,0.5,", *ROWS[1:]])
    assert main(["lab", "compare", "--table", folder, "--usd", "1", "--searchers", "random"]) == 2
    assert "needs the cost of every design" in capsys.readouterr().err


@pytest.mark.slow
def test_two_hundred_thousand_designs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Loaded and searched; time and memory (of this process, tests and all) are printed."""
    random_table(tmp_path, "pairs", [20, 25, 20, 20], 0)
    words = ["lab", "compare", "--table", str(tmp_path), "--seeds", "1", "--jobs", "1"]
    assert main([*words, "--searchers", "mcts,portfolio,random", "--evals", "10", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["designs"] == 200_000 and found["memory_mb"] > 100 and found["seconds"] > 0
    assert main([*words, "--searchers", "best_arm"]) == 2
    assert "too many to be arms" in capsys.readouterr().err
