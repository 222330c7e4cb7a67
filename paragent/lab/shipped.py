"""The design tables that ship with the package, by name; what is loaded is checked by hash.

`tables.json` has, for every table, a line for people and the SHA-256 of each file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from paragent.errors import ConfigError, UnknownName
from paragent.recorded import DesignTable, load_table

_HERE = Path(__file__).parent
_LIST = _HERE / "tables.json"


def shipped() -> dict[str, dict[str, Any]]:
    """Name to `summary` and `sha256` (file name to hash)."""
    found: dict[str, dict[str, Any]] = json.loads(_LIST.read_text(encoding="utf-8"))
    return found


def hashes(folder: Path) -> dict[str, str]:
    """File name to SHA-256 of all files of a table's folder."""
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def open_table(table: str, folder: Path = _HERE / "tables") -> DesignTable:
    """A table by the folder it lies in, or by the name of one that ships (a folder comes first).

    Raises UnknownName where it is neither, ConfigError for a shipped file that was changed.
    """
    if Path(table).exists() or "/" in table:
        return load_table(Path(table))
    known = shipped()
    if table not in known:
        raise UnknownName("table (nor a folder)", table, known)
    found, wanted = hashes(folder / table), known[table]["sha256"]
    for name in wanted:
        if found.get(name) != wanted[name]:
            why = "is missing" if name not in found else "is not the file that was shipped"
            raise ConfigError(f"{folder / table / name} {why}; install the package anew")
    return load_table(folder / table)
