"""Searches over an OpenAI-compatible server on this machine: GSM8K's form, and a model as judge."""

from __future__ import annotations

import asyncio
import csv
import json
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from paragent import optimize
from paragent.dev.fake_server import FakeConfig, FakeReply, FakeServer
from paragent.registry import components
from paragent.runtime.models_file import register_models

GOLD = {f"Ann has {n} ducks and buys {n + 3} more. How many has she?": 2 * n + 3 for n in range(90)}


def reply(body: Mapping[str, Any]) -> FakeReply:
    """The pupil is right on two of three questions; the judge marks 10 what is right, else 2."""
    text = "\n".join(str(m["content"]) for m in body["messages"])
    question = next((q for q in GOLD if q in text), "")
    if "You judge" in text:
        right = f"Answer to judge:\n<<<\nAnswer: {GOLD[question]}\n" in text
        return FakeReply(f"Looked at it twice.\nMark: {10 if right else 2}")
    wrong = int(question.split()[2]) % 3 == 0 if question else True
    return FakeReply(f"Answer: {GOLD.get(question, 0) + wrong}")


MODELS = """
models:
  pupil:
    base_url: {url}
    model: fake-small
    usd_per_mtok: {{in: 1.0, out: 2.0}}
  judge:
    base_url: {url}
    model: fake-large
    usd_per_mtok: {{in: 10.0, out: 20.0}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder with models.yaml for a server that runs in a thread of its own."""
    ready, stop, place = threading.Event(), asyncio.Event(), list[str]()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async with FakeServer(FakeConfig(answer=reply)) as server:
            place.append(server.url)
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    file = tmp_path / "models.yaml"
    file.write_text(MODELS.format(url=place[0]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARAGENT_CACHE", "off")
    monkeypatch.setenv("PARAGENT_MODELS", str(file))
    register_models()
    yield tmp_path
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)
    loop.close()
    for name in ("pupil", "judge"):
        components.unregister(name)


def test_gsm8k_over_an_endpoint(folder: Path) -> None:
    """Published rows (solution, #### and the answer); dev comes from train, the report from test;
    the score is the pupil's, the dollars are the server's."""
    data = folder / "gsm8k"
    data.mkdir()
    rows = [{"question": q, "answer": f"Add them.\n#### {a:,}"} for q, a in GOLD.items()]
    for part, chosen in (("train", rows[:60]), ("test", rows[60:])):
        text = "\n".join(map(json.dumps, chosen))
        (data / f"{part}.jsonl").write_text(text, encoding="utf-8")
    run = optimize(
        "gsm8k",
        data=str(data),
        models=("pupil",),
        searcher="random",
        evals=3,
        tasks=10,
        confirm=10,
        test_tasks=30,
        max_depth=1,
        out=folder / "run",
    )
    assert run.baseline is not None and run.baseline.test is not None
    assert run.baseline.test.score == pytest.approx(2 / 3)
    assert run.baseline.test.n == 30
    assert set(run.baseline.test.outcomes) == {f"gsm8k-test-{i}" for i in range(30)}
    assert (run.baseline.test.usd_per_task or 0) > 0


def test_a_judge_scores_own_data_and_stands_in_the_ledger(folder: Path) -> None:
    """Marks become scores; what the judge cost is told apart, and no design pays for it."""
    path = folder / "my.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("question", "label"), *GOLD.items()])
    run = optimize(
        data=str(path),
        scorer="judge",
        judge="judge",
        models=("pupil",),
        evals=1,
        searcher="random",
        tasks=12,
        confirm=6,
        test_tasks=12,
        max_depth=1,
        include=("direct",),
        out=folder / "run",
    )
    assert run.baseline is not None
    scores = set(run.baseline.dev.scores.values())
    assert scores == {1.0, 0.2}
    spent = run.spent.by_purpose
    assert (spent["judge"]["calls"] or 0) >= 2 * run.baseline.dev.n  # two votes each
    others = sum(float(used["usd"] or 0) for name, used in spent.items() if name != "judge")
    designs = sum(float(o.usage.usd or 0) for o in run.baseline.dev.measured)
    assert designs <= others + 1e-9
    assert float(spent["judge"]["usd"] or 0) > others
