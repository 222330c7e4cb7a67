"""Recorded answers of many models to one set of questions: searches that cost nothing.

Source: a folder of recorded answers (`paragent.runtime.replay` says what it holds), for instance
those of 44 models to GSM8K's 1,319 test questions by WildEval/ZeroEval (Apache-2.0). Licence: that
of the folder. Tasks are divided by hash of their ids. Version 1. One raw example (tasks.csv.gz):

    task_id,gold,prompt_chars,question
    gsm8k-test-1,3,424,A robe takes 2 bolts of blue fiber and half that much white fiber. ...

The folder's models are there once it is loaded: `paragent search --benchmark recorded --data FOLDER
--models recorded:gpt-4o-mini-2024-07-18,recorded:deepseek-chat`. Scored by the folder's normaliser.
"""

from __future__ import annotations

from pathlib import Path

from paragent.benchmark import ListBenchmark, Scorer, Task
from paragent.errors import UsageError
from paragent.grading.choices import choice
from paragent.grading.numbers import number
from paragent.grading.texts import exact
from paragent.registry import BenchmarkPlugin, components
from paragent.runtime.replay import read_recorded

VERSION = "1"
COMMAND = "paragent search --benchmark recorded --data FOLDER --models A,B"
SCORERS: dict[str, Scorer] = {"number": number, "exact": exact, "choice": choice}


def load(data: str | Path | None = None) -> ListBenchmark:
    """The questions of a folder; registers its models. Raises UsageError."""
    if data is None:
        raise UsageError(f"which folder holds the recorded answers? {COMMAND}")
    recorded = read_recorded(Path(data))
    if recorded.normaliser not in SCORERS:
        raise UsageError(
            f"{data}: answers of kind {recorded.normaliser!r} hold no text that could be said"
        )
    for component in recorded.components():
        if component.name in components and components[component.name].paper != component.paper:
            raise UsageError(f"{data}: another model is called {component.name!r} already")
        components.register(component, replace=True)
    tasks = tuple(Task(t.id, t.question, t.gold) for t in recorded.tasks)
    return ListBenchmark("recorded", tasks, SCORERS[recorded.normaliser], version=VERSION)


RECORDED = BenchmarkPlugin(
    "recorded",
    "recorded answers of many models, replayed",
    load,
    source="a folder of recorded answers",
    licence="that of the folder",
    version=VERSION,
    scorer="number, exact or choice, as the folder says",
    needs="a folder with matrix.yaml",
    missing=lambda: COMMAND,
)
