"""Where the rows of public data sets come from, and whether they are what was published.

A data set is looked for, in this order: in the file or folder that the user names (`--data`, or
`data:` in a specification), in the folder `$PARAGENT_DATA` (under `NAME` or `benchmarks/NAME`), in
the user's cache. `paragent fetch NAME` fills the cache from the public hub, through the package
`datasets` (extra `hub`), once; after that no network is used.

Every file is JSON lines, one row a line. A fetched folder has a `manifest.json` with the count and
the SHA-256 of each file, checked whenever it is read: a cache that was cut or changed is refused.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paragent.errors import ConfigError, UsageError

Row = Mapping[str, Any]

MANIFEST = "manifest.json"
EXTRA = "pip install 'paragent[hub]'"


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a data set: `name`.jsonl, or the one file whose name begins `name`_.

    `rows` is the published number of rows. `hub_split` is what the hub calls it.
    """

    name: str
    rows: int
    hub_split: str = ""


def same_row(row: Row) -> Row:
    """For data sets whose hub rows have our fields already."""
    return row


@dataclass(frozen=True)
class Source:
    """A public data set. `convert` makes a row of ours from the hub's; `fields` must be there.

    `configs` are the hub's names of its pieces, in order; each row then says its own under
    "config". `where` says where a data set that is on no hub can be had.
    """

    name: str
    parts: tuple[Part, ...]
    fields: tuple[str, ...]
    hub: str = ""
    configs: tuple[str, ...] = ()
    where: str = ""
    convert: Callable[[Row], Row] = field(default=same_row, repr=False)

    def missing(self) -> str:
        """The command that makes it ready, or "" where it is."""
        place = self.place()
        if place is not None and all(_file(place, part) for part in self.parts):
            return ""
        return self.command()

    def command(self) -> str:
        """What fetches it, with the package that this takes where it is not installed."""
        if not self.hub:
            hint = f"   # {self.where}" if self.where else ""
            return f"paragent search --benchmark {self.name} --data FOLDER{hint}"
        fetch = f"paragent fetch {self.name}"
        return fetch if _has_hub() else f"{EXTRA} && {fetch}"

    def place(self, data: str | Path | None = None) -> Path | None:
        """The folder (or single file) that holds it, or None."""
        if data is not None:
            return Path(data)
        base = os.environ.get("PARAGENT_DATA")
        places = [Path(base) / self.name, Path(base) / "benchmarks" / self.name] if base else []
        for place in (*places, cache_folder() / self.name):
            if place.is_dir():
                return place
        return None

    def rows(self, part: str, data: str | Path | None = None) -> list[Row]:
        """The rows of one part. Raises UsageError where they are missing, saying what to run."""
        wanted = next(p for p in self.parts if p.name == part)
        place = self.place(data)
        if place is None:
            raise UsageError(
                f"the data of benchmark {self.name!r} is not on this machine; run: "
                f"{self.command()}" + ("   (or give its folder: --data FOLDER)" if self.hub else "")
            )
        if not place.exists():
            raise UsageError(f"--data {place}: there is no such file or folder")
        file = place if place.is_file() else _file(place, wanted)
        if file is None:
            raise UsageError(
                f"{place}: {part}.jsonl of benchmark {self.name!r} is missing; run: "
                f"{self.command()}"
            )
        _check(file, self.name)
        rows = []
        for number, row in read_lines(file):
            rows.append(row)
            lacking = [name for name in self.fields if name not in row]
            if lacking:
                raise ConfigError(
                    f"{file}:{number}: the field {lacking[0]!r} is missing; "
                    f"{self.name} needs {', '.join(self.fields)}"
                )
        if not rows:
            raise ConfigError(f"{file}: no rows")
        return rows

    def has(self, part: str, data: str | Path | None = None) -> bool:
        """Whether a part is there (a single file is every part)."""
        place = self.place(data)
        wanted = next(p for p in self.parts if p.name == part)
        return place is not None and place.is_dir() and _file(place, wanted) is not None


def cache_folder() -> Path:
    """Where fetched data sets are kept."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "paragent" / "benchmarks"


def read_lines(file: Path) -> Iterator[tuple[int, Row]]:
    """(line, row) of a JSON-lines file. Raises ConfigError with file and line."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{file}: there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{file}: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file}: byte {error.start + 1} is no UTF-8 text") from None
    for number, line in enumerate(text.split("\n"), 1):  # splitlines() would cut at U+2028
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{file}:{number}: not JSON ({error})") from None
        if not isinstance(row, dict):
            raise ConfigError(f"{file}:{number}: got {line.strip()[:40]}; wanted an object {{…}}")
        yield number, row


def fetch(source: Source, load: Callable[..., Any] | None = None) -> list[str]:
    """Fill the cache from the hub; returns a line for each file written.

    `load` stands in for `datasets.load_dataset` in tests. Raises UsageError where the package is
    missing, the data set cannot be reached, or the count is not the published one.
    """
    if not source.hub:
        raise UsageError(f"{source.name} is on no hub; give its folder with --data")
    if load is None:
        load = _load_dataset()
    folder = cache_folder() / source.name
    folder.mkdir(parents=True, exist_ok=True)
    said, manifest = [], {}
    for part in source.parts:
        try:
            found = _all_configs(source, part, load)
        except Exception as error:  # another package's many kinds of failure
            why = str(error).strip().splitlines() or [type(error).__name__]
            raise UsageError(f"{source.hub} cannot be fetched: {why[0][:200]}") from None
        rows = [dict(source.convert(row)) for row in found]
        if len(rows) != part.rows:
            raise UsageError(
                f"{source.hub} ({part.name}) has {len(rows)} rows; {part.rows} were published: "
                "another version, which is not taken"
            )
        data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        file = folder / f"{part.name}.jsonl"
        half = file.with_suffix(".part")
        half.write_bytes(data)
        half.replace(file)
        manifest[file.name] = {"rows": len(rows), "sha256": hashlib.sha256(data).hexdigest()}
        said.append(f"{file}: {len(rows)} rows")
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return said


def _all_configs(source: Source, part: Part, load: Callable[..., Any]) -> list[Row]:
    split = part.hub_split or part.name
    if not source.configs:
        return list(load(source.hub, split=split))
    return [
        {**row, "config": config}
        for config in source.configs
        for row in load(source.hub, config, split=split)
    ]


def _load_dataset() -> Callable[..., Any]:
    try:
        from datasets import load_dataset  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        raise UsageError(f"the package `datasets` is not installed; run: {EXTRA}") from None
    found: Callable[..., Any] = load_dataset
    return found


def _file(place: Path, part: Part) -> Path | None:
    if place.is_file():
        return place
    exact = place / f"{part.name}.jsonl"
    if exact.is_file():
        return exact
    found = sorted(place.glob(f"{part.name}_*.jsonl"))
    return found[0] if len(found) == 1 else None


def _check(file: Path, name: str) -> None:
    """A fetched file must be what was fetched."""
    manifest = file.parent / MANIFEST
    if not manifest.is_file():
        return
    try:
        known = json.loads(manifest.read_text(encoding="utf-8")).get(file.name)
    except (OSError, ValueError, AttributeError):
        known = None
    if known and hashlib.sha256(file.read_bytes()).hexdigest() != known.get("sha256"):
        raise ConfigError(
            f"{file}: the file is not what was fetched (its hash differs); "
            f"run again: paragent fetch {name}"
        )


def _has_hub() -> bool:
    import importlib.util

    return importlib.util.find_spec("datasets") is not None
