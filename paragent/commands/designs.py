"""Which design a word on the command line means."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from paragent.commands.runs import find_run
from paragent.errors import UsageError

if TYPE_CHECKING:
    from paragent.component import Context
    from paragent.design import Design
    from paragent.run import Run, RunDesign

HELP = "a design's YAML file, or RUN:PICK such as `last:knee`, `last:best`, `NAME:1f3a`"


@dataclass(frozen=True)
class Found:
    """A design, and the run and pick it comes from where it comes from one."""

    design: Design
    picked: RunDesign | None = None


def find_design(word: str) -> Found:
    """The design that `word` means. Raises UsageError."""
    from paragent.api import open_run
    from paragent.design_file import load_design

    path = Path(word)
    if path.is_file():
        return Found(load_design(path))
    run, colon, pick = word.rpartition(":")
    if not colon:
        if path.suffix in (".yaml", ".yml", ".json"):
            raise UsageError(f"{word}: there is no such file")
        run, pick = word, "knee"
    found = picked(open_run(find_run(run)), pick or "knee")
    return Found(found.design, found)


def picked(run: Run, pick: str) -> RunDesign:
    """A design of the run, ready to run: what it uses of the run's own inventory is registered."""
    from paragent.inventory import register_inventory, used_by

    found = run.pick(pick)
    register_inventory(used_by(found.design, run.config["inventory"]))
    return found


def context_of(found: Found, benchmark: str | None) -> Context:
    """What the design may look up: the notes of `benchmark`, or of the benchmark of its run.

    A design from a file that uses pocket models alone gets the notes of the pocket benchmark.
    """
    from paragent.component import Context
    from paragent.registry import benchmarks

    if benchmark is not None:
        context: Context = benchmarks[benchmark].load().context
        return context
    if found.picked is not None:
        return found.picked.run.context()
    if all(agent.model.name.startswith("pocket-") for _, agent in found.design.agents()):
        context = benchmarks["pocket"].load().context
        return context
    return Context()
