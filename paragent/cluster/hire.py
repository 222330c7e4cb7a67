"""From `--address` and `--workers` to workers that are ready, for as long as one run lasts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from paragent.benchmark import Benchmark
from paragent.cluster.session import check_address, ray_session
from paragent.config import RunConfig
from paragent.errors import UsageError

if TYPE_CHECKING:
    from paragent.cluster.executor import Workforce


def check_where(address: str, workers: int | None) -> None:
    """Raises UsageError for an address or a number of workers that makes no sense."""
    check_address(address)
    if workers is None:
        return
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise UsageError(f"workers is {workers!r}; wanted a whole number of at least 1")
    if address == "none":
        raise UsageError("workers are for a Ray cluster: give an address too (local, auto, …)")


@contextmanager
def hired(
    address: str,
    workers: int | None,
    config: RunConfig,
    benchmark: Benchmark,
    models: Sequence[str],
    *,
    own: bool,
) -> Iterator[Workforce | None]:
    """Workers for the run, or None for `none`: it then stays in this process.

    `models` are all that the run calls, judges too; `own` says that the benchmark is an object made
    in Python. Raises UsageError and ClusterError before anything is spent.
    """
    check_where(address, workers)
    if address == "none":
        yield None
        return
    from paragent.cluster.executor import Workforce
    from paragent.cluster.parcel import pack

    parcel = pack(config, benchmark, models, own=own)
    with ray_session(address) as joined, Workforce(joined, parcel, workers) as force:
        yield force
