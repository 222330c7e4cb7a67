"""What a worker needs of a run, packed by the driver: settings, the user's files, keys by name.

Files travel by content: those that the settings name, and the Python files beside named Python
files. Objects made in Python (a benchmark, components) travel by value, their modules with them.
A worker unpacks into a folder of its own and registers everything as the driver did, so a missing
package, file or table of tasks is found before the search, and told in one line.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import pickle
import platform
import secrets
import shutil
import site
import socket
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from paragent import __version__
from paragent.benchmark import Benchmark, Task, tasks_digest
from paragent.cluster.session import UNPACK_AT
from paragent.config import RunConfig
from paragent.errors import UsageError
from paragent.inventory import register_inventory
from paragent.registry import benchmark_of, benchmarks, components
from paragent.runtime.models_file import all_models, register_models, user_file, variables
from paragent.runtime.secrets import protect_logs, read_key

#: Bytes of a user's files that travel; more must lie on every node already.
MOST_BYTES = 64 * 2**20
#: Stands before a path that lies in the parcel.
MARK = "parcel://"
#: Under which keys the body of an inventory's tool may name a file.
_FILES = ("function", "table", "corpus", "database")


@dataclass(frozen=True)
class Ready:
    """A run as a worker holds it."""

    benchmark: Benchmark
    tasks: Mapping[str, Mapping[str, Task]]
    digest: str
    folder: Path

    def close(self) -> None:
        """Remove the unpacked files."""
        shutil.rmtree(self.folder, ignore_errors=True)


def facts() -> dict[str, Any]:
    """Who this process is, for comparing versions and for finding it."""
    ray = importlib.import_module("ray")
    return {
        "paragent": __version__,
        "python": platform.python_version(),
        "ray": ray.__version__,
        "host": socket.gethostname(),
        "pid": os.getpid(),
    }


# -- the driver's side ----------------------------------------------------------------------------


def pack(config: RunConfig, benchmark: Benchmark, models: Sequence[str], *, own: bool) -> bytes:
    """The parcel of a run. `models` are those it calls, `own` says that the benchmark is an object
    made in Python. Raises UsageError for what cannot travel."""
    packer = _Packer()
    settings = packer.settings(config.anchored())
    specs = all_models() if any(c.paper == "models.yaml" for c in components) else {}
    used = [variable for name in models if name in specs for variable in variables(specs[name])]
    file = user_file() if specs else None
    added = [
        c for c in components.added() if c.paper not in ("models.yaml", "the user's inventory")
    ]
    plugins = [] if own else [p for p in benchmarks.added() if p.name == config.benchmark]
    return pickle.dumps(
        {
            "config": settings.to_data(),
            "files": packer.files,
            "paths": packer.paths,
            "roots": [settings.inventory["folder"]] if settings.inventory else [],
            "models": (file.read_text(encoding="utf-8") if file else "") if specs else None,
            "keys": {v: key for v in used if (key := read_key(v)) is not None},
            "benchmark": _by_value(benchmark, f"benchmark {benchmark.name!r}") if own else None,
            "added": _by_value((added, plugins), "what was registered in Python"),
            "digest": tasks_digest(benchmark),
            "token": secrets.token_hex(6),
        }
    )


def collect(config: RunConfig) -> tuple[RunConfig, Mapping[str, bytes]]:
    """The settings with `MARK` before every path, and the user's files that they name, each under
    its whole path without the leading slash. Raises UsageError where they are too many."""
    packer = _Packer()
    try:
        return packer.settings(config.anchored()), packer.files
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror or error}") from None


class _Packer:
    """Collects files under their whole paths; in the settings, `MARK` goes before them."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        #: Folders that Python shall find modules in.
        self.paths: list[str] = []
        self._bytes = 0

    def settings(self, config: RunConfig) -> RunConfig:
        """The settings, with every path replaced by where it lies in the parcel."""
        data, scorer = config.data, config.scorer
        if data is not None:
            data = self._tree(Path(data))
        if scorer is not None and scorer.startswith("python:"):
            file, colon, function = scorer.removeprefix("python:").rpartition(":")
            scorer = f"python:{self._python(Path(file))}{colon}{function}"
        inventory = self._inventory(config.inventory) if config.inventory else config.inventory
        return replace(config, data=data, scorer=scorer, inventory=inventory)

    def _inventory(self, given: Mapping[str, Any]) -> dict[str, Any]:
        folder = Path(str(given.get("folder") or "")).absolute()
        found = {**given, "folder": self._root(folder)}
        tools: dict[str, Any] = {}
        for name, body in (given.get("tools") or {}).items():
            body = {"function": body} if isinstance(body, str) else dict(body)
            for key in _FILES:
                if key in body:
                    body[key] = self._named(str(body[key]), folder, is_code=key == "function")
            tools[name] = body
        if tools:
            found["tools"] = tools
        for body in (given.get("mcp") or {}).values():
            for word in body.get("command", ()):
                path = folder / str(word)
                if path.is_file() and not Path(str(word)).is_absolute():
                    self._python(path) if path.suffix == ".py" else self._one(path)
        return found

    def _named(self, where: str, folder: Path, *, is_code: bool) -> str:
        """What an inventory's entry says of its file, as it will be said in the parcel."""
        if not is_code:
            return self._one(folder / where)
        place, colon, name = where.rpartition(":")
        if place.endswith(".py"):
            return f"{self._python(folder / place)}{colon}{name}"
        self._module(place.split(".")[0], folder)
        return where

    def _module(self, top: str, folder: Path) -> None:
        """The sources of a module of the user's own; installed ones must be on every node."""
        spec = sys.modules.get(top)
        file = getattr(spec, "__file__", None)
        path = Path(file) if file else folder / f"{top}.py"
        if not path.is_file() or _installed(path):
            return
        if path.name == "__init__.py":
            self._package(path.parent)
            self._on_path(path.parent.parent)
        else:
            self._python(path)

    def _python(self, path: Path) -> str:
        """A Python file, with the modules and packages beside it, which it may import."""
        path = path.absolute()
        for beside in sorted(path.parent.iterdir()):
            if beside.suffix == ".py" and beside.is_file():
                self._one(beside)
            elif (beside / "__init__.py").is_file():
                self._package(beside)
        self._on_path(path.parent)
        return self._one(path)

    def _package(self, folder: Path) -> None:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                self._one(path)

    def _tree(self, path: Path) -> str:
        if path.is_dir():
            for file in sorted(path.rglob("*")):
                if file.is_file():
                    self._one(file)
            return f"{MARK}{self._place(path)}"
        return self._one(path)

    def _one(self, path: Path) -> str:
        path = path.absolute()
        place = self._place(path)
        if place not in self.files:
            content = path.read_bytes()
            self._bytes += len(content)
            if self._bytes > MOST_BYTES:
                raise UsageError(
                    f"the files of this run are more than {MOST_BYTES >> 20} MiB ({path} is one): "
                    "too much to send to every worker; run it with --address none"
                )
            self.files[place] = content
        return f"{MARK}{place}"

    def _place(self, path: Path) -> str:
        return str(path.absolute()).lstrip("/")

    def _root(self, folder: Path) -> str:
        return f"{MARK}{self._place(folder)}"

    def _on_path(self, folder: Path) -> None:
        root = self._root(folder)
        if root not in self.paths:
            self.paths.append(root)


def _by_value(thing: Any, what: str) -> bytes:
    """Pickled with the code of its modules, where those are the user's own."""
    cloudpickle = importlib.import_module("ray.cloudpickle")
    try:
        with _own_modules(cloudpickle):
            found: bytes = cloudpickle.dumps(thing)
    except Exception as error:  # whatever its parts raise when they are pickled
        raise UsageError(
            f"{what} cannot travel to workers ({type(error).__name__}: {error}); use --address "
            "none, or put it into a Python file that the settings name"
        ) from None
    return found


@contextmanager
def _own_modules(cloudpickle: Any) -> Iterator[None]:
    named = []
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or ""
        own = name != "__main__" and name.split(".")[0] != "paragent"
        if own and file.endswith(".py") and not _installed(Path(file)):
            named.append(module)
    for module in named:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in named:
            cloudpickle.unregister_pickle_by_value(module)


def _installed(path: Path) -> bool:
    """Whether a file belongs to Python or to an installed package."""
    places = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    places |= {*site.getsitepackages(), site.getusersitepackages()}
    return any(path.is_relative_to(place) for place in places if place)


# -- the worker's side ----------------------------------------------------------------------------


def unpack(parcel: bytes) -> Ready:
    """Register everything, and load the benchmark. Raises UsageError with what is missing."""
    protect_logs()
    data = pickle.loads(parcel)
    folder = _unpacked(data)
    os.environ.update(data["keys"])
    for name in data["keys"]:
        read_key(name)  # from now on it is blotted out of what is written
    for path in data["paths"]:
        sys.path.insert(0, str(folder / path.removeprefix(MARK)))
    if data["models"] is not None:
        os.environ["PARAGENT_MODELS"] = str(folder / "models.yaml")
        register_models()
    cloudpickle = importlib.import_module("ray.cloudpickle")
    try:
        added, plugins = cloudpickle.loads(data["added"])
        own = cloudpickle.loads(data["benchmark"]) if data["benchmark"] is not None else None
    except ModuleNotFoundError as error:
        raise UsageError(f"the module {error.name!r} is not installed there") from None
    for component in added:
        components.register(component, replace=True)
    for plugin in plugins:
        benchmarks.register(plugin, replace=True)
    config = _at_home(RunConfig.from_data(data["config"]), folder)
    if config.inventory:
        register_inventory(config.inventory)
    benchmark: Benchmark = own if own is not None else benchmark_of(config)
    if tasks_digest(benchmark) != data["digest"]:
        raise UsageError(
            f"the tasks of benchmark {config.benchmark!r} differ there: its data is another version"
        )
    tasks = {split: {t.id: t for t in benchmark.tasks(split)} for split in ("dev", "test")}
    return Ready(benchmark, tasks, data["digest"], folder)


def _unpacked(data: Mapping[str, Any]) -> Path:
    """The folder with the files, made once per node: whoever is first puts it in place."""
    found = hashlib.sha256()
    for name in sorted(data["files"]):
        found.update(name.encode() + b"\0" + hashlib.sha256(data["files"][name]).digest())
    parent = Path(os.environ.get(UNPACK_AT) or tempfile.gettempdir())
    folder = parent / f"pgr-code-{found.hexdigest()[:16]}-{data['token']}"
    if folder.is_dir():
        return folder
    made = Path(tempfile.mkdtemp(prefix="pgr-code-", dir=parent))
    for name, content in data["files"].items():
        path = made / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    for root in data["roots"]:
        (made / root.removeprefix(MARK)).mkdir(parents=True, exist_ok=True)
    (made / "models.yaml").write_text(data["models"] or "", encoding="utf-8")
    try:
        made.rename(folder)
    except OSError:  # another worker of this node was faster
        shutil.rmtree(made, ignore_errors=True)
    return folder


def _at_home(config: RunConfig, folder: Path) -> RunConfig:
    """The settings with the parcel's places as paths of this machine."""

    def home(value: Any) -> Any:
        if isinstance(value, str) and value.startswith(MARK):
            return str(folder / value.removeprefix(MARK))
        if isinstance(value, Mapping):
            return {key: home(each) for key, each in value.items()}
        return value

    scorer = config.scorer
    if scorer is not None and scorer.startswith(f"python:{MARK}"):
        scorer = f"python:{folder / scorer.removeprefix(f'python:{MARK}')}"
    return replace(config, data=home(config.data), scorer=scorer, inventory=home(config.inventory))
