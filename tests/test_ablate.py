"""The ablation: controls, verdicts, what cannot be measured, and recorded answers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from real_data import real_data
from scripted import ScriptedModel

from paragent.benchmark import ListBenchmark, Task
from paragent.cli import main
from paragent.component import Component, Context
from paragent.design import Agent, Design, Part, Team
from paragent.lab import ablate as command
from paragent.lab import ablation_page, effects
from paragent.lab.ablate import ablate
from paragent.lab.ablate_replay import maker, replay, same_model
from paragent.lab.ablation_cases import Case, Plan, Unmeasured, owned
from paragent.outcome import Evaluation, Failed, Measured, Outcome, Usage
from paragent.registry import components
from paragent.runtime.model import Completion, Request

Make = Callable[..., ScriptedModel]


def evaluation(scores: list[float], usd: float | None = 1e-6, calls: int = 1) -> Evaluation:
    """Scores of tasks t0, t1, ..., each at the same price."""
    outcomes: dict[str, Outcome] = {
        f"t{i}": Measured(s, Usage(calls, 10 * calls, 5, usd, 0.5)) for i, s in enumerate(scores)
    }
    return Evaluation(Design(Agent(Part("pocket-s"))), "dev", "final-eval", outcomes)


def test_a_comparison_by_hand() -> None:
    """1 1 1 0 against 1 0 0 0 at twice the price: +0.5, one more call, exact p of two wins."""
    row = effects.compare(evaluation([1, 1, 1, 0], 2e-6, 2), evaluation([1, 0, 0, 0]))
    assert (row["n"], row["score"], row["control_score"], row["difference"]) == (4, 0.75, 0.25, 0.5)
    assert row["p"] == pytest.approx(0.5)
    assert (row["extra_calls"], row["extra_tokens"]) == (1.0, 10.0)
    assert row["cost_ratio"] == pytest.approx(2.0)
    assert row["extra_usd_per_1000"] == pytest.approx(0.001)
    assert row["p_cost"] == pytest.approx(2**-3), "four differences of one sign"


def test_unknown_prices_compare_tokens_and_failures_leave_pairs() -> None:
    """No dollars are invented; a task that failed on one side counts on neither."""
    one = evaluation([1, 1, 0], None)
    outcomes = {**one.outcomes, "t0": Failed("timeout", "slow")}
    two = Evaluation(one.design, "dev", "final-eval", outcomes)
    row = effects.compare(two, evaluation([0] * 3))
    assert row["n"] == 2 and row["failed"] == 1
    assert row["extra_usd_per_1000"] is None
    assert row["cost_ratio"] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("difference", "p", "ratio", "p_cost", "words"),
    [
        (0.1, 0.01, 2.0, 0.01, "raises the score; costs 2 times as much"),
        (-0.1, 0.01, 0.5, 0.01, "lowers the score; saves 50 % of the cost"),
        (0.1, 0.5, 1.1, 0.5, "no effect on the score shown; no difference in cost shown"),
        (0.0, 1.0, None, 0.01, "no effect on the score shown; no difference in cost shown"),
    ],
)
def test_verdicts(
    difference: float, p: float, ratio: float | None, p_cost: float, words: str
) -> None:
    """An effect is what survives Holm's correction, nothing else."""
    row = {"difference": difference, "p_holm": p, "cost_ratio": ratio, "p_cost_holm": p_cost}
    assert effects.verdict(row) == words


def test_holm_over_the_whole_table() -> None:
    """P of .02, .03 and .9 become .06, .06 and .9: none is called an effect."""
    rows = [
        {"p": p, "p_cost": 1.0, "difference": 0.1, "cost_ratio": 1.0} for p in (0.02, 0.03, 0.9)
    ]
    effects.judge(rows)
    assert [r["p_holm"] for r in rows] == pytest.approx([0.06, 0.06, 0.9])
    assert all(str(r["verdict"]).startswith("no effect") for r in rows)


def test_skills_go_to_who_is_best_at_them_alone() -> None:
    """B is better at lists, a at the rest; ties go to the first."""
    tasks = [Task("t0", "q", "x", {"family": "sums"}), Task("t1", "q", "x", {"family": "lists"})]
    alone = {"a": evaluation([1, 0]), "b": evaluation([1, 1])}
    assert owned(alone, tasks, ("sums", "lists")) == {"sums": "a", "lists": "b"}


def plan() -> Plan:
    """The plan over the four pocket models, members' scores made up."""
    models = ("pocket-s", "pocket-s-math", "pocket-s-text", "pocket-m")
    alone = {m: evaluation([0, i > 0]) for i, m in enumerate(models)}
    tasks = [Task("t0", "q", "x", {"f": "sums"}), Task("t1", "q", "x", {"f": "arithmetic"})]
    context = Context(("a note",), (), ("sums", "arithmetic"), (("1+1", "sums"),))
    return Plan(models, context, alone, tasks)


def test_every_component_has_a_row() -> None:
    """Nothing that is registered is left out; what cannot run says what it requires."""
    found = plan().cases()
    kinds = ("reasoning", "planning", "memory", "tool", "guard", "topology", "subagent")
    names = {c.name for c in components if c.kind in kinds and c.name != "direct"}
    assert {c.component.name for c in found} == names
    why = {u.component.name: u.why for u in found if isinstance(u, Unmeasured)}
    assert why["debate"] == "requires instruct, which neither these models nor the tasks give"
    assert "retry" not in why, "it runs, and is measured though no search is offered it here"
    assert why["few_shot"] == "requires examples, which neither these models nor the tasks give"


def test_parts_are_measured_against_the_same_agent_without_them() -> None:
    """The calculator needs steps, so its only control thinks step by step; lookup has two hosts;
    decomposition is measured on its family too."""
    (calculator,) = plan().cases(["calculator"])
    assert isinstance(calculator, Case)
    root = calculator.design.root
    assert isinstance(root, Agent) and [t.name for t in root.tools] == ["calculator"]
    assert calculator.controls == (Design(Agent(Part("pocket-s"), Part("chain_of_thought"))),)
    lookups = [c for c in plan().cases(["lookup"]) if isinstance(c, Case)]
    assert [c.against for c in lookups] == ["direct", "chain of thought"]
    families = {c.family for c in plan().cases(["decompose"]) if isinstance(c, Case)}
    assert families == {"", "arithmetic"}
    decomposed = [c for c in plan().cases(["decompose"]) if isinstance(c, Case)]
    hardest = [c for c in decomposed if c.against == "chain of thought with calculator"]
    assert [c.setting for c in hardest] == ["by calculator, on chain of thought"] * 2


def test_teams_are_measured_against_their_members() -> None:
    """A vote of the three cheap models; cascades from each of them to the dear one; routers with
    the kinds shared out."""
    vote = plan().cases(["vote"])
    assert [c.setting for c in vote if isinstance(c, Case)] == [
        "rule plurality, of pocket-s, pocket-s-math, pocket-s-text",
        "rule confident, of pocket-s, pocket-s-math, pocket-s-text",
    ]
    assert isinstance(vote[0], Case) and len(vote[0].controls) == 3
    firsts = set()
    for case in plan().cases(["cascade"]):
        assert isinstance(case, Case) and isinstance(case.design.root, Team)
        first, last = case.design.root.members
        assert isinstance(first, Agent) and isinstance(last, Agent)
        assert last.model.name == "pocket-m"
        firsts.add(first.model.name)
    assert firsts == {"pocket-s", "pocket-s-math", "pocket-s-text"}
    (router,) = plan().cases(["classifier_router"])
    assert isinstance(router, Case) and isinstance(router.design.root, Team)
    roles = [m.role for m in router.design.root.members if isinstance(m, Agent)]
    assert sorted("+".join(roles).split("+")) == ["arithmetic", "sums"]


def test_a_measured_table_on_scripted_models(scripted: Make) -> None:
    """A model that is right only when it thinks aloud: chain of thought raises the score, at one
    call; a vote of two cannot be better than its best member."""

    def script(request: Request) -> Completion:
        aloud = "step by step" in request.messages[0].content
        said = f"Answer: {request.messages[1].content if aloud else 'no'}"
        return Completion(said, 10 + 5 * aloud, 2, 0.1, confidence=0.8)

    for name in ("a", "b"):
        scripted(script, name=name)
    benchmark = ListBenchmark.of("echo", [(f"q{i}", f"q{i}") for i in range(60)])
    data = ablate(benchmark, ("a", "b"), 20, seed=0, only=("chain_of_thought", "vote", "debate"))
    rows = {r["component"]: r for r in data["rows"]}
    cot = rows["chain_of_thought"]
    assert (cot["n"], cot["score"], cot["control_score"]) == (20, 1.0, 0.0)
    assert cot["verdict"] == "raises the score; costs 1.36 times as much"
    assert rows["vote"]["difference"] == 0.0
    assert rows["vote"]["verdict"] == "no effect on the score shown; costs 2 times as much"
    assert [u["component"] for u in data["unmeasured"]] == ["debate"]
    assert json.loads(json.dumps(data)) == data
    text = ablation_page.table(data)
    assert "debate\tnot measurable with these models\trequires instruct" in text
    page = ablation_page.page(data)
    assert "| `chain_of_thought` |" in page and "## Not measurable with these models" in page
    assert "over the hardest control is shown for `vote` (" in page
    assert ablation_page.idle(data["rows"]) == ["vote"]


def test_wrong_requests_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """Too few tasks, names nobody registered, a partial table to be stored, no folder."""
    for words, message in (
        (["--tasks", "50"], "wanted at least 200"),
        (["--only", "debat"], "--only: no component is called 'debat'. Did you mean 'debate'?"),
        (["--models", "pocket-x"], "Did you mean 'pocket-s'?"),
        (["--benchmark", "pokcet"], "Did you mean 'pocket'?"),
        (["--only", "vote", "--write"], "--write stores the whole table"),
    ):
        assert main(["lab", "ablate", *words]) == 2
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_the_page_in_docs_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    """The measured part of docs/components.md is the shipped measurement, word for word, and the
    list before it names every component. To renew it, without measuring:
    `paragent lab ablate --stored --markdown > docs/components.md`."""
    document = Path(__file__).parent.parent / "docs" / "components.md"
    if not document.is_file():
        pytest.skip("not a checkout: the documents are not part of the wheel")
    assert main(["lab", "ablate", "--stored", "--markdown"]) == 0
    page = document.read_text(encoding="utf-8")
    mark = "## What each does"
    assert capsys.readouterr().out.partition(mark)[2] == page.partition(mark)[2]
    listed = page.partition(mark)[0]
    assert [
        c.name for c in components if c.kind != "model" and f"| `{c.name}` |" not in listed
    ] == []


def test_the_shipped_measurement_shows_what_must_help() -> None:
    """Chain of thought, calculator, notes, decomposition on its family, the confidence cascade and
    the vote of mixed models each have a significant gain in score or cost; self-consistency of one
    small model has none over one chain of thought."""
    data = effects.stored()
    assert data["settings"]["tasks"] >= 200
    rows = data["rows"]

    def gains(name: str, family: str = "") -> bool:
        mine = [r for r in rows if r["component"] == name and r["family"] == family]
        return any(ablation_page.helps(r) for r in mine)

    for name in ("chain_of_thought", "calculator", "lookup", "cascade", "vote"):
        assert gains(name), name
    assert gains("decompose", "arithmetic")
    voted = [r for r in rows if r["component"] == "self_consistency"]
    alone = [r for r in voted if r["against"] == "chain of thought"]
    assert alone and not any(ablation_page.helps(r) for r in alone)


def test_nothing_stored_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any measurement --stored names the command that makes one."""
    monkeypatch.setattr(effects, "FILE", tmp_path / "none.json")
    assert main(["lab", "ablate", "--stored"]) == 2
    assert "ablate --write" in capsys.readouterr().err


def matrix(folder: Path) -> Path:
    """Seven models on 40 tasks: `weak-*` are right on two thirds each, on different tasks; `best`,
    `cheap` and `mild` on all but four; `half` answered half of the tasks only."""
    names = ["best-1", "weak-a", "weak-b", "weak-c", "cheap-1", "mild-1", "half"]
    price = dict.fromkeys(names, 1.0) | {"best-1": 10.0, "cheap-1": 0.5}
    ids = [f"t{i}" for i in range(40)]

    def answer(name: str, i: int) -> str:
        if name.startswith("weak"):
            return "w" if i % 3 == "abc".index(name[-1]) else "g"
        if name == "half":
            return "g" if i < 20 else ""
        return "z" if i % 10 == ["best-1", "cheap-1", "mild-1"].index(name) + 3 else "g"

    (folder / "matrix.yaml").write_text(
        "name: toy\nanswer_normaliser: exact\npartial_models: {half: 20}\nmodels:\n"
        + "".join(f"  {n}: {{usd_per_mtok_in: 0, usd_per_mtok_out: {price[n]}}}\n" for n in names)
    )

    def table(name: str, head: list[str], rows: list[list[str]]) -> None:
        text = "\n".join(",".join(row) for row in [head, *rows]) + "\n"
        (folder / name).write_bytes(gzip.compress(text.encode()))

    table("tasks.csv.gz", ["task_id", "gold", "prompt_chars"], [[t, "g", "40"] for t in ids])
    table("answers.csv.gz", ["task_id", *names],
          [[t, *(answer(n, i) for n in names)] for i, t in enumerate(ids)])  # fmt: skip
    table("output_tokens.csv.gz", ["task_id", *names], [[t, *["100"] * len(names)] for t in ids])
    return folder


def test_votes_replayed_on_a_matrix_made_by_hand(tmp_path: Path) -> None:
    """Three of five are right on every task but where the best or the cheap one errs with a weak
    one; all rows are on the 20 tasks that chose nothing, and leave no model behind."""
    before = components.names()
    found = replay(matrix(tmp_path), seed=0)
    assert components.names() == before
    assert all(row["n"] == 20 for row in found["rows"])
    vote = next(r for r in found["rows"] if r["setting"] == "the five best")
    assert "half" not in vote["design"], "models that answered a part are no members"
    assert vote["score"] == 1.0 and vote["extra_calls"] == 4.0
    cascade = next(r for r in found["rows"] if r["component"] == "agreement_cascade")
    assert cascade["extra_tokens"] is None
    assert cascade["cost_ratio"] < 1, "two cheap calls are a sixth of the dear one"
    assert replay(tmp_path, seed=0) == found


def test_names_that_are_one_model() -> None:
    """Hosts, speed tags and makers fall away; sizes and versions do not."""
    same = {same_model(n) for n in ("Llama-3.1-405B-Inst@x", "Meta-Llama-3.1-405B-Instruct@y",
                                    "Llama-3.1-405B-Instruct-Turbo")}  # fmt: skip
    assert same == {"llama-3.1-405b"}
    assert same_model("gpt-4o-2024-05-13") != same_model("gpt-4o-2024-08-06")
    assert maker("claude-3-opus") == "claude"


@pytest.mark.slow
def test_votes_replayed_on_real_models() -> None:
    """GSM8K, 44 models of 2024: votes raise the score of weak and middling models, and two cheap
    models before the best one save most of its cost without a loss that can be shown."""
    rows = {(r["component"], r["setting"]): r
            for r in replay(real_data("recorded", "zeroeval-gsm8k"))["rows"]}  # fmt: skip
    weakest = rows["vote", "the five weakest"]
    assert weakest["difference"] > 0.05 and weakest["p_holm"] < 0.001
    (cascade,) = [r for (name, _), r in rows.items() if name == "agreement_cascade"]
    assert cascade["cost_ratio"] < 0.5 and cascade["p_cost_holm"] < 0.001


def test_components_of_other_packages_are_measured_too(scripted: Make) -> None:
    """A reasoning registered at run time gets its rows like any other."""
    scripted(lambda r: "Answer: 1", name="a")
    scripted(lambda r: "Answer: 1", name="b")
    components.register(
        Component("twice", "reasoning", "asks twice", lambda: None, calls=lambda p, i: 2, paper="-")
    )
    try:
        alone = {m: evaluation([1, 0]) for m in ("a", "b")}
        found = Plan(("a", "b"), Context(), alone, []).cases(["twice"])
        assert [c.against for c in found if isinstance(c, Case)] == ["direct", "chain of thought"]
    finally:
        components.unregister("twice")


def test_the_command_prints_one_json_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """--json on a stored table: the very data, nothing else on stdout."""
    data: dict[str, object] = {"rows": [], "unmeasured": [], "settings": {}}
    monkeypatch.setattr(command, "stored", lambda: data)
    assert main(["lab", "ablate", "--stored", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == data
