"""The journal: durable before it is seen, the ledger's memory, and plain words when it breaks."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedModel

from paragent.component import Tool
from paragent.errors import StoreError
from paragent.runtime.journal import (
    Journal,
    Row,
    call_key,
    completion_from_json,
    completion_to_json,
    open_user_cache,
    user_cache_path,
)
from paragent.runtime.ledger import Caps, Ledger
from paragent.runtime.model import Completion, Message, Request, ToolCall

MODEL = ScriptedModel(lambda request: "said")
ASK = Request((Message("user", "2 + 2?"),))


def row(number: int, usd: float | None = 0.25, purpose: str = "trial") -> Row:
    completion = Completion(f"answer {number}", 10, 5, 0.5)
    return Row(bytes([number]) * 32, "m", purpose, completion, usd, 10, 5)


texts = st.text(max_size=30)
completions = st.builds(
    Completion,
    text=texts,
    prompt_tokens=st.integers(0, 10**6),
    completion_tokens=st.integers(0, 10**6),
    latency_s=st.floats(0, 1e4),
    cached_tokens=st.integers(0, 10),
    confidence=st.none() | st.floats(1e-9, 1),
    tool_calls=st.lists(st.builds(ToolCall, texts, texts, texts), max_size=2).map(tuple),
    finish=st.sampled_from(["stop", "length"]),
    estimated=st.booleans(),
    extra=st.dictionaries(texts, st.integers() | texts, max_size=2),
)


@given(completions)
def test_completions_survive_the_text_form(completion: Completion) -> None:
    """What is written is what is read, every field of it."""
    assert completion_from_json(completion_to_json(completion)) == completion


TOOL = Tool("calculator", "works out", lambda text: text, "", "")


@pytest.mark.parametrize(
    "other",
    [
        replace(ASK, messages=(Message("system", "2 + 2?"),)),
        replace(ASK, messages=(Message("user", "2 + 2?"), Message("user", ""))),
        replace(ASK, messages=(Message("tool", "2 + 2?", (), "id"),)),
        replace(ASK, messages=(Message("user", "2 + 2?", (ToolCall("i", "n", "a"),)),)),
        replace(ASK, max_tokens=511),
        replace(ASK, temperature=0.5),
        replace(ASK, stop=("\n",)),
        replace(ASK, tools=(TOOL,)),
        replace(ASK, json_output=True),
    ],
)
def test_whatever_changes_the_answer_changes_the_key(other: Request) -> None:
    """Messages, limits, temperature, stops, tools and format each make another call."""
    assert call_key(MODEL, other) != call_key(MODEL, ASK)


def test_draws_have_keys_of_their_own_greedy_calls_share_one() -> None:
    """Five samples above temperature 0 are five calls; at temperature 0 they are one."""
    greedy = {call_key(MODEL, replace(ASK, sample=str(i), seed=i)) for i in range(5)}
    warm = replace(ASK, temperature=0.7)
    drawn = {call_key(MODEL, replace(warm, sample=str(i))) for i in range(5)}
    seeded = {call_key(MODEL, replace(warm, seed=i)) for i in range(5)}
    assert (len(greedy), len(drawn), len(seeded)) == (1, 5, 5)


def test_model_and_endpoint_enter_the_key() -> None:
    """The same name at another address is another model."""
    other = replace(MODEL, name="other")
    moved = replace(MODEL, endpoint="http://elsewhere")
    assert len({call_key(m, ASK) for m in (MODEL, other, moved)}) == 3


def test_keys_are_equal_in_another_process_with_another_hash_seed() -> None:
    """A resumed run on another day finds what it paid for."""
    code = (
        "from scripted import ScriptedModel;"
        "from paragent.runtime.journal import call_key;"
        "from paragent.runtime.model import Message, Request;"
        "print(call_key(ScriptedModel(lambda r: ''), Request((Message('user','2 + 2?'),))).hex())"
    )
    env = {**os.environ, "PYTHONHASHSEED": "77"}
    env["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == call_key(MODEL, ASK).hex()


def test_rows_are_found_again_as_new_objects(tmp_path: Path) -> None:
    """Two look-ups give equal completions that share nothing mutable."""
    journal = Journal(tmp_path / "calls.db")
    completion = Completion("a", 1, 1, 0.1, extra={"list": [1]})
    journal.append([Row(b"k" * 32, "m", "trial", completion, 0.0, 1, 1)])
    first, second = journal.get(b"k" * 32), journal.get(b"k" * 32)
    assert first == second == completion
    assert first is not None and second is not None
    first.extra["list"].append(2)
    assert second.extra == {"list": [1]}
    assert journal.get(b"x" * 32) is None
    journal.close()


def test_entries_give_the_ledger_back(tmp_path: Path) -> None:
    """Sums by purpose, unknown prices apart, shared answers free, lost flights unsure."""
    path = tmp_path / "calls.db"

    async def write() -> None:
        journal = Journal(path)
        await asyncio.gather(*(journal.put(row(i)) for i in range(4)))
        await journal.put(row(5, None, "label"))
        await journal.put(replace(row(6, 9.0), paid=False))
        await journal.put(Row(b"f" * 32, "m", "trial", None, 0.5, 7, 0, "refused"))
        lost = await journal.take_off("judge", 100, 50, 0.125)
        back = await journal.take_off("judge", 100, 50, 0.125)
        never_sent = await journal.take_off("judge", 100, 50, 0.125)
        assert len({lost, back, never_sent}) == 3
        await journal.put(row(7, 0.0625, "judge"), back)
        journal.land(never_sent)
        journal.close()

    asyncio.run(write())
    journal = Journal(path)
    spent = Ledger(Caps(tokens=10_000), journal.entries()).spent()
    assert {k: dict(v) for k, v in spent.by_purpose.items()} == {
        "judge": {"usd": 0.0625, "tokens": 15, "calls": 1},
        "label": {"usd": None, "tokens": 15, "calls": 1},
        "trial": {"usd": 1.5, "tokens": 67, "calls": 5},
    }
    assert (spent.unsure_calls, spent.unsure_usd) == (1, 0.125)
    assert journal.get(b"f" * 32) is None
    journal.close()


def test_rows_of_one_moment_share_a_transaction(tmp_path: Path) -> None:
    """Group commit: 500 rows at once cost one transaction, not 500."""

    async def write() -> tuple[int, int]:
        journal = Journal(tmp_path / "calls.db")
        commits: list[str] = []
        journal._db.set_trace_callback(lambda s: commits.append(s) if s == "COMMIT" else None)
        await asyncio.gather(*(journal.put(row(i % 256)) for i in range(500)))
        counted = journal.stats()["calls"]
        journal.close()
        return len(commits), int(counted)

    assert asyncio.run(write()) == (1, 500)


WRITER = """
import asyncio, sys
from paragent.runtime.journal import Journal, Row
from paragent.runtime.model import Completion

async def main():
    journal = Journal(sys.argv[1])
    async def one(worker):
        i = worker
        while True:
            done = Completion(f"answer {i}", 1, 1, 0.0)
            await journal.put(Row(i.to_bytes(32, "big"), "m", "trial", done, 0.5, 1, 1))
            print(i, flush=True)  # only what is durable is told
            i += 32
    await asyncio.gather(*(one(w) for w in range(32)))

asyncio.run(main())
"""


def test_kill_minus_nine_loses_no_row_that_was_told(tmp_path: Path) -> None:
    """A process killed while writing: each call it acknowledged is there, and the file is sound."""
    path = tmp_path / "calls.db"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, env=env
    ) as process:
        assert process.stdout is not None
        told = [process.stdout.readline() for _ in range(400)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.readlines()
    # The last line may be cut short by the kill; its row is checked by all the others.
    numbers = [int(line) for line in told if line.endswith(b"\n")]
    journal = Journal(path)
    assert len(numbers) >= 400
    for number in numbers:
        found = journal.get(number.to_bytes(32, "big"))
        assert found is not None and found.text == f"answer {number}"
    calls = sum(entry.calls for entry in journal.entries())
    assert len(numbers) <= calls <= len(numbers) + 64
    assert sqlite3.connect(path).execute("PRAGMA integrity_check").fetchone() == ("ok",)
    journal.close()


def test_a_corrupt_file_is_one_plain_line(tmp_path: Path) -> None:
    """Garbage in the place of the file, or in its middle, is a StoreError with the path."""
    path = tmp_path / "calls.db"
    path.write_bytes(b"no database at all, but long enough to be looked at" * 20)
    with pytest.raises(StoreError, match=r"calls\.db: the file is corrupt or no journal") as told:
        Journal(path)
    assert "\n" not in str(told.value) and told.value.exit_code == 1
    path.unlink()
    journal = Journal(path)
    journal.append([row(i) for i in range(250)])
    journal.close()
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(bytes(data))
    with pytest.raises(StoreError, match="corrupt"):
        list(Journal(path).entries())


def test_other_files_and_other_versions_are_refused(tmp_path: Path) -> None:
    """Another program's database is left alone; another format is named by its number."""
    foreign = tmp_path / "foreign.db"
    with sqlite3.connect(foreign) as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(StoreError, match="not a journal"):
        Journal(foreign)
    path = tmp_path / "calls.db"
    Journal(path).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(StoreError, match="format 99"):
        Journal(path)


def test_a_missing_folder_is_told(tmp_path: Path) -> None:
    """A path that cannot be opened says so in one line."""
    with pytest.raises(StoreError, match="cannot be opened"):
        Journal(tmp_path / "nowhere" / "calls.db")


def test_a_full_disk_reaches_every_caller_and_keeps_what_was_written(tmp_path: Path) -> None:
    """When the disk is full, each waiting call fails plainly; earlier rows stay readable."""
    path = tmp_path / "calls.db"

    async def write() -> list[BaseException | None]:
        journal = Journal(path)
        await journal.put(row(1))
        (pages,) = journal._db.execute("PRAGMA page_count").fetchone()
        journal._db.execute(f"PRAGMA max_page_count={pages}")  # as if no page were left
        big = Completion("x" * 20_000, 1, 1, 0.0)
        calls = [Row(bytes([i]) * 32, "m", "trial", big, 0.0, 1, 1) for i in (2, 3)]
        done = await asyncio.gather(*(journal.put(r) for r in calls), return_exceptions=True)
        journal.close()
        return done

    errors = asyncio.run(write())
    assert [type(e) for e in errors] == [StoreError, StoreError]
    assert "the disk is full" in str(errors[0])
    journal = Journal(path)
    assert journal.get(b"\x01" * 32) is not None
    assert journal.get(b"\x02" * 32) is None
    journal.close()


def test_clear_and_stats(tmp_path: Path) -> None:
    """`stats` counts rows, answers and models; `clear` forgets them all."""
    journal = Journal(tmp_path / "calls.db")
    journal.append([row(1), row(2), replace(row(3), completion=None, failure="empty")])
    stats = journal.stats()
    assert (stats["calls"], stats["completions"], stats["models"]) == (3, 2, 1)
    assert stats["bytes"] > 0
    assert journal.clear() == 3
    assert journal.get(row(1).key) is None
    journal.close()


def test_the_users_cache_has_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By variable, by the usual folder, or off; missing folders are made."""
    monkeypatch.setenv("PARAGENT_CACHE", "off")
    assert open_user_cache() is None
    monkeypatch.setenv("PARAGENT_CACHE", str(tmp_path / "deep" / "mine.db"))
    cache = open_user_cache()
    assert cache is not None and cache.path == tmp_path / "deep" / "mine.db"
    cache.close()
    monkeypatch.delenv("PARAGENT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert user_cache_path() == tmp_path / "x" / "paragent" / "cache.db"
    (tmp_path / "x").write_text("a file in the way", encoding="utf-8")
    with pytest.raises(StoreError, match="paragent"):
        open_user_cache()


def test_five_thousand_rows_a_second(tmp_path: Path) -> None:
    """Group commit keeps the cost of a row under 0.2 ms of processor time."""

    async def write() -> float:
        journal = Journal(tmp_path / "calls.db")
        begin = time.process_time()
        for block in range(8):
            await asyncio.gather(
                *(journal.put(replace(row(i), key=bytes([block, i]) * 16)) for i in range(256))
            )
        seconds = time.process_time() - begin
        journal.close()
        return seconds / (8 * 256)

    assert asyncio.run(write()) < 0.0002
