"""Where plug-ins are found: a file in a folder, an entry point, or one call of `register`.

`components`, `searchers` and `benchmarks` are the three registries. Each imports its folder on
first use (never at import of paragent) and takes every object of its type that a module holds at
top level, alone or in a tuple. Other packages enter through the entry-point groups
`paragent.components`, `paragent.search` and `paragent.benchmarks`, whose targets are such
objects or modules that hold them. A name taken twice is an error, unless it is the same object.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from paragent.component import Component, Kind
from paragent.errors import ParagentError, UnknownName, UsageError

if TYPE_CHECKING:
    from paragent.benchmark import Benchmark
    from paragent.config import RunConfig
    from paragent.hub import Source
    from paragent.searcher import Searcher


class Named(Protocol):
    """Anything that can be registered."""

    @property
    def name(self) -> str:
        """The name it is found by."""


@dataclass(frozen=True)
class SearcherPlugin:
    """A searcher in the registry.

    `make(space, seed=…, cost=…, **options)` returns a fresh `Searcher`; `options` maps each
    option to its default. `cost` is the unit of the second objective (`outcome.CostName`).
    `reads_tasks`: it also gets `questions`, the development tasks' ids and questions (no answers).
    """

    name: str
    summary: str
    make: Callable[..., Searcher] = field(repr=False)
    options: dict[str, Any] = field(default_factory=dict, hash=False)
    reads_tasks: bool = False
    paper: str = ""
    version: str = "1"


@dataclass(frozen=True)
class BenchmarkPlugin:
    """A benchmark in the registry; `load(**options)` returns the `Benchmark`.

    `sizes` are the tasks of each split as published (a local copy may hold fewer). `scorer` says
    in a few words how an answer is scored, `needs` what it takes beside this package. `missing()`
    is the command that makes the benchmark ready, or "" where it is; it must be quick. `data` is
    the public data set that `paragent fetch` gets.
    """

    name: str
    summary: str
    load: Callable[..., Benchmark] = field(repr=False)
    source: str = ""
    licence: str = ""
    version: str = "1"
    sizes: Mapping[str, int] = field(default_factory=dict, hash=False)
    scorer: str = ""
    needs: str = ""
    missing: Callable[[], str] = field(default=lambda: "", repr=False)
    data: Source | None = field(default=None, repr=False)


T = TypeVar("T", bound=Named)
R = TypeVar("R")
#: Nodes that `remembered` keeps; a search of ten thousand designs sees about as many.
MOST_REMEMBERED = 100_000


class Registry(Generic[T]):
    """Names to plug-ins of one type; iteration is in sorted order of names."""

    def __init__(self, kind: str, type_: type[T], package: str) -> None:
        self.kind, self._type, self._package = kind, type_, package
        self._items: dict[str, T] = {}
        self._loaded = False
        self._found: set[str] = set()
        #: Grows with every plug-in that comes or goes: what was remembered of the others is stale.
        self.version = 0

    def register(self, item: T, *, replace: bool = False) -> T:
        """Add one plug-in; returns it, so that it can be used as a decorator's last step."""
        if replace:
            self.load()  # else a built-in, loaded later, would find its name taken
        known = self._items.get(item.name)
        if known is not None and known is not item and not replace:
            raise ParagentError(f"two {self.kind}s are called {item.name!r}")
        self._items[item.name] = item
        if known is not item:
            self._found.discard(item.name)
        self.version += 1
        return item

    def added(self) -> tuple[T, ...]:
        """What was registered by a call, not found in the folder or by an entry point: other
        processes do not have it by themselves."""
        return tuple(item for item in self if item.name not in self._found)

    def unregister(self, name: str) -> None:
        """Remove a plug-in (for notebooks and tests)."""
        self.load()
        self._items.pop(name, None)
        self.version += 1

    @contextmanager
    def kept(self) -> Iterator[None]:
        """What comes or goes inside is undone at the end (for notebooks and tests)."""
        self.load()
        items, found = dict(self._items), set(self._found)
        try:
            yield
        finally:
            if self._items != items or self._found != found:
                self._items, self._found = items, found
                self.version += 1

    def load(self) -> None:
        """Import the folder and the entry points, once."""
        if self._loaded:
            return
        package = importlib.import_module(self._package)
        for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda i: i.name):
            if not info.name.startswith("_"):
                self._take(importlib.import_module(f"{self._package}.{info.name}"))
        for point in entry_points(group=self._package):
            try:
                self._take(point.load())
            except Exception as error:  # another package's code: say whose it is
                raise ParagentError(
                    f"plug-in {point.name!r} ({point.value}) cannot be loaded: {error}"
                ) from error
        self._loaded = True

    def _take(self, found: object) -> None:
        if isinstance(found, self._type):
            self.register(found)
            self._found.add(found.name)
        elif isinstance(found, ModuleType):
            for value in vars(found).values():
                if isinstance(value, self._type | tuple):
                    self._take(value)
        elif isinstance(found, tuple):
            for value in found:
                if isinstance(value, self._type):
                    self._take(value)

    def __getitem__(self, name: str) -> T:
        self.load()
        if name not in self._items:
            raise UnknownName(self.kind, name, self._items)
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        self.load()
        return name in self._items

    def __iter__(self) -> Iterator[T]:
        self.load()
        return iter([self._items[name] for name in sorted(self._items)])

    def names(self) -> tuple[str, ...]:
        """All names, sorted."""
        self.load()
        return tuple(sorted(self._items))


components: Registry[Component] = Registry("component", Component, "paragent.components")
searchers: Registry[SearcherPlugin] = Registry("searcher", SearcherPlugin, "paragent.search")
benchmarks: Registry[BenchmarkPlugin] = Registry(
    "benchmark", BenchmarkPlugin, "paragent.benchmarks"
)


def benchmark_of(config: RunConfig, *, stored: bool = False) -> Benchmark:
    """The benchmark of a request; `stored`: of a run, whose benchmark may be a Python object.

    Raises UnknownName, UsageError for an option that the benchmark does not take, and whatever its
    `load` raises.
    """
    name = config.benchmark
    if stored and name not in benchmarks:
        raise UsageError(
            f"benchmark {name!r} of this run is an object made in Python, which the command line "
            "does not have; in Python: paragent.resume(RUN, benchmark=…)"
        )
    plugin = benchmarks[name]
    options = {key: value for key in ("data", "input", "answer", "scorer", "judge")
               if (value := getattr(config, key)) is not None}  # fmt: skip
    options |= config.benchmark_options
    taken = inspect.signature(plugin.load).parameters
    anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in taken.values())
    for key in options:
        if key not in taken and not anything:
            if key in ("input", "answer", "scorer", "judge"):
                raise UsageError(
                    f"--{key} is for your own tasks (--data FILE); benchmark {name!r} has its own"
                )
            raise UnknownName(f"option of benchmark {name!r}", key, taken)
    return plugin.load(**options)


def register(
    plugin: Component | SearcherPlugin | BenchmarkPlugin, *, replace: bool = False
) -> None:
    """Add a plug-in of any kind to its registry; `replace` allows a name that is taken."""
    if isinstance(plugin, Component):
        components.register(plugin, replace=replace)
    elif isinstance(plugin, SearcherPlugin):
        searchers.register(plugin, replace=replace)
    else:
        benchmarks.register(plugin, replace=replace)


class Texted(Protocol):
    """What has a canonical text: a node of a design."""

    @property
    def text(self) -> str: ...


N = TypeVar("N", bound=Texted)


def remembered(function: Callable[[N], R]) -> Callable[[N], R]:
    """Remembers what a function says of a node, for as long as the components stay the same.

    Nodes are told apart by their texts: that is quicker than hashing a tree, and 1 is not 1.0.
    """
    known: dict[str, R] = {}
    version = -1

    @functools.wraps(function)
    def ask(node: N) -> R:
        nonlocal version
        if version != components.version or len(known) > MOST_REMEMBERED:
            known.clear()
            version = components.version
        if node.text not in known:
            known[node.text] = function(node)
        return known[node.text]

    return ask


def component_of(kind: Kind, name: str, where: str = "") -> Component:
    """The component of that kind and name; the nearest name is sought among its kind only."""
    if name in components and components[name].kind == kind:
        return components[name]
    known = [c.name for c in components if c.kind == kind]
    if kind not in ("model", "reasoning", "topology"):  # slots that are never empty
        known.append("none")
    raise UnknownName(kind, name, known, where)
