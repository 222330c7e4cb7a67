"""What is kept of a submitted search where it was submitted: enough to follow it and bring it home.

`job.json` in the run's folder, which holds nothing else until the run comes back.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from paragent.errors import ParagentError

FILE = "job.json"


@dataclass(frozen=True, slots=True)
class Ticket:
    """A job's id on the cluster whose dashboard is at `address`; `python` runs things there."""

    job: str
    address: str
    python: str
    submitted: str

    def write(self, folder: Path) -> None:
        """Keep it in a new folder, or in one that has one. Raises ParagentError."""
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / FILE).write_text(json.dumps(asdict(self), indent=2), encoding="utf-8")
        except OSError as error:
            raise ParagentError(f"{folder}: cannot write: {error.strerror or error}") from None


def ticket_of(folder: Path) -> Ticket | None:
    """The folder's ticket; None where no job was submitted for it. Raises ParagentError."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except OSError:
        return None
    try:
        return Ticket(**{name: str(value) for name, value in json.loads(text).items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise ParagentError(f"{folder / FILE} cannot be read: {error}") from None
