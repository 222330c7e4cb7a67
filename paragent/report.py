"""A run as a folder of HTML: `index.html` and `plotly.min.js`, readable offline, for ever.

Everything stands in tables too, so a page without JavaScript loses only the figures. Texts from
users (labels, roles, messages) are escaped by the template or the figure that shows them, and what
looks like a secret is left out before anything is written.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paragent.config import RunConfig
from paragent.draw import design_svg
from paragent.engine import measurable
from paragent.errors import ParagentError
from paragent.front_picture import front_picture
from paragent.luck import luck_text
from paragent.outcome import CostName, Evaluation
from paragent.pareto import non_dominated
from paragent.report_data import (
    Effect,
    effects,
    failure_rows,
    one_per_design,
    progress,
    redacted,
    redacted_page,
    redacted_text,
    under_measured,
)
from paragent.report_figures import (
    Figure,
    effects_figure,
    interval_figure,
    pareto_figure,
    progress_figure,
    spend_figure,
    volume_figure,
)
from paragent.report_value import value_figures, value_section
from paragent.run_view import Point, RunView, Spent, against, picks
from paragent.show import UNKNOWN, Row, money, p_text, printable, rows, seconds
from paragent.stats import Paired, holm

if TYPE_CHECKING:
    from markupsafe import Markup

#: Rows of the table of all evaluations; beyond this the page would be slow on a phone.
MOST_ROWS = 500


def write_report(run: RunView, folder: Path) -> Path:
    """Write the report into `folder` (made if needed) and return its `index.html`.

    Beside it: the plotting library, and the front as a picture (`front.svg`).

    The same run gives the same bytes. Raises ParagentError where the folder cannot be written.
    """
    from plotly.offline import get_plotlyjs

    page = render(run)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "plotly.min.js").write_text(get_plotlyjs(), encoding="utf-8")
        (folder / "index.html").write_text(page, encoding="utf-8")
        (folder / "front.svg").write_text(redacted_page(front_picture(run)), encoding="utf-8")
    except OSError as error:
        raise ParagentError(
            f"{folder}: cannot write the report: {error.strerror or error}"
        ) from None
    return folder / "index.html"


def render(run: RunView) -> str:
    """The page as one text; it loads `plotly.min.js` from its own folder and nothing else."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("paragent"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["soft"] = soft
    page = environment.get_template("report.html.j2").render(_context(run))
    return redacted_page(page)


def soft(label: str) -> Markup:
    """The label escaped, with places where a narrow column may break it."""
    from markupsafe import Markup, escape

    return Markup("<wbr>").join(escape(piece) for piece in re.split(r"(?<=[+·_\[])", label))


def _context(run: RunView) -> dict[str, Any]:
    config = _settings(run)
    front = list(run.front())
    names = [str(i + 1) for i in range(len(front))]
    named = list(zip(names, front, strict=True))
    base = run.baseline
    on_front = base is not None and any(p.design == base.design for p in front)
    shown_points = named if base is None or on_front else [("baseline", base), *named]
    versus = _against_all(front, base)
    beaten = _beaten_on_test(front, config)
    table = [_table_row(row, names, versus, beaten) for row in enumerate(rows(run))]
    found = progress(run.evaluations, config)
    effect_rows = effects(run.evaluations, config)
    spend = _spend(run.spent)
    figures = {
        "pareto": pareto_figure(run.evaluations, named, base, config.cost),
        "intervals": interval_figure(shown_points),
        "progress": progress_figure(run.evaluations, found),
    }
    if found.volumes:
        figures["volume"] = volume_figure(found)
    if any(e.interval for e in effect_rows):
        figures["effects"] = effects_figure(effect_rows)
    if spend:
        figures["spend"] = spend_figure([(s["purpose"], s["bar"]) for s in spend], spend[0]["unit"])
    pruning = getattr(run, "pruning", None)  # other tools' runs have no value model
    value = value_section(pruning, config.cost)
    if value and pruning:
        figures.update(value_figures(pruning))
    return {
        "run": run,
        "value": value,
        "config": redacted(dict(run.config)),
        "meta": redacted(dict(run.meta)),
        "command": redacted_text(_command(str(run.meta.get("command", "")))),
        "notes": [redacted_text(note) for note in run.notes],
        "free": free_note(run.evaluations, config.cost),
        "has_volume": bool(found.volumes),
        "call": redacted_text(python_call(config)),
        "hero": _hero(front, base, config),
        "tiles": _tiles(run, front),
        "table": table,
        "designs": [_design(name, p, row) for (name, p), row in zip(named, table, strict=False)],
        "baseline_card": None if base is None or on_front else _design("baseline", base, table[-1]),
        "effects": [_effect(e) for e in effect_rows],
        "spend": spend,
        "spent": _spent(run.spent),
        "failures": failure_rows([*run.evaluations, *run.finals]),
        "weak": [
            {"label": printable(w.evaluation.design.label), "hash": w.evaluation.design.hash,
             "why": w.why, "failures": _counts(w.evaluation.failures)}
            for w in under_measured(run.evaluations, config)
        ],
        "caveats": caveats(run, config),
        "evaluations": [_evaluation(i, e, config) for i, e in enumerate(run.evaluations)][
            :MOST_ROWS
        ],
        "total_evaluations": len(run.evaluations),
        "figures": _script_json(figures),
    }  # fmt: skip


def _settings(run: RunView) -> RunConfig:
    """The run's settings; keys of other versions are left out, so that old runs still show."""
    known = {f.name for f in fields(RunConfig)}
    return RunConfig.from_data({k: v for k, v in run.config.items() if k in known})


def free_note(evaluations: Sequence[Evaluation], cost: CostName) -> str:
    """How to read a log axis on which some designs cost nothing; empty where none does."""
    costs = [c for e in evaluations if (c := e.cost(cost)) is not None]
    free = sum(c == 0 for c in costs)
    if not free:
        return ""
    if free == len(costs):
        return (
            "Every design costs 0, so left and right mean nothing here: all prices are 0. "
            "Another run may count tokens, calls or latency as the cost."
        )
    return f"{free} designs cost 0: they stand a decade left of the cheapest that costs anything."


def _command(told: str) -> str:
    """The command as a user types it, also where the run was started as a module."""
    return re.sub(r"^(cli|__main__)\.py\b", "paragent", told)


def _script_json(figures: dict[str, Figure]) -> str:
    """JSON that may stand in a <script> element: no text can end it."""
    text = json.dumps(figures, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _against_all(front: Sequence[Point], base: Point | None) -> list[tuple[Paired, float] | None]:
    """Each front design against the baseline on common test tasks, with Holm's p over all."""
    found = [against(point, base) for point in front]
    adjusted = iter(holm([p.p_value for p in found if p is not None]))
    return [None if p is None else (p, next(adjusted)) for p in found]


def _table_row(
    numbered: tuple[int, Row],
    names: Sequence[str],
    versus: Sequence[tuple[Paired, float] | None],
    beaten: Sequence[int],
) -> dict[str, Any]:
    i, row = numbered
    pair = versus[i] if i < len(versus) else None
    gain = p_value = ""
    if pair is not None:
        paired, p = pair
        gain = f"{paired.mean:+.3f} [{paired.low:+.3f}, {paired.high:+.3f}]"
        p_value = p_text(p)
    return {
        "name": names[i] if i < len(names) else "",
        "row": row,
        "gain": gain,
        "p": p_value,
        "beaten": i in beaten,
    }


def _hero(front: Sequence[Point], base: Point | None, config: RunConfig) -> str:
    """The result in one or two sentences."""
    if not front:
        return "No design could be measured, so there is no front."
    best = front[picks(front, config.cost)["best"]]
    shown = best.best_known
    interval = shown.interval()
    if shown.score is None or interval is None:
        return "No design could be measured, so there is no front."
    tasks = "unseen test tasks" if shown.split == "test" else "dev tasks (test was not measured)"
    usd = shown.usd_per_task
    price = "at unknown cost" if usd is None else f"at {money(usd * 1000)} per 1,000 tasks"
    text = (
        f"The best design scores {shown.score:.3f} [{interval.low:.3f}, {interval.high:.3f}] on "
        f"{shown.n} {tasks}, {price}."
    )
    paired = against(best, base)
    if paired is None or base is None or base.test is None or base.test.score is None:
        return text
    sure = "" if paired.p_value < 0.05 else " That is not a significant difference."
    return (
        f"{text} The baseline, the cheapest model answering directly, scores "
        f"{base.test.score:.3f}: a difference of {paired.mean:+.3f} "
        f"[{paired.low:+.3f}, {paired.high:+.3f}], {p_text(paired.p_value)}.{sure}"
    )


def _tiles(run: RunView, front: Sequence[Point]) -> list[tuple[str, str]]:
    measured = len(one_per_design(run.evaluations))
    return [
        ("designs measured", f"{measured:,}"),
        ("on the front", str(len(front))),
        ("spent by the search", UNKNOWN if run.spent.usd is None else money(run.spent.usd)),
        ("tokens", f"{run.spent.tokens:,}"),
        ("time", seconds(run.spent.seconds)),
        ("ended by", run.stopped_by or "still running"),
    ]


def _design(name: str, point: Point, row: dict[str, Any]) -> dict[str, Any]:
    svg = design_svg(point.design)
    width = float(svg.partition(' width="')[2].partition('"')[0])
    return {
        "name": name,
        "hash": point.design.hash,
        "label": printable(point.design.label),
        "svg": svg,
        "width": width,
        "wide": width > 470,
        "yaml": redacted_text(point.design.to_yaml()),
        "depth": point.design.depth,
        "agents": sum(1 for _ in point.design.agents()),
        "row": row["row"],
        "gain": row["gain"],
        "p": row["p"],
        "dev_n": point.dev.n,
        "test_n": point.test.n if point.test else 0,
        "failures": _counts(point.best_known.failures),
    }


def _effect(effect: Effect) -> dict[str, Any]:
    def mean(value: float | None) -> str:
        return UNKNOWN if value is None else f"{value:.3f}"

    interval = effect.interval
    return {
        "slot": effect.slot,
        "name": printable(effect.name),
        "with": f"{mean(effect.mean_with)} (n = {effect.n_with})",
        "without": f"{mean(effect.mean_without)} (n = {effect.n_without})",
        "gap": UNKNOWN if effect.gap is None else f"{effect.gap:+.3f}",
        "interval": f"[{interval.low:+.3f}, {interval.high:+.3f}]" if interval else "too few",
    }


def _counts(failures: dict[str, int]) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in failures.items())


def _spend(spent: Spent) -> list[dict[str, Any]]:
    """One row a purpose, largest first: in dollars where all are known and some paid."""
    dollars = [used.get("usd") for used in spent.by_purpose.values()]
    in_dollars = all(d is not None for d in dollars) and any(dollars)
    out = []
    for purpose, used in spent.by_purpose.items():
        usd, tokens = used.get("usd"), used.get("tokens") or 0
        out.append(
            {
                "purpose": purpose,
                "usd": money(usd),
                "tokens": f"{tokens:,}",
                "calls": f"{used.get('calls') or 0:,}",
                "bar": (usd or 0.0) if in_dollars else tokens,
                "unit": "US$" if in_dollars else "tokens",
            }
        )
    return sorted(out, key=lambda row: (-row["bar"], row["purpose"]))


def _spent(spent: Spent) -> dict[str, str]:
    return {
        "usd": money(spent.usd),
        "tokens": f"{spent.tokens:,}",
        "calls": f"{spent.calls:,}",
        "seconds": seconds(spent.seconds),
    }


def _evaluation(i: int, e: Evaluation, config: RunConfig) -> dict[str, Any]:
    interval = e.interval()
    usd = e.usd_per_task
    return {
        "number": i + 1,
        "label": printable(e.design.label),
        "hash": e.design.hash,
        "by": printable(e.by),
        "score": UNKNOWN if e.score is None else f"{e.score:.3f}",
        "interval": f"[{interval.low:.3f}, {interval.high:.3f}]" if interval else "",
        "n": e.n,
        "cost": money(None if usd is None else usd * 1000),
        "failures": _counts(e.failures),
        "usable": measurable(e, config),
    }


def caveats(run: RunView, config: RunConfig) -> list[str]:
    """What a reader must know before believing the page; each is about this run."""
    front = list(run.front())
    able = [e for e in run.evaluations if measurable(e, config)]
    out = []
    if able:
        out.append(
            f"Dev scores are optimistic: the search chose among {len(one_per_design(able))} "
            "designs by them, so the best are partly lucky. Believe the test scores: those tasks "
            "were never shown to the search."
        )
    luck = getattr(run, "luck", None)  # other tools' runs do not know
    if luck:
        out.append(luck_text(luck))
    untested = [p for p in front if p.test is None or p.test.n == 0]
    if untested:
        out.append(f"{len(untested)} of {len(front)} front designs have no test score.")
    beaten = _beaten_on_test(front, config)
    if beaten:
        out.append(
            "The front was chosen on dev tasks. On test, "
            + ("design " if len(beaten) == 1 else "designs ")
            + ", ".join(str(i + 1) for i in beaten)
            + (" is" if len(beaten) == 1 else " are")
            + " dominated by another front design; that may be chance, see the intervals."
        )
    left_out = [e for e in run.evaluations if not measurable(e, config)]
    if left_out:
        unpriced = sum(e.n > 0 and e.cost(config.cost) is None for e in left_out)
        failing = sum(e.failure_share > config.failure_limit for e in left_out)
        reasons = [
            f"{count} {why}"
            for count, why in (
                (failing, f"failed on more than {config.failure_limit:.0%} of their tasks"),
                (unpriced, "have no known cost"),
                (sum(not e.n and not e.failed for e in left_out), "have no measured task"),
            )
            if count
        ]
        out.append(
            f"{len(left_out)} of {len(run.evaluations)} evaluations could not enter the front: "
            f"{', '.join(reasons)}. A failure is not counted as a wrong answer."
        )
    out.append(
        "Intervals are 95% and cover the choice of tasks, not other seeds of the search or of the "
        "models. p-values against the baseline are paired by task and, in the table, adjusted for "
        "the number of front designs (Holm)."
    )
    out.append(
        "Cost is what a design would pay per task without any cache; latency is model time on the "
        "machine of this run, without waiting for rate limits."
    )
    return out


def _beaten_on_test(front: Sequence[Point], config: RunConfig) -> list[int]:
    """Indices of front designs that another front design dominates on the test split."""
    known = [
        (i, (p.test.cost(config.cost) or 0.0, -p.test.score))
        for i, p in enumerate(front)
        if p.test is not None and p.test.score is not None and p.test.cost(config.cost) is not None
    ]
    kept = {known[k][0] for k in non_dominated([pair for _, pair in known])}
    return [i for i, _ in known if i not in kept]


def python_call(config: RunConfig) -> str:
    """The Python call that repeats the run: what differs from the defaults, and the seed."""
    given = {}
    for f in fields(RunConfig):
        value = getattr(config, f.name)
        default = {} if f.name == "options" else f.default
        if f.name in ("benchmark", "searcher", "evals", "seed") or value != default:
            given[f.name] = value
    inner = ",\n".join(f"    {name}={value!r}" for name, value in given.items())
    return f"import paragent\n\nrun = paragent.optimize(\n{inner},\n)"
