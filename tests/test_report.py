"""The report page, on a synthetic run: complete, honest, offline, and safe against any text."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from paragent.config import RunConfig
from paragent.design import Agent, Design, Node, Part, Team
from paragent.engine import front_of
from paragent.errors import ParagentError
from paragent.front_picture import front_picture
from paragent.outcome import (
    CostName,
    Evaluation,
    Failed,
    Measured,
    Outcome,
    Pruned,
    Purpose,
    Split,
    Usage,
)
from paragent.report import caveats, python_call, render, write_report
from paragent.report_data import (
    effects,
    failure_rows,
    progress,
    redacted,
    redacted_text,
    under_measured,
)
from paragent.run_view import Point, Spent
from paragent.runtime.secrets import BLOT

CONFIG = RunConfig(tasks=40, confirm=0, test_tasks=200)
SKILL = {"small": 0.35, "medium": 0.55, "large": 0.7}
PRICE = {"small": 1e-6, "medium": 8e-6, "large": 6e-5}
HOSTILE = "</script><script>alert('x')</script><img src=x onerror=alert(1)>\x1b[31m"


def random_design(rng: random.Random) -> Design:
    """A single agent, or a team of two or three, sometimes with a lead or a team inside."""

    def agent() -> Agent:
        reasoning = rng.choice(
            [Part("direct"), Part("chain_of_thought"), Part.of("self_consistency", n=5)]
        )
        tools = (Part("calculator"),) if rng.random() < 0.4 else ()
        memory = Part("lookup") if rng.random() < 0.3 else None
        return Agent(Part(rng.choice(list(SKILL))), reasoning, memory=memory, tools=tools)

    if rng.random() < 0.5:
        return Design(agent())
    members: list[Node] = [agent() for _ in range(rng.choice((2, 3)))]
    if rng.random() < 0.3:
        members[-1] = Team(Part.of("cascade", threshold=0.9), (agent(), agent()))
    if rng.random() < 0.3:
        return Design(Team(Part("orchestrator"), tuple(members), agent()))
    return Design(Team(Part("vote"), tuple(members)))


def measure(
    design: Design, split: Split, n: int, number: int = -1, purpose: Purpose = "search-eval"
) -> Evaluation:
    """Outcomes drawn from a made-up skill of the design's models; one design in ten breaks."""
    rng = random.Random(f"{design.hash}{split}")
    agents = [a for _, a in design.agents()]
    skill = sum(SKILL[a.model.name] for a in agents) / len(agents)
    skill += 0.1 * any(a.tools for a in agents) + 0.05 * (len(agents) - 1)
    calls = sum(5 if a.reasoning.name == "self_consistency" else 1 for a in agents)
    usd = sum(PRICE[a.model.name] for a in agents) * calls / len(agents)
    broken = int(design.hash, 16) % 10 == 0
    outcomes: dict[str, Outcome] = {}
    for i in range(n):
        usage = Usage(calls, 60 * calls, 25 * calls, usd * rng.uniform(0.8, 1.2), 0.02 * calls)
        if broken and rng.random() < 0.4:
            outcomes[f"{split}-{i}"] = Failed(rng.choice(["timeout", "empty"]), "late", usage)
        else:
            outcomes[f"{split}-{i}"] = Measured(float(rng.random() < skill), usage)
    return Evaluation(design, split, purpose, outcomes, number, "random")


@dataclass
class SyntheticRun:
    """A run of made-up designs with made-up skills; only for these tests."""

    evaluations: Sequence[Evaluation]
    points: Sequence[Point]
    baseline: Point | None
    spent: Spent
    path: Path = Path("synthetic")
    name: str = "synthetic"
    config: Mapping[str, Any] = field(default_factory=CONFIG.to_data)
    meta: Mapping[str, Any] = field(
        default_factory=lambda: {"version": "0.1.0", "command": "paragent search --seed 0"}
    )
    stopped_by: str = "evaluations"
    notes: Sequence[str] = ()

    @property
    def finals(self) -> Sequence[Evaluation]:
        """The test evaluations of the front."""
        return [p.test for p in self.points if p.test is not None]

    def front(self) -> Sequence[Point]:
        """The points given."""
        return self.points


def synthetic_run(seed: int = 0, designs: int = 60) -> SyntheticRun:
    """A seeded run: random designs, their front re-measured on test, the cheapest as baseline."""
    rng = random.Random(seed)
    chosen: dict[str, Design] = {}
    while len(chosen) < designs:
        design = random_design(rng)
        chosen.setdefault(design.hash, design)
    evaluations = [measure(d, "dev", 40, i) for i, d in enumerate(chosen.values())]
    first = evaluations[3]
    pruned: dict[str, Outcome] = {
        t: o if i < 8 else Pruned("racing") for i, (t, o) in enumerate(first.outcomes.items())
    }
    evaluations[3] = replace(first, outcomes=pruned)
    points = [
        Point(e.design, e, measure(e.design, "test", 200, purpose="final-eval"))
        for e in front_of(evaluations, CONFIG)
    ]
    plain = Design(Agent(Part("small")))
    base = Point(plain, measure(plain, "dev", 40), measure(plain, "test", 200))
    by_purpose: dict[str, dict[str, float | int | None]] = {
        "search-eval": {"usd": 0.08, "tokens": 900_000, "calls": 11_000},
        "final-eval": {"usd": 0.03, "tokens": 300_000, "calls": 4_000},
    }
    return SyntheticRun(evaluations, points, base, Spent(0.11, 1_200_000, 15_000, 97.0, by_purpose))


class Page(HTMLParser):
    """Tags in order, attributes by tag, visible text, and whether all tags are closed."""

    VOID = frozenset({"meta", "link", "br", "img", "input", "hr", "wbr"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str]] = []
        self.open: list[str] = []
        self.text = ""
        self.scripts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Count the tag and remember its attributes."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """SVG elements close themselves."""
        self.tags.append(tag)
        self.attributes += [(tag, name, value or "") for name, value in attrs]

    def handle_endtag(self, tag: str) -> None:
        """Every end must match the last open tag."""
        assert self.open and self.open[-1] == tag, (tag, self.open[-3:], self.getpos())
        self.open.pop()

    def handle_data(self, data: str) -> None:
        """Text, with scripts apart."""
        if self.open and self.open[-1] == "script":
            self.scripts.append(data)
        elif not self.open or self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def run() -> SyntheticRun:
    """One synthetic run for all tests that only read it."""
    return synthetic_run()


@pytest.fixture(scope="module")
def html(run: SyntheticRun) -> str:
    """Its page."""
    return render(run)


def figures(html: str) -> dict[str, Any]:
    """The figures' data as the page's script reads them."""
    found = re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.S)
    assert found
    loaded: dict[str, Any] = json.loads(found.group(1))
    return loaded


def test_html_is_well_formed_and_holds_every_front_design(run: SyntheticRun, html: str) -> None:
    """Tags nest and close; every front design is there by label, hash and drawing."""
    page = Page(html)
    assert page.open == []
    ids = {value for _, name, value in page.attributes if name == "id"}
    assert len(run.points) >= 3
    for point in run.points:
        assert point.design.label in page.text
        assert f"d-{point.design.hash}" in ids
    assert page.tags.count("svg") == len(run.points) + 1  # and the baseline
    anchors = {value[1:] for tag, name, value in page.attributes if (tag, name) == ("a", "href")}
    assert anchors <= ids


def test_nothing_is_loaded_from_elsewhere(html: str) -> None:
    """The page names no address at all; its one file stands beside it."""
    assert "http://" not in html and "https://" not in html
    sources = [v for _, name, v in Page(html).attributes if name in ("src", "srcset", "data")]
    assert sources == ["plotly.min.js"]


def test_no_button_uploads_the_data(html: str) -> None:
    """Plotly's default buttons hold one that sends the figure to a server; ours are named."""
    script = Page(html).scripts[-1]
    assert 'modeBarButtons: [["zoom2d", "pan2d", "resetScale2d", "toImage"]]' in script
    assert 'plotlyServerURL: ""' in script


def test_folder_is_complete_and_the_same_each_time(run: SyntheticRun, tmp_path: Path) -> None:
    """Three files; plotly's is whole, the page is small, and a second writing gives equal bytes."""
    index = write_report(run, tmp_path / "deep" / "report")
    assert sorted(p.name for p in index.parent.iterdir()) == [
        "front.svg",
        "index.html",
        "plotly.min.js",
    ]
    assert (index.parent / "plotly.min.js").stat().st_size > 1_000_000
    assert 30_000 < index.stat().st_size < 600_000
    assert write_report(run, tmp_path / "again").read_bytes() == index.read_bytes()


def test_the_picture_of_the_front_marks_what_was_found(run: SyntheticRun) -> None:
    """One dot per front design and per measured one, labels escaped, well-formed; an empty run
    says so."""
    from xml.etree import ElementTree

    hostile = hostile_run(run)
    text = front_picture(hostile)
    ElementTree.fromstring(text)
    assert text.count('class="found"') == len(hostile.front()) == 1
    assert "<script" not in text
    empty = replace(run, evaluations=[], points=[], baseline=None)
    assert "no design has both" in front_picture(empty)


def test_a_folder_that_cannot_be_made_is_one_clear_line(run: SyntheticRun, tmp_path: Path) -> None:
    """A file in the folder's place gives a ParagentError that names it."""
    (tmp_path / "report").write_text("in the way")
    with pytest.raises(ParagentError, match="cannot write the report"):
        write_report(run, tmp_path / "report")


def hostile_run(run: SyntheticRun) -> SyntheticRun:
    """The run with hostile text in every place where a user's text can stand."""
    nasty = Design(Agent(Part(HOSTILE), Part(HOSTILE), role=HOSTILE))
    ok: dict[str, Outcome] = {f"t{i}": Measured(1.0, Usage(1, 1, 1, 1e-9, 0.1)) for i in range(40)}
    bad: dict[str, Outcome] = {"t0": Failed(HOSTILE, HOSTILE)}
    point = Point(nasty, Evaluation(nasty, "dev", "search-eval", ok, 0, HOSTILE))
    broken = Evaluation(nasty, "dev", "search-eval", bad, 1, HOSTILE)
    return replace(
        run,
        evaluations=[point.dev, broken, *run.evaluations],
        points=[point],
        name=HOSTILE,
        notes=[HOSTILE],
        meta={"version": HOSTILE, "command": HOSTILE, HOSTILE: HOSTILE},
        config={**run.config, "benchmark": HOSTILE},
        stopped_by=HOSTILE,
        spent=Spent(None, 1, 1, 1.0, {HOSTILE: {"usd": None, "tokens": 5, "calls": 1}}),
    )


def test_hostile_text_stays_text(run: SyntheticRun, html: str) -> None:
    """Labels, roles, notes and messages add no element, no attribute, no end of a script."""
    page = Page(render(hostile_run(run)))
    assert page.open == []
    assert "img" not in page.tags
    assert page.tags.count("script") == Page(html).tags.count("script")
    assert not [name for _, name, _ in page.attributes if name.startswith("on")]
    assert "<script>alert('x')</script>" in page.text
    # plotly reads a little HTML: what it gets must be escaped once more
    for figure in figures(render(hostile_run(run))).values():
        assert "<script" not in json.dumps(figure) and "<img" not in json.dumps(figure)


def test_figures_show_what_was_measured(run: SyntheticRun, html: str) -> None:
    """Front, baseline and evaluations are in the Pareto figure at score and cost per 1,000."""
    traces = {t["name"]: t for t in figures(html)["pareto"]["data"]}
    test = traces["front, test score"]
    tests = [p.test for p in run.points]
    assert test["y"] == [e.score for e in tests if e]
    assert test["x"] == pytest.approx([1000 * (e.usd_per_task or 0) for e in tests if e])
    assert traces["baseline, test"]["y"] == [run.baseline and run.baseline.test.score]  # type: ignore[union-attr]
    assert len(traces["evaluated in the search (dev)"]["x"]) == sum(
        e.score is not None for e in run.evaluations
    )
    first = run.points[0].test
    assert first is not None
    interval = first.interval()
    assert interval is not None and first.score is not None
    assert test["error_y"]["array"][0] == pytest.approx(interval.high - first.score)
    assert f"{first.score:.3f} [{interval.low:.3f}" in test["hovertext"][0]


def test_unknown_costs_are_not_drawn_and_are_named(run: SyntheticRun) -> None:
    """A design without a price is on no axis, but is listed as under-measured."""
    e = run.evaluations[5]
    unpriced = replace(
        e,
        outcomes={
            t: replace(o, usage=replace(o.usage, usd=None)) if isinstance(o, Measured) else o
            for t, o in e.outcomes.items()
        },
    )
    changed = replace(run, evaluations=[*run.evaluations[:5], unpriced, *run.evaluations[6:]])
    html = render(changed)
    drawn = figures(html)["pareto"]["data"][0]
    assert e.design.hash not in drawn["customdata"]
    assert "its cost is unknown" in html


def test_progress_by_hand(run: SyntheticRun) -> None:
    """Best so far never falls and skips what cannot be on a front; so does the hypervolume."""
    found = progress(run.evaluations, CONFIG)
    usable = [
        e.score if e.n >= 0.8 * 40 and e.failure_share <= CONFIG.failure_limit else None
        for e in run.evaluations
    ]
    best = None
    for seen, score in zip(found.best, usable, strict=True):
        best = score if best is None else max(best, score) if score is not None else best
        assert seen == best
    assert list(found.volumes) == sorted(found.volumes) and 0 < found.volumes[-1] < 1


def effect_evaluations() -> Iterator[Evaluation]:
    """Four single agents: two with a calculator at .75, two without at .5 and .25."""
    for number, (right, tools) in enumerate(
        [(3, (Part("calculator"),)), (3, (Part("calculator"),)), (2, ()), (1, ())]
    ):
        design = Design(Agent(Part("m"), role=str(number), tools=tools))
        outcomes: dict[str, Outcome] = {
            str(i): Measured(float(i < right), Usage(1, 1, 1, 1e-6, 0.1)) for i in range(4)
        }
        yield Evaluation(design, "dev", "search-eval", outcomes, number)


def test_effects_by_hand() -> None:
    """With the calculator .75, without .375: a gap of .375 over two designs a side."""
    evaluations = list(effect_evaluations())
    (effect,) = effects([*evaluations, evaluations[0]], CONFIG)  # told twice, counted once
    assert (effect.slot, effect.name) == ("tools", "calculator")
    assert (effect.n_with, effect.n_without, effect.gap) == (2, 2, 0.375)
    assert effect.interval is not None and effect.interval.low < 0.375 < effect.interval.high


def test_effects_are_labelled_as_observations(html: str) -> None:
    """The page says that a difference is no cause, beside the numbers."""
    assert "Observed, not causal." in Page(html).text


def test_failures_by_kind_by_hand() -> None:
    """Three failures of two kinds on two designs."""
    design, other = Design(Agent(Part("a"))), Design(Agent(Part("b")))
    one = Evaluation(design, "dev", "search-eval", {"1": Failed("timeout", "late"),
                                                    "2": Failed("empty", "no text")})  # fmt: skip
    two = Evaluation(other, "dev", "search-eval", {"1": Failed("timeout", "later")})
    assert [(r.kind, r.tasks, r.designs, r.example) for r in failure_rows([one, two])] == [
        ("timeout", 2, 2, "late"),
        ("empty", 1, 1, "no text"),
    ]


def test_under_measured_designs_say_why(run: SyntheticRun) -> None:
    """The pruned design and the failing ones are listed, and no others."""
    weak = {w.evaluation.design.hash: w.why for w in under_measured(run.evaluations, CONFIG)}
    assert "tasks measured where others have 40" in weak[run.evaluations[3].design.hash]
    failing = {e.design.hash for e in run.evaluations if e.failure_share > CONFIG.failure_limit}
    assert failing and failing < set(weak)


def test_caveats_are_about_this_run(run: SyntheticRun) -> None:
    """A dominated design, an untested one and excluded ones are counted in words."""
    text = " ".join(caveats(run, CONFIG))
    excluded = sum(e.failure_share > CONFIG.failure_limit for e in run.evaluations)
    assert f"{excluded} of 60 evaluations could not enter the front" in text
    untested = replace(run, points=[replace(p, test=None) for p in run.points])
    assert f"{len(run.points)} of {len(run.points)} front designs have no test score" in " ".join(
        caveats(untested, CONFIG)
    )
    first, last = run.points[0], run.points[-1]
    swapped = replace(run, points=[replace(first, test=last.test), replace(last, test=first.test)])
    assert "dominated" not in " ".join(caveats(swapped, CONFIG))
    worse = replace(run, points=[first, replace(last, test=measure(first.design, "test", 150))])
    costly = replace(worse, points=[*worse.points, replace(last, test=None)])
    assert "1 of 3 front designs have no test score" in " ".join(caveats(costly, CONFIG))


@pytest.mark.parametrize("empty", ["front", "evaluations"])
def test_a_run_with_nothing_to_show_is_still_a_page(run: SyntheticRun, empty: str) -> None:
    """No front, or no evaluation at all: a page that says so."""
    bare = replace(run, points=[], baseline=None)
    if empty == "evaluations":
        bare = replace(bare, evaluations=[], spent=Spent(None, 0, 0, 0.0, {}), meta={}, config={})
    page = Page(render(bare))
    assert "No design could be measured" in page.text


def test_a_test_split_that_failed_whole_is_no_score(run: SyntheticRun) -> None:
    """Where every test task failed, the page falls back to dev and says so."""
    dead: dict[str, Outcome] = {"test-0": Failed("server", "down")}
    points = [replace(p, test=Evaluation(p.design, "test", "final-eval", dead)) for p in run.points]
    html = render(replace(run, points=points))
    assert "dev tasks (test was not measured)" in html
    assert f"{len(points)} of {len(points)} front designs have no test score" in html


@pytest.mark.parametrize("cost", ["tokens", "calls", "latency"])
def test_other_costs_have_their_own_axis(run: SyntheticRun, cost: CostName) -> None:
    """The Pareto figure stands on the cost that the run was asked to lower."""
    html = render(replace(run, config={**run.config, "cost": cost}))
    pareto = figures(html)["pareto"]
    assert "US$" not in pareto["layout"]["xaxis"]["title"]["text"]
    first = run.points[0].test
    assert first is not None
    assert pareto["data"][3]["x"][0] == pytest.approx(first.cost(cost))


def priced(evaluation: Evaluation, usd: float) -> Evaluation:
    """The evaluation at another price per task."""
    outcomes = {
        t: replace(o, usage=replace(o.usage, usd=usd)) if isinstance(o, Measured) else o
        for t, o in evaluation.outcomes.items()
    }
    return replace(evaluation, outcomes=outcomes)


def test_free_designs_are_drawn_and_explained(run: SyntheticRun) -> None:
    """One free design stands a decade left; where all are free the page says what that means."""
    one = replace(run, evaluations=[priced(run.evaluations[0], 0.0), *run.evaluations[1:]])
    html = render(one)
    xs = figures(html)["pareto"]["data"][0]["x"]
    assert "1 designs cost 0" in html
    assert xs[0] == pytest.approx(min(xs[1:]) / 10, rel=0.5)
    every = replace(
        run,
        evaluations=[priced(e, 0.0) for e in run.evaluations],
        points=[Point(p.design, priced(p.dev, 0.0)) for p in run.points],
        baseline=None,
    )
    assert "Every design costs 0" in render(every)
    assert "Hypervolume over evaluations" not in render(every)


def test_python_call_repeats_the_settings() -> None:
    """The call shown, executed with a stand-in for the package, gives the settings back."""
    config = RunConfig(evals=7, seed=3, usd=0.5, models=("a", "b"), options={"c": 1.0})
    seen: dict[str, Any] = {}

    class Package:
        @staticmethod
        def optimize(**settings: Any) -> None:
            seen.update(settings)

    code = python_call(config).replace("import paragent\n", "")
    exec(code, {"paragent": Package})
    assert RunConfig.from_data(seen) == config


def test_no_secret_is_written(run: SyntheticRun, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys in the command, in messages, in settings and in the environment stay out."""
    monkeypatch.setenv("MY_PROVIDER_KEY", "plainlooking123456")
    leaky = replace(
        run,
        meta={"command": "paragent search --header 'Bearer abc.def.ghi' --k sk-abcdef123456"},
        notes=["tried http://user:pa55word@host/v1 with plainlooking123456"],
        config={**run.config, "options": {"api_key": "zzz-unguessable"}},
    )
    html = render(leaky)
    for secret in ("abc.def.ghi", "sk-abcdef", "pa55word", "plainlooking", "zzz-unguessable"):
        assert secret not in html
    assert BLOT in html


def test_redaction_leaves_ordinary_words() -> None:
    """Token counts, model names and tasks are not secrets."""
    plain = {"tokens": 5, "max_tokens": 9, "model": "sk-8b", "text": "a task of skill", "key": "k"}
    assert redacted(plain) == plain
    assert redacted_text("the bearer of news") == "the bearer of news"


def test_redaction_by_hand() -> None:
    """What follows a secret's name goes, the name itself stays."""
    assert redacted_text("?api_key=abc123def&x=1") == f"?api_key={BLOT}&x=1"
    assert redacted_text("https://me:word@host") == f"https://{BLOT}@host"


def test_points_in_one_place_share_a_label(run: SyntheticRun) -> None:
    """Two designs of the same score and cost are labelled `1, 2`, not one over the other."""
    first = run.points[0]
    assert first.test is not None
    twin_design = Design(Agent(Part("twin")))
    twin = Point(
        twin_design, replace(first.dev, design=twin_design), replace(first.test, design=twin_design)
    )
    html = render(replace(run, points=[first, twin, *run.points[1:]]))
    assert figures(html)["pareto"]["data"][3]["text"][:3] == [" 1, 2", "", " 3"]
