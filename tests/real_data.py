"""Where the real data sets lie that some tests measure against; they are no part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def real_data(*parts: str) -> Path:
    """A folder or file of the real data; the test is skipped, saying so, where it is not there.

    The folder is `$PARAGENT_DATA`, or `shared/data` beside the checkout.
    """
    base = Path(os.environ.get("PARAGENT_DATA") or ROOT.parent / "shared" / "data")
    path = base.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"no real data at {path} (set PARAGENT_DATA to the folder that holds it)")
    return path
