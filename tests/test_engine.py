"""The engine: order, budget, resumption and the first law, on a scripted model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from scripted import ScriptedModel

from paragent.benchmark import ListBenchmark
from paragent.component import Component
from paragent.config import RunConfig
from paragent.design import Agent, Design, Part, Team
from paragent.engine import Engine, above, finalists, front_of
from paragent.executor import LocalExecutor
from paragent.outcome import Evaluation, Failed, Measured, Usage
from paragent.registry import components
from paragent.runtime.journal import Journal
from paragent.runtime.ledger import Caps, Ledger
from paragent.runtime.model import Request
from paragent.runtime.session import Session
from paragent.searcher import Proposal
from paragent.store import Store

Make = Callable[..., ScriptedModel]

BENCHMARK = ListBenchmark.of("sums", [(f"{i}+1=", str(i + 1)) for i in range(60)])
BASELINE = Design(Agent(Part("scripted"), Part("direct")))
DESIGNS = [
    Design(Agent(Part("scripted"), Part("direct"), role=f"number {i}")) for i in range(1, 10)
]


def adds(request: Request) -> str:
    """Solves the sum, but only for roles from "number 5" on."""
    system, question = (m.content for m in request.messages)
    able = any(f"number {i} " in system for i in range(5, 10))
    return f"Answer: {int(question.split('+')[0]) + 1 if able else 0}"


@dataclass
class ListSearcher:
    """Proposes the given designs in order, and remembers what it was told."""

    designs: Sequence[Design] = tuple(DESIGNS)
    told: list[Evaluation] = field(default_factory=list)
    asked: int = 0

    def ask(self, n: int) -> list[Proposal]:
        """The next designs."""
        chosen = self.designs[self.asked : self.asked + n]
        self.asked += len(chosen)
        return [Proposal(d, by="list") for d in chosen]

    def tell(self, evaluation: Evaluation) -> None:
        """Remember."""
        self.told.append(evaluation)


def run(
    folder: Path, searcher: ListSearcher, *, create: bool = True, settle: bool = False, **caps: int
) -> tuple[str, list[Evaluation], list[str]]:
    """One engine run; returns what stopped it, what was told, and the front's hashes."""
    config = RunConfig(
        benchmark="sums",
        evals=caps.pop("evals", 9),
        tasks=caps.pop("tasks", 10),
        confirm=10,
        test_tasks=20,
        parallel=3,
        race=bool(caps.pop("race", 0)),
    )

    async def go() -> tuple[str, list[Evaluation], list[str]]:
        with Store(folder, write=True, create=create) as store:
            journal = Journal(folder / "calls.db")
            ledger = Ledger(Caps(**caps), journal.entries())
            session = Session(ledger, journal)
            engine = Engine(
                config,
                BENCHMARK,
                searcher,
                LocalExecutor(BENCHMARK, session),
                store,
                ledger,
                lambda kind, evaluation: None,
            )
            try:
                stop = await engine.search()
                if settle:
                    await engine.settle(store.evaluations(), [BASELINE])
                return stop, store.evaluations(), store.meta("front", [])
            finally:
                await session.aclose()
                journal.close()

    return asyncio.run(go())


def test_designs_are_told_in_the_order_of_proposal(scripted: Make, tmp_path: Path) -> None:
    """Three run at a time, and nine are told 0 to 8, each on the same ten tasks."""
    scripted(adds)
    searcher = ListSearcher()
    stop, stored, _ = run(tmp_path / "run", searcher)
    assert stop in ("space", "evaluations")
    assert [e.design for e in searcher.told] == DESIGNS
    assert [e.number for e in searcher.told] == list(range(9))
    assert len({tuple(e.outcomes) for e in searcher.told}) == 1
    assert [e.score for e in searcher.told] == [0.0] * 4 + [1.0] * 5
    assert stored == searcher.told


def test_a_raced_design_is_left_once_it_is_surely_dominated(scripted: Make, tmp_path: Path) -> None:
    """Five good designs, then four that solve nothing: they meet those told before they began, and
    are left after 10 of 20 tasks; a run that a cap cut in two ends the same."""
    model = scripted(adds)
    order = [*DESIGNS[4:], *DESIGNS[:4]]
    whole = ListSearcher(order)
    stop, stored, _ = run(tmp_path / "one", whole, tasks=20, race=1)
    calls = len(model.seen)
    assert stop in ("space", "evaluations") and stored == whole.told
    assert [len(e.outcomes) for e in whole.told] == [20] * 5 + [10] * 4
    assert [e.n for e in whole.told] == [20] * 5 + [10] * 4, "the searcher is told how many"
    assert calls == 5 * 20 + 4 * 10
    assert run(tmp_path / "two", ListSearcher(order), tasks=20, race=1, calls=115)[0] == "calls"
    again = ListSearcher(order)
    run(tmp_path / "two", again, create=False, tasks=20, race=1)
    assert again.told == whole.told


def test_the_cap_on_evaluations_is_exact(scripted: Make, tmp_path: Path) -> None:
    """Five of nine."""
    scripted(adds)
    searcher = ListSearcher()
    stop, stored, _ = run(tmp_path / "run", searcher, evals=5)
    assert (stop, len(stored), searcher.asked) == ("evaluations", 5, 5)


def test_a_cap_on_calls_is_never_exceeded_and_keeps_what_was_measured(
    scripted: Make, tmp_path: Path
) -> None:
    """25 calls are two designs of ten and half of a third: two are told, 25 calls are made."""
    model = scripted(adds)
    searcher = ListSearcher()
    stop, stored, _ = run(tmp_path / "run", searcher, calls=25)
    assert stop == "calls"
    assert len(model.seen) <= 25
    assert len(stored) >= 1
    assert all(e.n == 10 for e in stored)


def test_resuming_pays_for_nothing_twice(scripted: Make, tmp_path: Path) -> None:
    """After a cap, a second run of the same folder asks the model only what is missing."""
    model = scripted(adds)
    run(tmp_path / "run", ListSearcher(), calls=25)
    paid = len(model.seen)
    searcher = ListSearcher()
    _, stored, _ = run(tmp_path / "run", searcher, create=False)
    assert len(stored) == 9
    assert len(model.seen) == 90, "nine designs, ten tasks, each call once over both runs"
    assert paid < 90
    assert [e.design for e in searcher.told] == DESIGNS


def test_the_front_is_settled_on_fresh_tasks_and_beats_the_baseline(
    scripted: Make, tmp_path: Path
) -> None:
    """Roles 1 to 4 are as bad as the baseline and stay out; of the equal rest the cheapest wins."""
    scripted(adds)
    _, _, front = run(tmp_path / "run", ListSearcher(), settle=True)
    able = {d.hash for d in DESIGNS[4:]}
    assert front and set(front) <= able
    with Store(tmp_path / "run", write=False) as store:
        assert len(store.outcomes(front[0], "dev")) == 20, "10 in the search, 10 fresh ones"
        assert len(store.outcomes(front[0], "test")) == 20
        assert len(store.outcomes(BASELINE.hash, "test")) == 20
        test_ids = {t.id for t in BENCHMARK.tasks("test")}
        assert set(store.outcomes(front[0], "test")) <= test_ids


def test_a_component_that_raises_fails_its_design_and_no_other(
    scripted: Make, tmp_path: Path
) -> None:
    """The failure is told as such, without a score; the other designs go on."""

    def script(request: Request) -> str:
        if "number 2 " in request.messages[0].content:
            raise RuntimeError("boom")
        return adds(request)

    scripted(script)
    searcher = ListSearcher()
    run(tmp_path / "run", searcher)
    broken = searcher.told[1]
    assert broken.score is None
    assert broken.failures == {"component": 10}
    assert [e.score for e in searcher.told if e is not broken] == [0.0] * 3 + [1.0] * 5


def test_a_component_that_cannot_be_built_fails_its_design_and_no_other(
    scripted: Make, tmp_path: Path
) -> None:
    """A plug-in whose `build` raises costs its own design only, and is no zero."""

    def build() -> object:
        raise RuntimeError("no such engine")

    scripted(adds)
    components.register(Component("unbuildable", "reasoning", "raises", build))
    broken = Design(Agent(Part("scripted"), Part("unbuildable")))
    searcher = ListSearcher((broken, DESIGNS[5]))
    try:
        run(tmp_path / "run", searcher)
    finally:
        components.unregister("unbuildable")
    assert (searcher.told[0].score, searcher.told[0].failures) == (None, {"component": 10})
    assert searcher.told[1].score == 1.0


@pytest.mark.parametrize("bad", [float("nan"), 7, "yes", None])
def test_a_scorer_outside_its_range_fails_the_task(
    scripted: Make, tmp_path: Path, bad: object
) -> None:
    """NaN, 7 or a text is no score and no zero."""
    from scripted import Straight

    from paragent.compile import compile_design
    from paragent.evaluate import evaluate_task

    scripted(adds)
    benchmark = ListBenchmark.of(
        "odd",
        [(f"{i}+1=", "1") for i in range(20)],
        lambda expected, given: bad,  # type: ignore
    )
    outcome = asyncio.run(
        evaluate_task(
            compile_design(DESIGNS[0]),
            benchmark,
            benchmark.tasks("dev")[0],
            Straight(),
            purpose="trial",
            seed=0,
        )
    )
    assert isinstance(outcome, Failed)
    assert outcome.kind == "scorer"


def evaluation(i: int, right: int, cost: float, n: int = 20, failed: int = 0) -> Evaluation:
    """`right` of `n` tasks solved at `cost` dollars each, `failed` further tasks failed."""
    outcomes: dict[str, Measured | Failed] = {
        f"t{k}": Measured(float(k < right), Usage(usd=cost)) for k in range(n)
    }
    outcomes |= {f"f{k}": Failed("server", "500") for k in range(failed)}
    return Evaluation(DESIGNS[i], "dev", "search-eval", outcomes)


def test_front_leaves_out_what_is_dominated_or_not_measurable() -> None:
    """Of (10, $1), (15, $2), (12, $3), and a perfect one that fails on half its tasks: two stay."""
    config = RunConfig()
    found = front_of(
        [
            evaluation(0, 10, 1.0),
            evaluation(1, 15, 2.0),
            evaluation(2, 12, 3.0),
            evaluation(3, 20, 0.5, failed=20),
        ],
        config,
    )
    assert [e.design for e in found] == DESIGNS[:2]


def test_of_exact_ties_the_simplest_stands_for_all() -> None:
    """A team that scores and costs just what its one member does is left out."""
    team = Design(Team(Part("vote"), (Agent(Part("scripted")), Agent(Part("scripted")))))
    twin = replace(evaluation(0, 10, 1.0), design=team)
    assert [e.design for e in front_of([twin, evaluation(0, 10, 1.0)], RunConfig())] == DESIGNS[:1]


def test_finalists_peel_front_after_front() -> None:
    """With room for three: the whole first front, then the best score of the second."""
    pool = [
        evaluation(0, 10, 1.0),
        evaluation(1, 15, 2.0),
        evaluation(2, 9, 1.5),
        evaluation(3, 14, 3.0),
    ]
    assert finalists(pool, RunConfig(finalists=3)) == [DESIGNS[1], DESIGNS[0], DESIGNS[3]]


def test_above_asks_for_more_than_noise() -> None:
    """11 of 20 against 10 of 20 is noise; 18 against 10 is not."""
    base = evaluation(0, 10, 1.0)
    assert not above(evaluation(1, 11, 1.0), base)
    assert above(evaluation(2, 18, 1.0), base)


def test_members_of_a_team_are_credited_with_what_they_said(
    scripted: Make,
) -> None:
    """A cascade whose first member is sure enough never asks the second: (True, None)."""
    from scripted import Straight

    from paragent.compile import compile_design
    from paragent.evaluate import evaluate_task

    scripted(lambda request: "Answer: 4", "sure")
    scripted(lambda request: "Answer: 5", "other")
    benchmark = ListBenchmark.of("sums", [(f"2+2 ({i})", "4") for i in range(9)])

    def measured(topology: Part) -> tuple[bool | None, ...]:
        members = tuple(Agent(Part(m), Part("direct")) for m in ("sure", "other"))
        system = compile_design(Design(Team(topology, members)))
        outcome = asyncio.run(
            evaluate_task(
                system,
                benchmark,
                benchmark.tasks("dev")[0],
                Straight(),
                purpose="search-eval",
                seed=0,
            )
        )
        assert isinstance(outcome, Measured)
        return outcome.members

    assert measured(Part.of("cascade", threshold=0.5, keep="last")) == (True, None)
    assert measured(Part.of("cascade", threshold=0.9, keep="last")) == (False, True)
