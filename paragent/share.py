"""Searches that share what they measure, through a folder: islands, as in SAPO.

    FOLDER/TERMS/terms.json   on what designs are measured here: benchmark, version, tasks, scorer
    FOLDER/TERMS/RUN.jsonl    what one search measured, an evaluation a line; only it writes here

TERMS is a digest of all that must agree for outcomes to be comparable, this package's version
included: a search of another benchmark, of other tasks or of another version has another folder,
and each line names the versions of the design's parts (for a model: where it answers and its
price), which must agree too. So only what this search could have measured itself is taken.

After each of its evaluations a search gives it away and takes what others have given since. What
it is about to measure it claims first: searches that know the same choose the same, and
without claims two fifths of what four of them measured was of a design that another measured, too
(`paragent lab islands`). A design that another has claimed is not run here; where that one is
killed, nobody measures it.

Outcomes stay what they are (measured, failed) and are stored with those of the run, their origin
beside them; nothing was paid for them here, and they count as no evaluation. Finalists are drawn
from both, and measured further by the run itself. What was taken, and after which evaluation, is
stored before it is used: a run that is resumed takes the same again and then goes on.

Safe with any number of processes and with killed ones: a file has one writer, a line counts once
its checksum is right, half a line is left for later, and no look waits for a lock. A folder that
cannot be written to is read only; the run's notes say so.

SAPO: arXiv 2509.08721, section 3: nodes share what they generated, and each trains on its own and
on a sample of the others'. Here all of it is taken: an evaluation is evidence whoever paid for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets as tokens
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from paragent import __version__
from paragent.benchmark import Benchmark, tasks_digest
from paragent.component import Component
from paragent.config import RunConfig
from paragent.design import Agent, Design
from paragent.errors import ParagentError, UsageError
from paragent.outcome import (
    FAILURE_KINDS,
    PASSING_KINDS,
    Evaluation,
    Failed,
    Measured,
    Outcome,
    outcome_from_json,
    outcome_to_json,
)
from paragent.registry import components
from paragent.runtime.models_file import ModelSpec
from paragent.runtime.secrets import redact
from paragent.searcher import Proposal, Space
from paragent.store import Store

#: The form of the files.
FORM = 1
#: Purposes of evaluations that are given away: whole measurements, no trials.
GIVEN = ("search-eval", "label")
#: Bytes of one file that one look reads at most; the rest comes with the next look.
LOOK_BYTES = 16 * 2**20
#: Facts of a run's store on what was taken begin so; the position follows.
TAKEN = "taken:"


class Shares(Protocol):
    """What the engine gives to and takes from."""

    def give(self, told: Evaluation) -> None:
        """An evaluation of this run, for others."""

    def claim(self, proposal: Proposal) -> None:
        """It is about to be measured here."""

    def elsewhere(self, proposal: Proposal) -> bool:
        """Whether another search had claimed it at the last `take`."""

    def take(self, position: int, proposed: Collection[str]) -> Sequence[Evaluation]:
        """What others gave since; called once after each evaluation (`position`, from 0) and once
        before the first (-1). Nothing that is `proposed` (hashes) or was taken before."""


def position(key: str) -> int:
    """Of a fact of the store: after which evaluation it was taken."""
    return int(key.removeprefix(TAKEN))


def check_folder(folder: Path) -> None:
    """Raises UsageError for a path that cannot be a folder to share through."""
    for place in (folder, *folder.parents):
        if place.exists():
            if not place.is_dir():
                raise UsageError(f"share is {str(folder)!r}; {place} is a file, wanted a folder")
            return


def terms_of(config: RunConfig, benchmark: Benchmark) -> dict[str, Any]:
    """What must agree for outcomes to be comparable, apart from the parts of a design."""
    inventory = {key: value for key, value in config.inventory.items() if key != "folder"}
    return {
        "form": FORM,
        "version": __version__,
        "benchmark": benchmark.name,
        "benchmark_version": benchmark.version,
        "tasks": tasks_digest(benchmark),
        "scorer": config.scorer,
        "judge": config.judge,
        "options": dict(config.benchmark_options),
        "inventory": _digest(inventory) if inventory else None,
    }


def _digest(data: object) -> str:
    text = json.dumps(data, sort_keys=True, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def parts_of(design: Design, remote: Mapping[str, ModelSpec]) -> dict[str, str]:
    """Name to digest of all components of a design: version, price, and for a model behind an
    endpoint where it answers. Raises KeyError for a component that is not known here."""
    names: set[str] = set()
    for _, node in design.nodes():
        if isinstance(node, Agent):
            names.update(part.name for _, part in node.parts())
        else:
            names.add(node.topology.name)
    return {name: _part_digest(components[name], remote.get(name)) for name in sorted(names)}


def _part_digest(component: Component, spec: ModelSpec | None) -> str:
    price = asdict(component.price) if component.price is not None else None
    data: list[object] = [component.name, component.kind, component.version, price]
    if spec is not None:
        data += [spec.model_id, spec.endpoint, spec.tools, spec.logprobs]
    return _digest(data)


def island(
    config: RunConfig,
    store: Store,
    benchmark: Benchmark,
    space: Space,
    remote: Mapping[str, ModelSpec],
) -> Island | None:
    """The run's share in its folder; None where it has none."""
    if config.share is None:
        return None
    terms = store.meta("share_terms")  # what the run describes on the way is no other benchmark
    if terms is None:
        terms = terms_of(config, benchmark)
        store.set_meta("share_terms", terms)
    return Island(
        Path(config.share),
        store,
        {**terms, "form": FORM, "version": __version__},
        legal=lambda design: not space.check(design),
        remote=remote,
        tasks=[task.id for task in benchmark.tasks("dev")[: config.tasks]],
    )


class Island:
    """One run's share in FOLDER: see the module.

    `legal` says whether a design may stand in this run's space; `tasks` are the dev tasks that the
    search measures on (outcomes on others are left out: fresh tasks must stay fresh).
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        terms: Mapping[str, Any],
        *,
        legal: Callable[[Design], bool],
        remote: Mapping[str, ModelSpec],
        tasks: Sequence[str],
    ) -> None:
        self._store, self._legal, self._remote = store, legal, remote
        self._tasks = tuple(tasks)
        self._place = folder / _digest(terms)
        self._name = self._own_name()
        #: How far each file was read, and hashes of what was taken.
        self._read: dict[str, int] = {}
        self._taken: set[str] = set()
        #: Hashes of what others measure, and of what this run has claimed.
        self._claims: set[str] = set()
        self._mine: set[str] = set()
        self._polled = int(store.meta("share_polled", -2))
        self._origins: dict[str, int] = {}
        self._unread = 0
        self._fault = ""
        self._torn = False
        self._given = self._look_back()
        with contextlib.suppress(OSError):  # told when something is given
            self._place.mkdir(parents=True, exist_ok=True)
            if not (self._place / "terms.json").exists():
                _write_whole(self._place / "terms.json", json.dumps(terms, indent=2) + "\n")

    def _own_name(self) -> str:
        """Of this run's file; the same after a resume."""
        name = self._store.meta("share_name")
        if name is None:
            run = "".join(c if c.isalnum() or c in "-_." else "-" for c in self._store.folder.name)
            name = f"{run}-{tokens.token_hex(4)}"
            self._store.set_meta("share_name", name)
        return str(name)

    @property
    def file(self) -> Path:
        """What this run writes to."""
        return self._place / f"{self._name}.jsonl"

    # -- giving -----------------------------------------------------------------------------------

    def _look_back(self) -> set[str]:
        """Hashes of what this run gave before it was stopped."""
        given: set[str] = set()
        with contextlib.suppress(OSError):
            data = self.file.read_bytes()
            self._torn = bool(data) and not data.endswith(b"\n")
            for line in data.splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    row = _checked(line)
                    (self._mine if "claim" in row else given).add(
                        str(row.get("claim", row.get("hash")))
                    )
        return given

    def give(self, told: Evaluation) -> None:
        """Append an evaluation; failures that may pass by themselves say nothing of the design and
        stay here. Where it cannot be written, `notes` says so."""
        outcomes = {
            task: outcome_to_json(outcome)
            for task, outcome in told.outcomes.items()
            if isinstance(outcome, Measured)
            or (isinstance(outcome, Failed) and outcome.kind not in PASSING_KINDS)
        }
        if told.purpose not in GIVEN or not told.n or told.design.hash in self._given:
            return
        row = {
            "hash": told.design.hash,
            "design": told.design.to_data(),
            "purpose": told.purpose,
            "parts": parts_of(told.design, self._remote),
            "outcomes": outcomes,
        }
        if self._append(_line(row)):
            self._given.add(told.design.hash)

    def claim(self, proposal: Proposal) -> None:
        """Append a claim, once."""
        key = proposal.design.hash
        if proposal.purpose not in GIVEN or key in self._mine:
            return
        row = {"claim": key, "parts": parts_of(proposal.design, self._remote)}
        if self._append(_line(row)):
            self._mine.add(key)

    def _append(self, line: bytes) -> bool:
        try:
            place = os.open(self.file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
            try:
                data = b"\n" + line if self._torn else line  # after half a line, a new one
                self._torn = True
                while data:
                    data = data[os.write(place, data) :]
                self._torn = False
            finally:
                os.close(place)
        except OSError as error:
            self._fault = error.strerror or str(error)
            return False
        return True

    # -- taking -----------------------------------------------------------------------------------

    def take(self, position: int, proposed: Collection[str]) -> list[Evaluation]:
        """What others gave since, as evaluations whose `by` names the run that made them. A place
        where this run has been before gives what it gave then."""
        key = f"{TAKEN}{position}"
        if position <= self._polled:
            record = self._store.meta(key, {"evaluations": [], "claims": []})
        else:
            new = list[str]()
            rows = [self._keep(e) for e in self._look(proposed, new)]
            record = {"evaluations": rows, "claims": new}
            if rows or new:
                self._store.set_meta(key, record)
            self._store.set_meta("share_polled", position)
            self._polled = position
        self._claims.update(record["claims"])
        found = [
            self._store.evaluation(row["design"], row["purpose"], row["tasks"], by=row["from"])
            for row in record["evaluations"]
        ]
        for e in found:
            self._taken.add(e.design.hash)
            self._origins[e.by] = self._origins.get(e.by, 0) + 1
        return found

    def elsewhere(self, proposal: Proposal) -> bool:
        """See `Shares`. A claim of this run's own past is none of another's."""
        return proposal.purpose in GIVEN and proposal.design.hash in self._claims

    def _keep(self, taken: Evaluation) -> dict[str, Any]:
        """Store its outcomes with those of the run; what the run's record says of it."""
        self._store.add_design(taken.design)
        for task, outcome in taken.outcomes.items():
            self._store.add_outcome(taken.design.hash, "dev", task, outcome)
        return {
            "from": taken.by,
            "design": taken.design.hash,
            "purpose": taken.purpose,
            "tasks": list(taken.outcomes),
        }

    def _look(self, proposed: Collection[str], claims: list[str]) -> Iterator[Evaluation]:
        """New evaluations of others, file by file in the order of names, each design once; what
        they claimed is added to `claims`."""
        seen = set(self._taken)
        for path in self._others():
            for line in self._new_lines(path):
                try:
                    row = _checked(line)
                    if "claim" in row:
                        claims += self._claim(row, proposed)
                        continue
                    found = self._evaluation(row, path.stem)
                except (ParagentError, ValueError, KeyError, TypeError, AttributeError,
                        RecursionError):  # fmt: skip
                    self._unread += bool(line.strip())
                    continue
                if found is None or found.design.hash in seen or found.design.hash in proposed:
                    continue
                seen.add(found.design.hash)
                yield found

    def _others(self) -> list[Path]:
        try:
            names = sorted(name for name in os.listdir(self._place) if name.endswith(".jsonl"))
        except OSError:
            return []
        return [self._place / name for name in names if name != self.file.name]

    def _new_lines(self, path: Path) -> list[bytes]:
        """Whole lines that were not read yet."""
        start = self._read.get(path.name, 0)
        try:
            if path.stat().st_size < start:  # another file of the same name
                start = 0
            with path.open("rb") as file:
                file.seek(start)
                data = file.read(LOOK_BYTES)
        except OSError:
            return []
        whole = data.rfind(b"\n") + 1
        if not whole and len(data) == LOOK_BYTES:
            whole = len(data)  # no line of ours is that long
        self._read[path.name] = start + whole
        return data[:whole].split(b"\n")[:-1]

    def _claim(self, row: Mapping[str, Any], proposed: Collection[str]) -> list[str]:
        """The hash of a claim that is new and comparable, or nothing."""
        key, parts = str(row["claim"]), dict(row["parts"])
        if key in proposed or key in self._claims:
            return []
        here = {
            n: _part_digest(components[n], self._remote.get(n)) for n in parts if n in components
        }
        return [key] if parts and here == parts else []

    def _evaluation(self, row: Mapping[str, Any], origin: str) -> Evaluation | None:
        """None for what cannot be used here. Raises for what is no evaluation."""
        design, parts = Design.from_data(row["design"]), row["parts"]
        if row["purpose"] not in GIVEN or not isinstance(row["outcomes"], Mapping):
            raise ValueError("no evaluation")
        outcomes = {task: _outcome(data) for task, data in row["outcomes"].items()}
        try:
            same = parts == parts_of(design, self._remote)
        except KeyError:  # a component that is not here
            return None
        mine = {task: outcomes[task] for task in self._tasks if task in outcomes}
        if not same or not self._legal(design):
            return None
        found = Evaluation(design, "dev", row["purpose"], mine, -1, origin)
        return found if found.n else None

    def notes(self) -> list[str]:
        """What the run's notes should say of it."""
        found = []
        if self._origins:
            count, others = sum(self._origins.values()), len(self._origins)
            found.append(
                f"took {count} evaluations of {others} other search{'es' if others > 1 else ''}: "
                "what a run takes depends on when others write, so one seed gives one run no more "
                "(resuming this one gives the same again)"
            )
        if self._fault:
            found.append(f"{self.file}: cannot be written ({self._fault}): others see less of this")
        if self._unread:
            found.append(f"{self._place}: {self._unread} lines could not be read and were left out")
        return found


def _line(row: Mapping[str, Any]) -> bytes:
    body = redact(json.dumps(row, sort_keys=True)).encode()
    return hashlib.sha256(body).hexdigest()[:16].encode() + b" " + body + b"\n"


def _checked(line: bytes) -> dict[str, Any]:
    """The row of a line. Raises ValueError for half a line, or one that was changed."""
    check, _, body = line.partition(b" ")
    if hashlib.sha256(body).hexdigest()[:16].encode() != check:
        raise ValueError("the checksum is another one")
    row = json.loads(body)
    if not isinstance(row, dict):
        raise ValueError("no evaluation")
    return row


def _outcome(data: Any) -> Outcome:
    """Raises ValueError for one that no search of ours would give away."""
    outcome = outcome_from_json(data)
    usage = outcome.usage if isinstance(outcome, Measured | Failed) else None
    if usage is None:
        raise ValueError("nothing was measured")
    amounts = (usage.calls, usage.prompt_tokens, usage.completion_tokens, usage.latency_s)
    if not all(_amount(x) for x in amounts) or not (usage.usd is None or _amount(usage.usd)):
        raise ValueError("not what a task can use")
    if isinstance(outcome, Measured) and not (_amount(outcome.score) and outcome.score <= 1):
        raise ValueError("not a score")
    if isinstance(outcome, Failed) and outcome.kind not in FAILURE_KINDS:
        raise ValueError("no kind of failure")
    return outcome


def _amount(value: object) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 <= value < math.inf  # type: ignore[operator]


def _write_whole(path: Path, text: str) -> None:
    """All of it or nothing, also where several do it at once."""
    part = path.with_name(f".{path.name}.{tokens.token_hex(4)}")
    part.write_text(text, encoding="utf-8")
    os.replace(part, path)
