"""Public data: found, fetched, checked; and searches on GSM8K from end to end."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from real_data import real_data

from paragent import optimize
from paragent.cli import main
from paragent.errors import CallFailure, ConfigError, UsageError
from paragent.hub import Part, Source, cache_folder, fetch, read_lines
from paragent.registry import benchmarks, components
from paragent.runtime.model import Message, Request
from paragent.runtime.replay import PREFIX, read_recorded

TOY = Source(
    "toy",
    (Part("train", 3, "tr"), Part("test", 2)),
    ("question", "answer"),
    hub="somebody/toy",
    configs=("a",),
    convert=lambda row: {"question": row["q"], "answer": row["config"]},
)


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("PARAGENT_DATA", raising=False)


def hub(name: str, config: str, split: str) -> list[dict[str, Any]]:
    """What `datasets.load_dataset` would return."""
    assert (name, config) == ("somebody/toy", "a")
    return [{"q": f"{split} {i}?"} for i in range({"tr": 3, "test": 2}[split])]


def test_what_is_fetched_is_kept_and_checked() -> None:
    """Once fetched no network is needed; a file that was changed or cut is refused."""
    assert "paragent fetch toy" in TOY.missing()
    with pytest.raises(UsageError, match="paragent fetch toy"):
        TOY.rows("test")
    assert len(fetch(TOY, hub)) == 2
    assert TOY.missing() == ""
    assert TOY.rows("test")[1] == {"question": "test 1?", "answer": "a"}
    file = cache_folder() / "toy" / "test.jsonl"
    file.write_text(file.read_text()[:-30], encoding="utf-8")
    with pytest.raises(ConfigError, match=r"its hash differs.*paragent fetch toy"):
        TOY.rows("test")


def test_another_version_of_the_data_is_not_taken() -> None:
    """A count that is not the published one, a hub that fails, and a missing package."""

    def short(name: str, config: str, split: str) -> list[dict[str, Any]]:
        return hub(name, config, split)[1:]

    def down(name: str, config: str, split: str) -> list[dict[str, Any]]:
        raise ConnectionError("no way there")

    with pytest.raises(UsageError, match="has 2 rows; 3 were published"):
        fetch(TOY, short)
    with pytest.raises(UsageError, match="cannot be fetched: no way there"):
        fetch(TOY, down)
    assert TOY.missing() != ""


def test_a_folder_of_ones_own(tmp_path: Path) -> None:
    """`train_…jsonl` stands for train; a missing field is told with its line."""
    (tmp_path / "train_10.jsonl").write_text('{"question": "q", "answer": "a"}\n')
    assert len(TOY.rows("train", tmp_path)) == 1
    (tmp_path / "test.jsonl").write_text('{"question": "q"}\n')
    with pytest.raises(ConfigError, match=r"test\.jsonl:1: the field 'answer' is missing"):
        TOY.rows("test", tmp_path)
    with pytest.raises(UsageError, match="no such file or folder"):
        TOY.rows("test", tmp_path / "nothing")


def test_lines_end_at_newlines_only(tmp_path: Path) -> None:
    """A line separator inside a text (U+2028) is part of it."""
    file = tmp_path / "x.jsonl"
    file.write_text(json.dumps({"a": "b\u2028c"}, ensure_ascii=False) + "\n", encoding="utf-8")
    assert list(read_lines(file)) == [(1, {"a": "b\u2028c"})]


def test_listing_tells_what_is_ready(capsys: pytest.CaptureFixture[str]) -> None:
    """Every benchmark with licence and scorer, and a command where it is not ready."""
    assert main(["list", "benchmarks", "--json"]) == 0
    found = {b["name"]: b for b in json.loads(capsys.readouterr().out)["benchmarks"]}
    assert {"gsm8k", "humaneval", "bbh", "data", "pocket"} <= set(found)
    for one in found.values():
        assert one["licence"] and one["summary"]
        assert one["ready"] == (not one["missing"])
    assert "paragent fetch gsm8k" in found["gsm8k"]["missing"]
    assert main(["inspect", "benchmark", "gsm8k"]) == 2
    assert main(["search", "--benchmark", "gsm8k"]) == 2
    assert "paragent fetch gsm8k" in capsys.readouterr().err


def test_listing_and_loading_are_quick() -> None:
    """Listing benchmarks in a fresh process, and loading GSM8K: under a second of processor."""
    code = (
        "import time; from paragent.cli import main; main(['list', 'benchmarks', '--json']);"
        "import sys; sys.exit(time.process_time() > 1.0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == 0
    folder = real_data("benchmarks", "gsm8k")
    begin = time.process_time()
    benchmark = benchmarks["gsm8k"].load(data=folder)
    assert len(benchmark.tasks("test")) == 1319
    assert len(benchmark.tasks("dev")) == 992  # of a sample of 1,000; 8 are worked examples
    assert time.process_time() - begin < 1


@pytest.mark.parametrize("name", ["gsm8k", "strategyqa", "bbh", "mbpp", "humaneval", "hotpotqa"])
def test_no_test_question_guides_the_search(name: str) -> None:
    """Splits share no question, and the worked examples are of neither."""
    benchmark = benchmarks[name].load(data=real_data("benchmarks", name))
    dev = {t.question for t in benchmark.tasks("dev")}
    test = {t.question for t in benchmark.tasks("test")}
    assert dev and test and not dev & test
    assert not {e.question for e in benchmark.context.examples} & (dev | test)


@pytest.fixture
def recorded() -> Iterator[Path]:
    """The folder of 44 models' answers; its models are unregistered at the end."""
    folder = real_data("recorded", "zeroeval-gsm8k")
    yield folder
    for component in list(components):
        if component.name.startswith(PREFIX):
            components.unregister(component.name)


def test_recorded_models_say_what_was_recorded(recorded: Path) -> None:
    """44 models; gpt-4o-mini is right on 94.24 % at $0.103 per 1,000 tasks, as published."""
    found = read_recorded(recorded)
    assert (len(found.answers), len(found.tasks)) == (44, 1319)
    mini = "gpt-4o-mini-2024-07-18"
    right = sum(found.answers[mini].get(t.id) == t.gold for t in found.tasks)
    assert right / 1319 == pytest.approx(0.9424, abs=5e-5)
    price = found.prices[mini]
    usd = sum(price.usd(t.prompt_tokens, found.tokens[mini][t.id]) or 0 for t in found.tasks)
    assert usd / 1.319 == pytest.approx(0.103, abs=5e-4)


async def _ask(folder: Path, text: str, model: str = "gpt-4o-mini-2024-07-18") -> str:
    (component,) = (c for c in read_recorded(folder).components() if c.name == PREFIX + model)
    request = Request((Message("user", text),))
    return str((await component.build().complete(request)).text)


def test_a_question_is_found_inside_a_prompt(recorded: Path) -> None:
    """Whatever stands around it; another question is a failed call, never an empty answer."""
    import asyncio

    task = read_recorded(recorded).tasks[0]
    said = asyncio.run(_ask(recorded, f"Here is a task.\n{task.question}\nThink."))
    assert said == f"Answer: {task.gold}"
    with pytest.raises(CallFailure, match="no recorded question"):
        asyncio.run(_ask(recorded, "What is the time?"))


def test_a_search_over_recorded_answers(recorded: Path, tmp_path: Path) -> None:
    """GSM8K with five recorded models from end to end: real scores, real prices, no network."""
    names = ("gpt-4o-mini-2024-07-18", "deepseek-chat", "gemini-1.5-flash", "gpt-4o-2024-08-06")
    run = optimize(
        "recorded", data=str(recorded), models=tuple(PREFIX + n for n in names), evals=4, tasks=15,
        confirm=15, test_tasks=30, searcher="random", max_depth=1, out=tmp_path / "run",
    )  # fmt: skip
    assert run.baseline is not None and run.baseline.test is not None
    assert (run.baseline.test.score or 0) > 0.7
    assert (run.baseline.test.usd_per_task or 0) > 1e-5
    assert not run.summary()["failures"]
