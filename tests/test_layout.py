"""The house stands: links, wheel, docstrings, names, import contracts."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINKED = ("benchmarks", "components", "search")

if not (ROOT / ".git").exists():
    pytest.skip("not a checkout", allow_module_level=True)


def tracked(*folders: str) -> list[Path]:
    """Files that git knows, links not followed, relative to the root."""
    command = ["git", "ls-files", "-z", "--cached", "--", *folders]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [Path(name) for name in done.stdout.split("\0") if name and (ROOT / name).exists()]


def sources() -> list[Path]:
    """Tracked Python files of the package."""
    return [path for path in tracked("paragent", *LINKED) if path.suffix == ".py"]


@pytest.mark.parametrize("name", LINKED)
def test_links_are_in_place(name: str) -> None:
    """`paragent/search` is a link to `../search`, and git stores it as one."""
    link = ROOT / "paragent" / name
    assert link.is_symlink()
    assert link.readlink() == Path("..") / name
    command = ["git", "ls-files", "--stage", f"paragent/{name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("120000 ")


def test_every_package_is_listed() -> None:
    """A package that pyproject.toml does not list would be missing from the wheel, silently."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    here = {
        ".".join((path.parent if path.parts[0] == "paragent" else "paragent" / path.parent).parts)
        for path in sources()
        if path.name == "__init__.py"
    }
    assert sorted(here) == config["tool"]["setuptools"]["packages"]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of the tracked files, built once, outside the checkout."""
    copy = tmp_path_factory.mktemp("build")
    wanted = tracked("paragent", *LINKED, "pyproject.toml", "README.md", "LICENSE")
    for path in wanted:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / path, copy / path, follow_symlinks=False)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "out", "."]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = (copy / "out").glob("*.whl")
    return found


def test_the_wheel_holds_what_git_holds(wheel: Path) -> None:
    """Every tracked file of the package is in the wheel under `paragent/`, and nothing else is."""
    expected = {
        str(path if path.parts[0] == "paragent" else "paragent" / path)
        for path in tracked("paragent", *LINKED)
        if not (ROOT / path).is_symlink()
    }
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert held == expected


def test_every_module_says_what_it_is() -> None:
    """A docstring opens every module, in the linked folders too."""
    silent = [
        str(path)
        for path in sources()
        if not ast.get_docstring(ast.parse((ROOT / path).read_text()))
    ]
    assert silent == []


def test_no_plug_in_shadows_the_standard_library() -> None:
    """`search/random.py`, run as a script, would hide the module `random` from everything."""
    plugins = [path for path in sources() if path.parts[0] in LINKED]
    assert plugins
    assert [str(path) for path in plugins if path.stem in sys.stdlib_module_names] == []


def test_every_test_says_what_it_proves() -> None:
    """Each test function has a sentence."""
    silent = []
    for path in tracked("tests"):
        if path.suffix == ".py":
            for node in ast.walk(ast.parse((ROOT / path).read_text())):
                if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    continue
                if node.name.startswith("test_") and not ast.get_docstring(node):
                    silent.append(f"{path}:{node.lineno} {node.name}")
    assert silent == []


def test_imports_point_one_way() -> None:
    """The contracts of pyproject.toml hold (`lint-imports`)."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout


def test_every_module_has_its_layer() -> None:
    """A module that no contract names could import anything, from anywhere."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    named = {name.strip() for layer in layers for name in layer.split("|")}
    here = {f"paragent.{path.parts[1].removesuffix('.py')}" for path in sources()
            if path.parts[0] == "paragent"}  # fmt: skip
    here |= {f"paragent.{name}" for name in LINKED}
    assert here - {"paragent.__init__", "paragent.__main__"} == named


def test_files_stay_readable() -> None:
    """No file over 600 lines: rot sits where everything meets."""
    long = [
        f"{path} ({count})"
        for path in [*sources(), *(p for p in tracked("tests") if p.suffix == ".py")]
        if (count := len((ROOT / path).read_text().splitlines())) > 600
    ]
    assert long == []


def test_one_version() -> None:
    """pyproject.toml and the package agree."""
    from paragent import __version__

    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert config["project"]["version"] == __version__
