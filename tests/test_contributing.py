"""The recipes of CONTRIBUTING.md are plug-ins: found as files, and passing the shipped suites."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from documents import Block, blocks, run_shell

from paragent.benchmark import check_tasks
from paragent.registry import Registry, benchmarks, components, searchers
from paragent.testing import BenchmarkConformance, ComponentConformance, SearcherConformance

if not (Path(__file__).parent.parent / "CONTRIBUTING.md").is_file():
    pytest.skip("not a checkout", allow_module_level=True)

RECIPES = [block for block in blocks("CONTRIBUTING.md") if block.language == "python"]


def module(block: Block, folder: Path) -> ModuleType:
    """The recipe as the file that it says it is."""
    file = folder / "recipe.py"
    file.write_text(block.text)
    spec = importlib.util.spec_from_file_location("recipe", file)
    assert spec is not None and spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_there_are_three_recipes() -> None:
    """A component, a searcher, a benchmark."""
    assert len(RECIPES) == 3


def test_every_command_exists(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The commands at the top are make's own, and `.ci/run`."""
    (block,) = [b for b in blocks("CONTRIBUTING.md") if b.language == "sh"]
    lines = [line for line in block.text.splitlines() if not line.startswith(".ci/run")]
    assert len(lines) == 3
    run_shell(Block("sh", "\n".join(lines), block.place))


class TestTheComponent(ComponentConformance):
    """The component's recipe."""

    @pytest.fixture(autouse=True)
    def _component(self, tmp_path: Path) -> None:
        self.component = module(RECIPES[0], tmp_path).SECOND_THOUGHT


class TestTheSearcher(SearcherConformance):
    """The searcher's recipe."""

    @pytest.fixture(autouse=True)
    def _plugin(self, tmp_path: Path) -> None:
        self.plugin = module(RECIPES[1], tmp_path).CHEAPEST_FIRST


class TestTheBenchmark(BenchmarkConformance):
    """The benchmark's recipe."""

    @pytest.fixture(autouse=True)
    def _plugin(self, tmp_path: Path) -> None:
        self.plugin = module(RECIPES[2], tmp_path).SUMS


def test_a_file_in_the_folder_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registries take every plug-in object that a module of their folder holds."""
    folder = tmp_path / "recipes_of_contributing"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for number, block in enumerate(RECIPES):
        (folder / f"recipe_{number}.py").write_text(block.text)
    monkeypatch.syspath_prepend(str(tmp_path))
    for known, name in (
        (components, "second_thought"),
        (searchers, "cheapest_first"),
        (benchmarks, "sums"),
    ):
        fresh: Registry = Registry(known.kind, known._type, folder.name)  # type: ignore[type-arg]
        assert fresh.names() == (name,)


def test_the_benchmark_has_both_splits(tmp_path: Path) -> None:
    """The recipe's pairs are enough for a dev and a test split."""
    benchmark = module(RECIPES[2], tmp_path).SUMS.load()
    for split in ("dev", "test"):
        check_tasks("sums", benchmark.tasks(split))
