"""The store: what is written stays, one writer at a time, and damage is told in one line."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from paragent.design import Agent, Design, Part
from paragent.errors import StoreError
from paragent.outcome import Evaluation, Failed, Measured, Outcome, Pruned, Usage
from paragent.store import FILE, Store

DESIGN = Design(Agent(Part("pocket-s")))
OUTCOMES: dict[str, Outcome] = {
    "t1": Measured(1.0, Usage(2, 30, 10, 0.25, 1.5), "42"),
    "t2": Failed("timeout", "no reply in 60 s", Usage(1, 5, 0, None, 0.0)),
    "t3": Pruned("racing"),
}


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    """Outcomes of all three kinds, unknown cost included, and evaluations in order."""
    with Store(tmp_path / "run", write=True, create=True) as store:
        store.add_design(DESIGN)
        for task, outcome in OUTCOMES.items():
            store.add_outcome(DESIGN.hash, "dev", task, outcome)
        told = Evaluation(DESIGN, "dev", "label", dict(OUTCOMES), 3, "mcts")
        store.add_evaluation(told)
    with Store(tmp_path / "run", write=False) as store:
        assert store.outcomes(DESIGN.hash, "dev") == OUTCOMES
        assert store.outcomes(DESIGN.hash, "test") == {}
        assert store.evaluations() == [told]
        assert dict(store.evaluations()[0].outcomes) == OUTCOMES


def test_an_outcome_is_never_changed(tmp_path: Path) -> None:
    """The first outcome of a task stands."""
    with Store(tmp_path / "run", write=True, create=True) as store:
        store.add_outcome("d", "dev", "t", Measured(1.0, Usage()))
        store.add_outcome("d", "dev", "t", Measured(0.0, Usage()))
        assert store.outcomes("d", "dev")["t"] == Measured(1.0, Usage())


def test_two_writers_are_refused(tmp_path: Path) -> None:
    """The second writer is told; a reader is welcome."""
    with Store(tmp_path / "run", write=True, create=True):
        with pytest.raises(StoreError, match="another process is writing"):
            Store(tmp_path / "run", write=True)
        Store(tmp_path / "run", write=False).close()
    Store(tmp_path / "run", write=True).close()


def test_missing_corrupt_and_foreign_runs(tmp_path: Path) -> None:
    """Each says what is wrong in one line and leaves no lock behind."""
    with pytest.raises(StoreError, match="no run is stored here"):
        Store(tmp_path, write=False)
    Store(tmp_path / "old", write=True, create=True).close()
    with Store(tmp_path / "old", write=True) as store:
        store.set_meta("schema", 99)
    with pytest.raises(StoreError, match="schema 99"):
        Store(tmp_path / "old", write=True)
    Store(tmp_path / "bad", write=True, create=True).close()
    for leftover in ("-wal", "-shm"):
        (tmp_path / "bad" / (FILE + leftover)).unlink(missing_ok=True)
    (tmp_path / "bad" / FILE).write_bytes(b"this is no database at all" * 100)
    with pytest.raises(StoreError, match="cannot open the store"):
        Store(tmp_path / "bad", write=True)


def test_what_was_written_survives_kill_9(tmp_path: Path) -> None:
    """A real process is killed in the middle of writing; all it reported as written is there."""
    code = textwrap.dedent(
        f"""
        from pathlib import Path
        from paragent.outcome import Measured, Usage
        from paragent.store import Store
        store = Store(Path({str(tmp_path / "run")!r}), write=True, create=True)
        for i in range(10**9):
            store.add_outcome("d", "dev", f"t{{i}}", Measured(1.0, Usage()))
            print(i, flush=True)
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 200:
            break
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split()
    process.wait()
    process.stdout.close()
    last = int(rest[-1]) if rest and rest[-1].isdigit() else 200
    with Store(tmp_path / "run", write=True) as store:
        assert len(store.outcomes("d", "dev")) >= min(last, 200) + 1


def test_a_full_disk_is_one_clear_error_and_loses_nothing(tmp_path: Path) -> None:
    """A process whose files may not grow past 300 kB: a StoreError, and all written before it is
    there for a process that has room."""
    code = textwrap.dedent(
        f"""
        import resource, signal
        from pathlib import Path
        from paragent.errors import StoreError
        from paragent.outcome import Measured, Usage
        from paragent.store import Store
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
        store = Store(Path({str(tmp_path / "run")!r}), write=True, create=True)
        written = 0
        try:
            while written < 10**6:
                store.add_outcome("d", "dev", f"t{{written}}", Measured(1.0, Usage(), "x" * 500))
                written += 1
        except StoreError as error:
            print(written, error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        check=True,
    )
    written, _, message = done.stdout.strip().partition(" ")
    assert int(written) > 10
    assert "cannot write" in message and "\n" not in message
    with Store(tmp_path / "run", write=True) as store:
        assert len(store.outcomes("d", "dev")) == int(written)
        store.add_outcome("d", "dev", "more", Measured(1.0, Usage()))


def test_a_store_in_memory_holds_what_a_folder_holds(tmp_path: Path) -> None:
    """The same calls, the same answers: outcomes once stored stay, evaluations come in order."""
    from paragent.memory_store import MemoryStore

    design = Design(Agent(Part("x")))
    good, other = Measured(1.0, Usage(1, 2, 3, 0.5)), Failed("timeout", "slow")
    found = []
    for store in (MemoryStore(), Store(tmp_path / "run", write=True, create=True)):
        with store:
            store.add_design(design)
            store.add_outcome(design.hash, "dev", "t1", good)
            store.add_outcome(design.hash, "dev", "t1", other)
            store.add_outcome(design.hash, "dev", "t2", other)
            store.add_evaluation(Evaluation(design, "dev", "search-eval", {"t2": other}, 1))
            store.add_evaluation(Evaluation(design, "dev", "search-eval", {"t1": good}, 0))
            found.append((store.outcomes(design.hash, "dev"), store.outcomes("none", "dev"),
                          store.designs_with("dev"), store.designs_with("test"),
                          store.evaluations(), store.meta("schema")))  # fmt: skip
    assert found[0] == found[1]
    assert found[0][0] == {"t1": good, "t2": other}


def test_rows_of_an_event_loop_share_a_transaction_and_are_there_when_committed(
    tmp_path: Path,
) -> None:
    """A second connection sees nothing of a row that waits, all of it after `commit`, after a
    moment without one, and after the end."""
    there = Store(tmp_path / "run", write=True, create=True)
    with there as store:
        reader = Store(tmp_path / "run", write=False)

        async def go() -> None:
            store.add_outcome("d", "dev", "t1", Measured(1.0, Usage()))
            assert set(store.outcomes("d", "dev")) == {"t1"}
            assert reader.outcomes("d", "dev") == {}
            store.commit()
            assert set(reader.outcomes("d", "dev")) == {"t1"}
            store.add_outcome("d", "dev", "t2", Measured(1.0, Usage()))
            while "t2" not in reader.outcomes("d", "dev"):
                await asyncio.sleep(0.01)
            store.add_outcome("d", "dev", "t3", Measured(1.0, Usage()))
            store.set_meta("known", True)
            assert set(reader.outcomes("d", "dev")) == {"t1", "t2", "t3"}
            store.add_outcome("d", "dev", "t4", Measured(1.0, Usage()))

        asyncio.run(go())
    assert len(reader.outcomes("d", "dev")) == 4
    reader.close()


def test_a_late_write_that_fails_is_told_to_the_next(tmp_path: Path) -> None:
    """The disk is full when a waiting row is written, with nobody to tell: whoever writes or
    commits next is told, so that no searcher hears of what is not on disk."""
    code = textwrap.dedent(
        f"""
        import asyncio, resource, signal
        from pathlib import Path
        from paragent.errors import StoreError
        from paragent.outcome import Measured, Usage
        from paragent.store import Store
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        store = Store(Path({str(tmp_path / "run")!r}), write=True, create=True)
        async def go():
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
            store.add_outcome("d", "dev", "t", Measured(1.0, Usage(), "x" * 200_000))
            await asyncio.sleep(0.3)
            store.commit()
        try:
            asyncio.run(go())
        except StoreError as error:
            print(error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        check=True,
    )
    assert "cannot write" in done.stdout
