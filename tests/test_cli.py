"""The command line as its user meets it: what is printed, where, and with which exit code."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paragent.cli import COMMANDS, Group, help_text, main
from paragent.commands.progress import PlainLines, line, watching
from paragent.events import Event

ROOT = Path(__file__).parent.parent
SMALL = [
    *("--searcher", "random", "--models", "pocket-s", "--include", "direct,chain_of_thought,vote"),
    *("--evals", "4", "--tasks", "4", "--confirm", "4", "--test-tasks", "8", "--minutes", "5"),
]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with one finished run, `runs/one`, made by the command line."""
    folder = tmp_path_factory.mktemp("work")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert main(["search", *SMALL, "--out", "runs/one"]) == 0
    return folder


def said(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    """The one JSON object that a command prints."""
    assert main([*words, "--json"]) == 0
    out = capsys.readouterr()
    assert out.err == ""
    return json.loads(out.out)


def fails(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and message of a command that must print nothing on stdout."""
    code = main(list(words))
    out = capsys.readouterr()
    assert out.out == ""
    assert "Traceback" not in out.err
    return code, out.err.strip()


# -- finding the command -------------------------------------------------------------------------


def test_help_names_every_command_but_the_hidden() -> None:
    """The help lists what users need; `dev` stays out of it."""
    shown = help_text()
    for name, command in COMMANDS.items():
        assert (f"  {name} " in shown) == (not (isinstance(command, Group) and command.hidden))


def test_every_command_has_its_module() -> None:
    """What the help names can be imported, and has what the command line calls."""
    for command in COMMANDS.values():
        for each in command.commands.values() if isinstance(command, Group) else [command]:
            module = importlib.import_module(each.module)
            assert callable(module.add_arguments) and callable(module.main), each.module


def test_no_command_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    """`paragent` alone shows the help and says misuse."""
    assert main([]) == 2
    assert "commands:" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (["serch"], "no command is called 'serch'. Did you mean 'search'?"),
        (["lab", "pocket-tabel"], "Did you mean 'pocket-table'?"),
        (["search", "--searcher", "mtcs"], "no searcher is called 'mtcs'. Did you mean 'mcts'?"),
        (["search", "--benchmark", "pokcet"], "Did you mean 'pocket'?"),
        (["search", "--models", "pocket-x"], "Did you mean 'pocket-"),
        (["search", "--evals", "0"], "evals is 0"),
        (["search", "--usd", "0"], "the cap usd is 0"),
        (["search", "--cost", "dollars"], "wanted one of usd, tokens, calls, latency"),
        (["show", "last"], "there is no run under ./runs yet"),
        (["show", "nothing-here"], "no run is called 'nothing-here'"),
        (["inspect", "component", "dirct"], "Did you mean 'direct'?"),
        (["list", "components", "--kind", "tol"], "Did you mean 'tool'?"),
        (["ask", "missing.yaml", "x"], "missing.yaml: there is no such file"),
    ],
)
def test_misuse_is_one_clear_line(
    words: list[str], hint: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong word: one line with the nearest right one, exit code 2, nothing left behind."""
    code, message = fails(capsys, *words)
    assert code == 2
    assert message.startswith("paragent: ")
    assert hint in message
    assert "\n" not in message
    assert list(here.iterdir()) == []


def test_a_wrong_flag_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    """What argparse refuses is exit code 2 too."""
    assert main(["search", "--evils", "3"]) == 2
    assert "--evils" in capsys.readouterr().err


# -- specifications ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("evals: 3\nsercher: mcts\n", "line 2, column 1: no setting is called 'sercher'. Did you"),
        ("evals: [3\n", "line 2, column 1: "),
        ("seed: 1\n\ntasks: many\n", "line 3, column 1: tasks is 'many'"),
        ("usd: 0\n", "line 1, column 1: the cap usd is 0"),
        ("test-tasks: 3\ntest_tasks: 4\n", "'test_tasks' is given twice"),
        ("seed: 1\nseed: 2\n", "line 2, column 1: the key 'seed' is given twice"),
        ("- evals\n", "wanted a mapping of settings"),
        ("models: 3\n", "models is 3; wanted a list of names"),
        ("benchmark: 3\n", "benchmark is 3; wanted a text"),
    ],
)
def test_a_mistake_in_a_file_has_its_place(
    text: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """File, line and column of whatever is wrong in a specification."""
    (here / "my.yaml").write_text(text)
    code, shown = fails(capsys, "search", "my.yaml")
    assert code == 2
    assert shown.startswith("paragent: my.yaml: ")
    assert message in shown


def test_flags_win_over_the_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A specification has the flags' keys, in either spelling; a flag overrides it."""
    (here / "my.yaml").write_text(
        "searcher: random\nevals: 7\ntest-tasks: 9\nmodels: [pocket-s]\nusd: 1\n"
    )
    config = said(capsys, "search", "my.yaml", "--evals", "8", "--dry-run")["config"]
    assert (config["evals"], config["test_tasks"], config["models"]) == (8, 9, ["pocket-s"])
    assert config["usd"] == 1
    assert list(here.iterdir()) == [here / "my.yaml"]  # a dry run leaves nothing


# -- a run ---------------------------------------------------------------------------------------


def test_search_leaves_what_it_says(finished: Path) -> None:
    """Report and one configuration per front design are where the search says they are."""
    run = finished / "runs" / "one"
    assert (run / "report" / "index.html").is_file()
    assert list((run / "configs").glob("*.yaml"))


def test_search_json_is_one_object(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With --json stdout holds the summary alone, with the promised keys."""
    found = said(capsys, "search", *SMALL, "--out", "r", "--no-report")
    assert not (here / "r" / "report").exists()
    assert found["evaluations"] == 4
    assert {"run", "seed", "failed", "stopped_by", "spent", "hypervolume", "baseline"} <= set(found)
    assert set(found["spent"]) >= {"usd", "tokens", "calls", "seconds", "by_purpose"}
    for point in found["front"]:
        assert {"design", "label", "dev", "test", "usd_per_1k", "tokens", "config"} <= set(point)
        assert set(point["test"]) == {"score", "low", "high", "n"}
        assert (here / point["config"]).is_file()


def test_every_reader_of_a_run(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """show, report, resume, export, inspect and list read the run by path, name or `last`."""
    monkeypatch.chdir(finished)
    shown = said(capsys, "show", "last")
    assert shown == said(capsys, "show", "one") == said(capsys, "show", "runs/one")
    assert said(capsys, "resume", "one", "--no-report")["front"] == shown["front"]
    page = said(capsys, "report", "one", "--out", "page")["report"]
    assert Path(page).is_file()
    assert [r["name"] for r in said(capsys, "list", "runs")["runs"]] == ["one"]
    facts = said(capsys, "inspect", "design", "last:best")
    assert main(["export", "last", "--pick", "best", "--out", "best.yaml"]) == 0
    capsys.readouterr()
    assert said(capsys, "inspect", "design", "best.yaml")["hash"] == facts["hash"]
    assert main(["show", "one"]) == 0
    assert "the search itself spent" in capsys.readouterr().out
    code, message = fails(capsys, "export", "one", "--pick", "bset")
    assert (code, "Did you mean 'best'?" in message) == (2, True)


def test_ask_answers(
    finished: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`ask` gives the same answer for a run's pick and for its exported file."""
    monkeypatch.chdir(finished)
    question = "Tom has 3 boxes of 12 pens. How many pens?"
    assert main(["export", "one", "--pick", "cheapest", "--out", "cheap.yaml"]) == 0
    capsys.readouterr()
    first = said(capsys, "ask", "one:cheapest", question)
    second = said(capsys, "ask", "cheap.yaml", question)
    assert first == second
    assert first["calls"] >= 1


@pytest.mark.parametrize("what", ["components", "searchers", "benchmarks", "models", "runs"])
def test_listings(what: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every listing as JSON, and as one line per item elsewhere."""
    items = said(capsys, "list", what)[what]
    assert main(["list", what]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(items)
    assert items or what == "runs"


def test_inspect(capsys: pytest.CaptureFixture[str]) -> None:
    """A component with its parameters, a benchmark with its splits."""
    assert said(capsys, "inspect", "component", "vote")["parameters"]["rule"][0] == "plurality"
    assert said(capsys, "inspect", "benchmark", "pocket")["test_tasks"] == 2000
    assert main(["inspect", "component", "calculator"]) == 0
    assert "exact arithmetic" in capsys.readouterr().out


def test_doctor_shows_no_key(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Keys are named as set or not set; a folder that cannot be written is said."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-0123456789")
    data = said(capsys, "doctor")
    assert "sk-secret" not in json.dumps(data)
    found = {f["name"]: f for f in data["findings"]}
    assert found["key OPENAI_API_KEY"]["value"] == "set"
    assert found["model pocket-s"]["ok"] is True
    assert found["runs folder"]["ok"] is True
    assert list(here.iterdir()) == []


# -- interruption --------------------------------------------------------------------------------


def start(*words: str, cwd: Path) -> subprocess.Popen[str]:
    """The command line in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "paragent", *words],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A test run in the background of a shell ignores Ctrl-C, and its children would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def test_ctrl_c_keeps_everything(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C in the middle: exit code 130, the way to go on is told, and resume finishes."""
    more = ["--evals", "40", "--tasks", "10", "--out", "r", "--no-report"]
    process = start("search", *SMALL, *more, cwd=here)
    calls = here / "r" / "calls.db"
    until = time.monotonic() + 60
    while not (calls.exists() and calls.stat().st_size > 0) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with: paragent resume r" in err
    assert "Traceback" not in err
    done = said(capsys, "resume", "r", "--evals", "4", "--no-report")
    assert done["evaluations"] >= 4, "what was measured before Ctrl-C stays, be it more"
    assert done["front"]


def test_ctrl_c_before_anything_is_kept_says_stopped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is no run to resume yet, and still the line says something."""

    def interrupted(words: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("paragent.cli._run", interrupted)
    assert main(["search"]) == 130
    assert capsys.readouterr().err == "paragent: stopped\n"


def test_a_reader_that_leaves_is_no_error(here: Path) -> None:
    """`paragent list components | head -1` ends without a word."""
    process = start("list", "components", cwd=here)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(60) in (0, 1)
    assert process.stderr.read() == ""
    process.stderr.close()


# -- progress ------------------------------------------------------------------------------------


MIDDLE = Event("told", 3, 60, 0.5, 1200, 0.75, "a·b", 2, 10.0, 95.0)


def test_a_line_of_progress() -> None:
    """All that matters on one line; an unknown price is said to be unknown."""
    assert line(MIDDLE) == (
        "searching: 3/60 designs | best 0.75 on dev: a·b | front 2 | $0.5000, 1,200 tokens | "
        "10 s, about 1 min 35 s left"
    )
    assert "dollars unknown" in line(replace(MIDDLE, spent_usd=None))
    assert "best" not in line(replace(MIDDLE, best_score=None))


def test_plain_lines_come_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    """Every five seconds, and where a stage begins."""
    now = iter([0.0, 1.0, 4.9, 5.0, 5.1])
    watch = PlainLines(lambda: next(now))
    for kind in ("told", "told", "told", "told", "settling"):
        watch(replace(MIDDLE, kind=kind))
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_quiet_means_quiet(here: Path) -> None:
    """With --json there is no progress function at all."""
    with watching(here, quiet=True) as progress:
        assert progress is None


def test_a_live_picture_fits_a_narrow_terminal() -> None:
    """The live display renders at 60 columns without an error and keeps the counts."""
    from rich.console import Console

    from paragent.commands.progress import panel

    console = Console(width=60, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(panel(replace(MIDDLE, best_label="x" * 200)))
    assert "3/60" in console.export_text()
    console.file.close()
