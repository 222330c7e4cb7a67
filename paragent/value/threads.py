"""One thread of linear algebra: small matrices are faster so, and sums come out the same.

With several threads the order of additions depends on the machine's load, and so would a search.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@cache
def _controller() -> Any:
    import scipy.linalg  # noqa: F401  (brings a library of its own, which must be found too)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def one_thread() -> Iterator[None]:
    """Linear algebra inside runs on one thread."""
    with _controller().limit(limits=1, user_api="blas"):
        yield
