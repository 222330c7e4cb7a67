"""Two thousand calls with a fifth of them failing: nothing is lost, nothing is zero by failure."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from paragent.benchmark import ListBenchmark
from paragent.design import Agent, Design, Part
from paragent.dev.fake_server import FakeConfig, FakeServer
from paragent.executor import Job, LocalExecutor
from paragent.outcome import Failed, Measured, Outcome
from paragent.registry import components
from paragent.runtime.endpoint import EndpointModel
from paragent.runtime.journal import Journal
from paragent.runtime.ledger import Caps, Ledger
from paragent.runtime.models_file import component, read_models
from paragent.runtime.retry import RetryPolicy
from paragent.runtime.session import Session

DESIGNS = [Design(Agent(Part("chaos"), Part("direct"), role=f"number {i}")) for i in range(10)]
#: Half of the sums are asked for wrongly, so that a right answer scores 0: zeros that are measured.
BENCHMARK = ListBenchmark.of(
    "sums", [(f"What is {i}+{i % 9}?", str(i + i % 9 + i % 2)) for i in range(440)]
)
MODEL = """
models:
  chaos:
    base_url: {url}
    model: fake-small
    usd_per_mtok: {{in: 1.0, out: 2.0}}
    context: 4096
    timeout_s: 1.0
    limits: {{concurrency: 128}}
"""


async def measure(
    folder: Path, config: FakeConfig, caps: Caps
) -> tuple[dict[tuple[str, str], Outcome], Ledger, FakeServer]:
    """All designs on 200 tasks each against a server of that kind."""
    folder.mkdir()
    async with FakeServer(config) as server:
        (spec,) = read_models(MODEL.format(url=server.url), "models.yaml").values()
        retry = RetryPolicy(attempts=8, first_wait_s=0.02, longest_wait_s=0.2)
        shown = component(spec)
        components.register(replace(shown, build=lambda: EndpointModel(spec, retry)), replace=True)
        journal = Journal(folder / "calls.db")
        ledger = Ledger(caps)
        session = Session(ledger, journal)
        executor = LocalExecutor(BENCHMARK, session)
        ids = tuple(t.id for t in BENCHMARK.tasks("dev")[:200])
        found: dict[tuple[str, str], Outcome] = {}

        async def run(design: Design) -> None:
            job = Job(design.to_data(), "dev", ids, "search-eval", 0)
            await executor.run(job, lambda task, o: found.__setitem__((design.hash, task), o))

        try:
            await asyncio.gather(*(run(design) for design in DESIGNS))
        finally:
            await session.aclose()
            journal.close()
            components.unregister("chaos")
        return found, ledger, server


@pytest.mark.slow
def test_a_fifth_of_all_requests_failing_changes_no_measured_score(tmp_path: Path) -> None:
    """Every kind of fault; every task ends Measured or Failed; what is measured is what the
    faultless server gives; caps hold, and dollars match what the server billed."""
    assert len(BENCHMARK.tasks("dev")) >= 200
    caps = Caps(usd=1.0, calls=4000)
    calm, _, _ = asyncio.run(measure(tmp_path / "calm", FakeConfig(), caps))
    wild, ledger, server = asyncio.run(
        measure(tmp_path / "wild", FakeConfig(fault_rate=0.2, drip_s=0.2), caps)
    )
    assert len(calm) == len(wild) == 2000
    assert all(isinstance(o, Measured) for o in calm.values())
    assert all(isinstance(o, Measured | Failed) for o in wild.values())
    measured = {key: o for key, o in wild.items() if isinstance(o, Measured)}
    assert len(measured) >= 1990, "eight attempts at a fifth failing: almost all get through"
    for key, outcome in measured.items():
        other = calm[key]
        assert isinstance(other, Measured)
        assert (outcome.score, outcome.answer) == (other.score, other.answer)
    assert {o.score for o in measured.values()} == {0.0, 1.0}, "zeros here are measured ones"
    spent, stats = ledger.spent(), server.stats.to_data()
    assert len(stats["faults"]) >= 8, "all kinds of faults occurred"
    assert spent.usd is not None
    assert spent.usd + spent.unsure_usd <= 1.0
    assert spent.calls + spent.unsure_calls <= 4000
    assert spent.calls >= len(measured)
