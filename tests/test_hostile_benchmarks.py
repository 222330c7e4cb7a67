"""Hostile answers against the benchmarks that act: worlds, plans, calls, networks of agents."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from real_data import real_data

from paragent.arithmetic import ArithmeticFault, evaluate
from paragent.benchmark import Benchmark
from paragent.benchmarks import bfcl, bfcl_multi_turn, planbench, tau
from paragent.environment import Action, Interactive, Refused, World
from paragent.hostile import PIECES, answer_hostilely, hostile
from paragent.registry import benchmarks
from paragent.worlds.airline import calculated
from paragent.worlds.office import Mathematics
from paragent.worlds.service import Fault, told

ENVIRONMENTS: dict[str, Callable[[], Benchmark]] = {
    **{
        name: lambda name=name: benchmarks[name].load()  # type: ignore[misc]
        for name in ("agentsnet", "blocks_world", "game24", "govsim", "pocket", "pocket_hard")
    },
    "planbench": lambda: planbench.load("blocksworld", real_data("benchmarks", "planbench")),
    "planbench_logistics": lambda: planbench.load(
        "logistics", real_data("benchmarks", "planbench")
    ),
    "bfcl": lambda: bfcl.load(data=real_data("benchmarks", "bfcl")),
    "bfcl_multi_turn": lambda: bfcl_multi_turn.load(real_data("benchmarks", "bfcl")),
    "tau_airline": lambda: tau.load("airline", data=real_data("benchmarks", "tau_airline")),
    "tau_retail": lambda: tau.load("retail", data=real_data("benchmarks", "tau_retail")),
}


def attack(name: str, count: int, seed: int) -> float:
    """Seconds of the slowest of `count` answers to the first tasks."""
    benchmark = ENVIRONMENTS[name]()
    tasks = benchmark.tasks("dev")[:60]
    slowest, text = asyncio.run(answer_hostilely(benchmark, list(hostile(count, seed)), tasks))
    assert slowest < 5, f"{slowest:.1f} s for {text!r}"
    return slowest


@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_hostile_answers_are_refused_or_scored(name: str) -> None:
    """60 answers, the huge ones among them: a score in [0, 1] or a refusal, and no hang."""
    attack(name, 60, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ENVIRONMENTS))
def test_ten_thousand_hostile_answers(name: str) -> None:
    """The same over 10,000 answers of another seed."""
    attack(name, 10_000, 1)


@pytest.mark.parametrize("text", ["1e999999", "-1e999999", "1e400-1e400", "0/0", "9" * 150, "1e99"])
def test_the_calculators_refuse_what_is_no_number(text: str) -> None:
    """Infinity, nothing over nothing and numbers of more than 30 digits are refused, not raised."""
    with pytest.raises(ArithmeticFault):
        evaluate(text)
    with pytest.raises(Refused):
        calculated(text)


def test_numbers_whose_result_overflows_are_faults() -> None:
    """Whole numbers of 250 digits multiplied, a list with one of 400, a power without end."""
    desk, huge = Mathematics({}), 10**250
    tries: list[Callable[[], object]] = [
        lambda: desk.multiply(huge, huge),
        lambda: desk.max_value([10**400]),
        lambda: desk.sum_values([10**400, 1.0]),
        lambda: desk.mean([10**400]),
        lambda: desk.power(10.0**8, 10**8),
        lambda: desk.percentage(huge, 1e-299),
        lambda: desk.logarithm(float("nan"), 2.0, 10),
        lambda: desk.standard_deviation([1e299, -1e299]),
    ]
    for work in tries:
        with pytest.raises(Fault):
            told(work)


def test_a_tool_answers_hostile_numbers_with_its_refusal() -> None:
    """Through the door that a design uses: an error that the model reads, and the world goes on."""
    benchmark = bfcl_multi_turn.load(real_data("benchmarks", "bfcl"))
    assert isinstance(benchmark, Interactive)
    for task in benchmark.tasks("dev")[:20]:
        environment = benchmark.environment(task)
        world = World(environment, 10_000)
        for tool in environment.tools:
            for piece in ("1e999999", "NaN", "-1e308", "1e299", "9" * 299):
                names = tool.schema["properties"]
                argument = "{" + ", ".join(f"{json.dumps(n)}: {piece}" for n in names) + "}"
                assert isinstance(asyncio.run(world.act(tool, argument)), str)


def test_the_pieces_hold_the_numbers_that_break_arithmetic() -> None:
    """The generator is of use only as long as these are in it."""
    assert {"1e999999", "NaN", "inf", "0/0", "9^9^9"} <= set(PIECES)
    assert Action.of("calculate", expression="1e999999").arguments == '{"expression": "1e999999"}'
