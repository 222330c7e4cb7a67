"""An exported design is the same system: same requests, same answers, same scores."""

from __future__ import annotations

import ast
import asyncio
import importlib.util
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from paragent.api import open_run
from paragent.ask import ask_all, ask_design
from paragent.benchmarks.pocket import PocketBenchmark
from paragent.cli import main
from paragent.design import Design
from paragent.dev.fake_server import FakeServer
from paragent.errors import UnknownName
from paragent.export import STANDALONE, export
from paragent.registry import components
from paragent.runtime.models_file import register_models

MODELS = """
models:
  fake-native:
    base_url: {url}
    usd_per_mtok: {{in: 1, out: 2}}
  fake-text:
    base_url: {url}
    model: other-id
    usd_per_mtok: {{in: 3, out: 4}}
    tools: text
    api_key_env: FAKE_KEY
"""

#: Designs that together use every component a stand-alone program knows.
DESIGNS = {
    "direct": "{model: fake-native, reasoning: direct, role: careful+quick}",
    "calculator by call": "{model: fake-native, reasoning: chain_of_thought, tools: [calculator]}",
    "calculator by text": "{model: fake-text, reasoning: chain_of_thought, tools: [calculator]}",
    "sampling": "{model: fake-text, reasoning: {self_consistency: {n: 3, temperature: 0.7}}}",
    "best": "{model: fake-native, reasoning: {best_of_n: {n: 3}}, planning: decompose}",
    "refine": "{model: fake-native, reasoning: {self_refine: {rounds: 2}}}",
    "plan": "{model: fake-text, planning: {decompose: {by: calculator}}, tools: [calculator]}",
    "teams": """
team:
  topology: {cascade: {threshold: 0.97, keep: last}}
  members:
  - agent: {model: fake-native, reasoning: direct}
  - team:
      topology: {vote: {rule: plurality}}
      members:
      - agent: {model: fake-text, reasoning: direct}
      - agent: {model: fake-native, reasoning: self_consistency}
""",
    "verify": """
team:
  topology: generate_verify
  members:
  - agent: {model: fake-native, reasoning: {best_of_n: {n: 3}}}
  - agent: {model: fake-text, reasoning: direct, role: checker}
""",
    "orchestrator": """
team:
  topology: orchestrator
  lead: {agent: {model: fake-native}}
  members:
  - agent: {model: fake-native, role: text}
  - agent: {model: fake-text, reasoning: chain_of_thought, role: numbers+agents}
""",
}
QUESTIONS = (
    "What is 17*3+4 ?",
    "Which colour has the sky?",
    "1: add 2 and 3\n2: #1 * 2",
    "Tom has 3 boxes of 12 pens each, 3*12 = ?",
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeServer]:
    """A fake endpoint in a thread, its two models known to the registry."""
    loop = asyncio.new_event_loop()
    fake = FakeServer()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(fake.__aenter__(), loop).result(10)
    file = tmp_path_factory.mktemp("models") / "models.yaml"
    file.write_text(MODELS.format(url=fake.url))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARAGENT_MODELS", str(file))
        patch.setenv("FAKE_KEY", "sk-not-a-real-key")
        registered = register_models()
        yield fake
        for component in registered:
            components.unregister(component.name)
    asyncio.run_coroutine_threadsafe(fake.__aexit__(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


def read(name: str) -> Design:
    """One of the designs above."""
    text = DESIGNS[name]
    return Design.from_yaml(f"agent: {text}" if text.startswith("{") else text)


def load(text: str, folder: Path) -> ModuleType:
    """The program as a module."""
    file = folder / "exported_agent.py"
    file.write_text(text)
    spec = importlib.util.spec_from_file_location("exported_agent", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["exported_agent"] = module
    try:
        spec.loader.exec_module(module)
    finally:
        del sys.modules["exported_agent"]
    return module


def imported(text: str) -> set[str]:
    """Top-level names of everything that a program imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module).split(".")[0])
    return found


@pytest.mark.parametrize("name", DESIGNS)
def test_a_stand_alone_program_sends_the_same_requests(
    name: str, server: FakeServer, tmp_path: Path
) -> None:
    """On `openai` alone, a design sends byte for byte the requests it sends inside Paragent."""
    design = read(name)
    text = export(design, "python")
    assert "paragent" not in imported(text)
    program = load(text, tmp_path)
    for question in QUESTIONS:
        server.stats.asked = Counter()
        expected = asyncio.run(ask_design(design, question)).text
        asked, server.stats.asked = server.stats.asked, Counter()
        assert program.answer(question) == expected
        assert server.stats.asked == asked
    program.client.cache_clear()


def test_every_known_component_is_tried_above(server: FakeServer) -> None:
    """A component added to the template needs a design here."""
    used = set()
    for name in DESIGNS:
        design = read(name)
        for _, node in design.nodes():
            if hasattr(node, "topology"):
                used.add(node.topology.name)
        for _, agent in design.agents():
            used |= {part.name for slot, part in agent.parts() if slot != "model"}
    assert used == set(STANDALONE)


def test_a_pocket_program_scores_the_same(tmp_path: Path) -> None:
    """Run as a program on 50 test tasks, an exported design gives the answers it gave before."""
    design = Design.from_yaml(
        "agent: {model: pocket-s, reasoning: {self_consistency: {n: 3, temperature: 0.7}},"
        " memory: {lookup: {k: 4}}, tools: [calculator]}"
    )
    benchmark = PocketBenchmark()
    tasks = benchmark.tasks("test")[:50]
    file = tmp_path / "agent.py"
    file.write_text(export(design, "python"))
    done = subprocess.run(
        [sys.executable, str(file)],
        input="".join(f"{task.question}\n" for task in tasks),
        capture_output=True,
        text=True,
        timeout=120,
        env={"PYTHONPATH": str(Path(__file__).parent.parent), "PATH": ""},
    )
    assert done.stderr == ""
    answers = done.stdout.removesuffix("\n").split("\n")

    found = asyncio.run(ask_all(design, [t.question for t in tasks], benchmark.context))
    assert answers == [answer.text for answer in found]
    assert len(set(answers)) > 10  # and they are answers, not one word for all


def test_yaml_reads_back() -> None:
    """The YAML form is the design, under a head that says what it is."""
    design = read("teams")
    text = export(design)
    assert text.startswith("# An agent system found by Paragent")
    assert Design.from_yaml(text) == design


def test_memory_needs_paragent(server: FakeServer) -> None:
    """What the template does not know becomes a program on paragent, which says why."""
    text = export(Design.from_yaml("agent: {model: fake-native, memory: lookup}"), "python")
    assert "because lookup is built on it" in text
    assert "register_models()" in text
    compile(text, "agent.py", "exec")


def test_an_unknown_format_offers_the_nearest() -> None:
    """`--format pyton` is misuse with a hint."""
    with pytest.raises(UnknownName, match="Did you mean 'python'"):
        export(Design.from_yaml("agent: {model: pocket-s}"), "pyton")


def test_a_hostile_label_stays_inside_the_head(server: FakeServer) -> None:
    """A role may hold quotes and newlines: the program still parses and runs no part of it."""
    role = 'x"""\nraise SystemExit("ran")\n#\\N{oops}'
    design = Design.from_data({"agent": {"model": "fake-native", "role": role}})
    for text in (export(design, "python"), export(design, "yaml")):
        assert "\nraise" not in text
    ast.parse(export(design, "python"))


def test_designs_with_own_parts_run_in_another_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A design that uses a sub-agent of the run's own inventory: as a program, asked, traced and
    drawn, each by a process that never heard of it."""
    (tmp_path / "spec.yaml").write_text(
        "{benchmark: pocket, models: [pocket-s], searcher: random, evals: 4, seed: 3, tasks: 4,"
        " confirm: 4, test_tasks: 4, subagents: {careful: {promise: solves with care, model:"
        " pocket-s, reasoning: chain_of_thought}}}"
    )
    run = tmp_path / "run"
    assert main(["search", str(tmp_path / "spec.yaml"), "--out", str(run), "--no-report"]) == 0
    capsys.readouterr()
    components.unregister("careful")
    evaluation = next(e for e in open_run(run).evaluations if "careful" in e.design.label)
    pick, task = evaluation.design.hash, next(iter(evaluation.outcomes))
    program = export(open_run(run).pick(pick), "python")
    (tmp_path / "agent.py").write_text(program)

    def said(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            capture_output=True,
            text=True,
            timeout=120,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        return done.stdout

    answer = said("agent.py", "what is 3 + 4?")
    assert answer.strip()
    assert said("-m", "paragent", "ask", f"{run}:{pick}", "what is 3 + 4?") == answer
    assert "careful" in said("-m", "paragent", "draw", f"{run}:{pick}")
    assert "pocket-s" in said("-m", "paragent", "trace", str(run), "--pick", pick, task)
