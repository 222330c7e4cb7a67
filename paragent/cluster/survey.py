"""Whether a cluster can run a search: every node is asked, at the same time, before money is spent.

`survey` returns findings as `paragent doctor` does: `ok` is None for a mere fact. A node that does
not answer within `ANSWER_S` is a finding too, so a survey always ends.
"""

from __future__ import annotations

import importlib
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from paragent import __version__
from paragent.cluster.session import Joined, the_ray
from paragent.provenance import PACKAGES, installed

#: Seconds that a node has for its answer; user code is imported in that time.
ANSWER_S = 60.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. `node` is "" for the cluster as a whole; `fix` says what helps."""

    node: str
    name: str
    ok: bool | None
    value: str
    fix: str = ""


def survey(
    joined: Joined, parcel: bytes | None = None, models: Sequence[str] = ()
) -> Iterator[Finding]:
    """Findings of every node, in the order of their addresses.

    `parcel` is a run's (`paragent.api.packed`), `models` those whose endpoints it calls. Without a
    parcel only versions are compared.
    """
    nodes = sorted(joined.nodes(), key=lambda node: str(node["NodeManagerAddress"]))
    cores = sum(node["Resources"].get("CPU", 0) for node in nodes)
    text = f"{_count(len(nodes), 'node')}, {_count(cores, 'core')} for tasks"
    yield Finding("", "cluster", None, text)
    for node, answer in zip(nodes, _answers(nodes, parcel, models), strict=True):
        name = f"{answer.get('host') or node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        yield from _of_node(name, answer)


def _count(number: float, what: str) -> str:
    return f"{number:g} {what}" if number == 1 else f"{number:g} {what}s"


def _answers(
    nodes: Sequence[Mapping[str, Any]], parcel: bytes | None, models: Sequence[str]
) -> list[dict[str, Any]]:
    """What each node says; `silent` where it said nothing."""
    ray = the_ray()
    cloudpickle = importlib.import_module("ray.cloudpickle")
    strategies = importlib.import_module("ray.util.scheduling_strategies")
    on_node = strategies.NodeAffinitySchedulingStrategy
    asked = importlib.import_module("paragent.cluster.probe")
    cloudpickle.register_pickle_by_value(asked)
    try:
        # No core is asked for: a head without any, and a busy cluster, answer too.
        remote = ray.remote(num_cpus=0, max_retries=0)(asked.probe)
        refs = [
            remote.options(scheduling_strategy=on_node(node["NodeID"], soft=False)).remote(
                parcel, list(models), __version__, list(PACKAGES)
            )
            for node in nodes
        ]
    finally:
        cloudpickle.unregister_pickle_by_value(asked)
    done, waiting = ray.wait(refs, num_returns=len(refs), timeout=ANSWER_S)
    for ref in waiting:
        ray.cancel(ref, force=True)
    found = []
    for ref in refs:
        if ref not in done:
            found.append({"silent": f"no answer within {ANSWER_S:g} s"})
            continue
        try:
            found.append(ray.get(ref))
        except ray.exceptions.RayError as error:
            found.append({"silent": _last_line(error)})
    return found


def _of_node(node: str, answer: Mapping[str, Any]) -> Iterator[Finding]:
    if "silent" in answer:
        yield Finding(node, "answer", False, answer["silent"], "look at the node's Ray log")
        return
    same = f"install the same on every node, for {answer['executable']}"
    if answer["paragent"] is None:
        why = f"missing ({answer['why']})"
        yield Finding(node, "paragent", False, why, f"pip install paragent=={__version__} there")
    else:
        fits = answer["paragent"] == __version__
        here = "" if fits else f", here {__version__}"
        fix = "" if fits else same
        yield Finding(node, "paragent", fits, f"{answer['paragent']}{here}", fix)
    for name, there, mine in _versions(answer):
        important = name in ("python", "ray")
        here = "" if there == mine else f", here {mine or 'missing'}"
        if important or here:
            # Ray refuses other versions of itself; the others may change a digit, not the run.
            fits_ = not here if important else None
            fix = same if here and important else ""
            yield Finding(node, name, fits_, f"{there or 'missing'}{here}", fix)
    if "code" in answer:
        why = answer["code"]
        fix = "install it on every node, or bring it in a file that the settings name"
        text = why or "everything the search needs can be imported"
        yield Finding(node, "code and data", not why, text, fix if why else "")
    for model, why in answer.get("lines", {}).items():
        fix = "open the way from that node, or correct base_url or key"
        yield Finding(node, f"model {model}", not why, why or "answers", fix if why else "")


def _versions(answer: Mapping[str, Any]) -> Iterator[tuple[str, str | None, str | None]]:
    """(name, there, here) of Python and the packages."""
    yield "python", answer["python"], platform.python_version()
    for name in sorted(PACKAGES, key=lambda name: name != "ray"):
        yield name, answer["packages"].get(name), installed(name)


def _last_line(error: BaseException) -> str:
    """What counts of Ray's texts, which hold whole tracebacks."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[-1] if lines else type(error).__name__)[:300]
