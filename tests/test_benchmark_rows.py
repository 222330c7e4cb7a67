"""Each data set's rows as its hub has them: fetched, loaded, asked and scored."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paragent.benchmark import Benchmark, Closes
from paragent.evaluate import score_of
from paragent.hub import Source, cache_folder, fetch
from paragent.registry import benchmarks

Row = dict[str, Any]
#: name -> (the i-th raw row, in the question, a right answer, a wrong answer)
RAW: dict[str, tuple[Callable[[int], Row], str, str, str]] = {
    "gsm8k": (
        lambda i: {"question": f"{i} ducks and 3 more?", "answer": f"Add.\n#### 1,{i:03}"},
        "ducks", "= 1{i:03}", "2"),
    "svamp": (
        lambda i: {"ID": f"chal-{i}", "Body": "A pack costs 7 dollars.", "Question": f"And {i}?",
                   "Answer": f"{i}.0", "Type": "Subtraction"},
        "A pack costs 7 dollars. And", "{i} dollars", "-1"),
    "aqua": (
        lambda i: {"question": f"How much is {i}?", "options": ["A)1", "B)2", "C)x, y", "D)4",
                   "E)None"], "rationale": "", "correct": "C"},
        "C) x, y", "The answer is C.", "D"),
    "mmlu": (
        lambda i: {"question": f"Which is {i}?", "subject": "law", "choices": ["a", "b", "c", "d"],
                   "answer": 1},
        "B) b", "B", "A"),
    "mmlu_pro": (
        lambda i: {"question_id": i, "question": f"Which is {i}?", "category": "law", "src": "",
                   "options": list("abcdefghij"), "answer": "J", "answer_index": 9},
        "J) j", "(J)", "I)"),
    "bbh": (
        lambda i: {"input": f"not True is, {i}", "target": "False"},
        "not True", "so False", "True"),
    "drop": (
        lambda i: {"query_id": f"q{i}", "passage": "Six ducks swam.", "question": f"How many {i}?",
                   "answers_spans": {"spans": ["6"], "types": ["number"]}},
        "Passage: Six ducks swam.\nQuestion: How many", "6", "7"),
    "hotpotqa": (
        lambda i: {"id": f"h{i}", "question": f"Who {i}?", "answer": "Ada Byron", "type": "bridge",
                   "level": "easy", "supporting_facts": {"title": [], "sent_id": []},
                   "context": {"title": ["T"], "sentences": [["One. ", "Two."]]}},
        "T: One. Two.\nQuestion: Who", "Ada Byron.", "Bob"),
    "ifeval": (
        lambda i: {"key": i, "prompt": f"Write {i} without commas.",
                   "instruction_id_list": ["punctuation:no_comma"],
                   "kwargs": [{"num_words": None, "relation": None}]},
        "without commas", "No such thing", "One, two"),
    "math500": (
        lambda i: {"problem": f"What is {i}/2?", "answer": f"\\frac{{{i}}}{{2}}", "level": 1,
                   "subject": "Algebra", "unique_id": f"test/algebra/{i}.json", "solution": ""},
        "\\boxed{}", "So \\boxed{\\dfrac{{i}}{2}}", "\\boxed{-1}"),
    "cruxeval": (
        lambda i: {"id": f"sample_{i}", "code": "def f(x):\n    return [x, 'a']", "input": str(i),
                   "output": f"[{i}, 'a']"},
        "What does f(", "Answer: [{i}, \"a\"]", "Answer: [1"),
    "humaneval": (
        lambda i: {"task_id": f"HumanEval/{i}", "prompt": f"def f{i}(x):\n    \"\"\"Twice.\"\"\"\n",
                   "entry_point": f"f{i}", "canonical_solution": "    return 2 * x\n",
                   "test": "def check(candidate):\n    assert candidate(2) == 4\n"},
        "Twice.", "```python\ndef f{i}(x):\n    return x + x\n```", "return x"),
    "mbpp": (
        lambda i: {"task_id": i + 1, "text": f"Double {i}.", "code": "def d(x):\n    return 2 * x",
                   "test_list": ["assert d(2) == 4"], "test_setup_code": "",
                   "challenge_test_list": []},
        "assert d(2) == 4", "def d(x): return x * 2", "def d(x): return x"),
}  # fmt: skip

CAGED = ("cruxeval", "humaneval", "mbpp")


def test_every_data_set_with_a_hub_is_here() -> None:
    """A benchmark that can be fetched has a raw row above, or tests of its own."""
    hubs = {p.name for p in benchmarks if p.data is not None and p.data.hub}
    assert hubs - {"swebench"} == set(RAW)


@pytest.mark.parametrize("name", sorted(RAW))
def test_rows_of_the_hub_become_tasks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forty rows a part, or as many as there are splits by number; a right answer scores 1."""
    if name in CAGED and shutil.which("bwrap") is None:
        pytest.skip("no bubblewrap")
    if name == "math500" and importlib.util.find_spec("math_verify") is None:
        pytest.skip("no math-verify")
    raw, asked, right, wrong = RAW[name]
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("PARAGENT_DATA", raising=False)
    plugin = benchmarks[name]
    assert plugin.data is not None
    count = 974 if name == "mbpp" else 40
    source: Source = replace(
        plugin.data, parts=tuple(replace(p, rows=count) for p in plugin.data.parts),
        configs=plugin.data.configs[:1],
    )  # fmt: skip
    parts = {part.hub_split or part.name: i for i, part in enumerate(source.parts)}

    def hub(dataset: str, *config: str, split: str) -> list[Row]:
        assert dataset == source.hub
        assert config == source.configs
        return [raw(count * parts[split] + i) for i in range(count)]

    fetch(source, hub)
    assert plugin.data.missing() == ""
    files = sorted(path.name for path in (cache_folder() / name).iterdir())
    assert files == sorted([*(f"{p.name}.jsonl" for p in source.parts), "manifest.json"])
    benchmark = plugin.load()
    dev, test = benchmark.tasks("dev"), benchmark.tasks("test")
    assert dev and test
    assert all(asked in task.question for task in dev)
    assert asyncio.run(_scores(benchmark, right, wrong)) == (1.0, 0.0)


async def _scores(benchmark: Benchmark, right: str, wrong: str) -> tuple[float, float]:
    task = benchmark.tasks("test")[0]
    place = task.id.rpartition("-")[2].rpartition("/")[2].rpartition("_")[2].removesuffix(".json")
    if benchmark.name == "gsm8k":
        place = f"{int(task.answer) - 1000:03}"
    said = right.replace("{i:03}", place).replace("{i}", place)
    try:
        return await score_of(benchmark, task, said), await score_of(benchmark, task, wrong)
    finally:
        if isinstance(benchmark, Closes):
            await benchmark.aclose()


def test_a_single_file_is_divided_by_hash(tmp_path: Path) -> None:
    """`--data FILE` for a data set of several parts: both splits come from it, disjoint."""
    rows = [{"question": f"{i}?", "answer": str(i)} for i in range(60)]
    file = tmp_path / "mine.jsonl"
    file.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    benchmark = benchmarks["gsm8k"].load(data=file)
    dev, test, shown = (
        {t.question for t in benchmark.tasks("dev")},
        {t.question for t in benchmark.tasks("test")},
        {e.question for e in benchmark.context.examples},
    )
    assert len(dev) + len(test) + len(shown) == 60
    assert not dev & test and not shown & (dev | test)
