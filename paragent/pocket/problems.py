"""Generators of the five task families: question, exact answer, solution steps and plan.

Every generator takes its own ``random.Random``: the same generator state gives the same problem
on every machine.  Solutions are written so that each line is one local operation (copy a value,
look one thing up, do one sum): that is what a 64-wide network can learn.  A calculation is
written ``<<expression>>=result``; leaving the brackets out gives the plain step-by-step form.
"""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

FAMILIES: tuple[str, ...] = ("arithmetic", "units", "facts", "lists", "schedule")
LEVELS: tuple[int, ...] = (1, 2, 3, 4, 5, 6)

NAMES: tuple[str, ...] = (
    "Ann", "Bob", "Carl", "Dan", "Eve", "Fay", "Gus", "Hal", "Ida", "Jon", "Kay", "Lea", "Max",
    "Ned", "Oto", "Pam", "Ray", "Sue", "Tom", "Uma", "Vic", "Wes", "Amy", "Ben", "Cleo", "Dora",
    "Eli", "Finn", "Gina", "Hugo", "Iris", "Jack",
)  # fmt: skip
ITEMS: tuple[str, ...] = (
    "apples", "pens", "cups", "books", "coins", "cards", "eggs", "nuts", "stamps", "shells",
    "plums", "beads",
)  # fmt: skip
RELATIONS: tuple[str, ...] = (
    "boss", "friend", "teacher", "doctor", "cousin", "coach", "neighbor", "partner",
)  # fmt: skip
UNIT_WORDS: tuple[str, ...] = (
    "blick", "dorn", "fesk", "gorp", "hupp", "jint", "kresh", "lomp", "murk", "nask", "plon",
    "quib", "rund", "skev", "trop", "ulm", "vash", "wib", "yont", "zeld", "brax", "clun", "drim",
    "fosh",
)  # fmt: skip
JOBS: tuple[str, ...] = (
    "Sand", "Paint", "Cut", "Drill", "Weld", "Polish", "Pack", "Ship", "Test", "Wash", "Dry",
    "Glue", "Print", "Fold", "Bake", "Mix", "Cool", "Load", "Sort", "Scan", "Build", "Grind",
    "Clean", "Heat",
)  # fmt: skip
NOTE_FORMS: tuple[str, ...] = (
    "A {word} is worth {value} coins.",
    "One {word} is worth {value} coins.",
    "The value of a {word} is {value} coins.",
)
VALUE_RANGE = (2, 15)
"""Smallest and largest value, in coins, of an invented unit."""

_BRACKETS = re.compile(r"<<(.*?)>>")


@dataclass(frozen=True, slots=True)
class Problem:
    """One generated problem.

    ``steps`` are the solution lines in calculator form; ``plan`` lines may refer to the result of
    plan line k as ``#k`` and ``plan_results`` holds those results; ``values`` are the unit values
    (coins) that a solver has to know and that the question does not tell.  ``drills`` are single
    (step, result) pairs that the question's text answers besides those of its own plan.
    """

    family: str
    level: int
    question: str
    answer: str
    steps: tuple[str, ...]
    plan: tuple[str, ...]
    plan_results: tuple[str, ...]
    values: Mapping[str, int]
    drills: tuple[tuple[str, str], ...] = ()

    def solution(self, *, calculator: bool) -> str:
        """Return the worked solution, ending in ``Answer: X``."""
        body = "\n".join(self.steps)
        if not calculator:
            body = _BRACKETS.sub(r"\1", body)
        return f"{body}\nAnswer: {self.answer}"

    def filled_plan(self) -> tuple[str, ...]:
        """Return the plan lines without numbers, each ``#k`` replaced by its result."""
        return tuple(
            re.sub(r"#(\d+)", lambda m: self.plan_results[int(m[1]) - 1], line)
            for line in self.plan
        )


def note(word: str, value: int, form: int = 0) -> str:
    """Return the sentence that tells the value of an invented unit."""
    return NOTE_FORMS[form].format(word=word, value=value)


def random_world(rng: random.Random) -> dict[str, int]:
    """Return a fresh value, in coins, for each of the 24 invented units."""
    return {word: rng.randint(*VALUE_RANGE) for word in UNIT_WORDS}


class _Sums:
    """Collects calculation steps and the matching plan lines while a story is told."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.plan: list[str] = []
        self.results: list[str] = []

    def ask(self, step: str | None, plan: str, result: int) -> tuple[int, str]:
        """Add a look-up; ``step`` None leaves it out of the worked solution."""
        if step is not None:
            self.steps.append(step)
        self.plan.append(plan)
        self.results.append(str(result))
        return result, f"#{len(self.plan)}"

    def do(
        self, left: tuple[int, str], sign: str, right: tuple[int, str], lead: str = ""
    ) -> tuple[int, str]:
        """Add one calculation on (value, plan reference) pairs; return its pair."""
        a, b = left[0], right[0]
        value = {"+": a + b, "-": a - b, "*": a * b, "/": a // b if b else 0}[sign]
        self.steps.append(f"{lead}<<{a}{sign}{b}>>={value}")
        self.plan.append(f"{left[1]}{sign}{right[1]}")
        self.results.append(str(value))
        return value, f"#{len(self.plan)}"


def _num(value: int) -> tuple[int, str]:
    return value, str(value)


def _factors(rng: random.Random, hard: float = 0.3) -> tuple[int, int]:
    """Return two factors; with probability ``hard`` both have two digits."""
    if rng.random() < hard:
        return rng.randint(11, 30), rng.randint(11, 40)
    return rng.randint(2, 9), rng.randint(3, 40)


def _inventory(rng: random.Random, level: int, sums: _Sums) -> tuple[str, int]:
    who, other = rng.sample(NAMES, 2)
    item = rng.choice(ITEMS)
    start = rng.randint(5, 99)
    total = _num(start)
    text = [rng.choice((f"{who} has {start} {item}.", f"{who} starts with {start} {item}."))]
    left = level
    while left:
        kinds = ["buy", "give", "times"]
        if left >= 2:
            kinds += ["boxes", "boxes", "sell"]
        divisors = [k for k in range(2, 10) if total[0] % k == 0 and total[0] >= 2 * k]
        if divisors:
            kinds.append("share")
        kind = rng.choice(kinds)
        if kind == "times" and total[0] > 150:
            kind = "buy"
        if kind == "give" and total[0] < 4:
            kind = "buy"
        if kind == "buy":
            k = rng.randint(2, 99)
            text.append(rng.choice((f"{who} buys {k} more.", f"{other} gives {k} more to {who}.")))
            total = sums.do(total, "+", _num(k))
        elif kind == "give":
            k = rng.randint(1, min(99, total[0] - 1))
            text.append(rng.choice((f"{who} gives {k} to {other}.", f"{who} loses {k}.")))
            total = sums.do(total, "-", _num(k))
        elif kind == "times":
            k = rng.randint(2, 9)
            text.append(f"Then {who} gets {k} times as many.")
            total = sums.do(total, "*", _num(k))
        elif kind == "share":
            k = rng.choice(divisors)
            text.append(f"{who} splits them into {k} equal bags and keeps one bag.")
            total = sums.do(total, "/", _num(k))
        else:
            boxes, each = _factors(rng)
            if kind == "sell" and boxes * each < total[0]:
                text.append(f"{who} sells {boxes} boxes with {each} in each box.")
                total = sums.do(total, "-", sums.do(_num(boxes), "*", _num(each)))
            else:
                text.append(f"{who} buys {boxes} boxes with {each} in each box.")
                total = sums.do(total, "+", sums.do(_num(boxes), "*", _num(each)))
            left -= 1
        left -= 1
    if rng.random() < 0.3:
        text.insert(rng.randint(1, len(text)), f"{other} has {rng.randint(2, 60)} {item} too.")
    text.append(f"How many {item} does {who} have now?")
    return " ".join(text), total[0]


def _shopping(rng: random.Random, level: int, sums: _Sums) -> tuple[str, int]:
    who = rng.choice(NAMES)
    kinds = min((level + 1) // 2, len(ITEMS))
    parts: list[str] = []
    total: tuple[int, str] | None = None
    for item in rng.sample(ITEMS, kinds):
        count, price = _factors(rng)
        parts.append(f"{count} {item} at {price} dollars each")
        cost = sums.do(_num(count), "*", _num(price))
        total = cost if total is None else sums.do(total, "+", cost)
    assert total is not None
    bought = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    text = f"{who} buys {bought}."
    if level % 2 == 0:
        paid = total[0] + rng.randint(1, 99)
        text += f" {who} pays with {paid} dollars. How much change does {who} get?"
        total = sums.do(_num(paid), "-", total)
    else:
        text += f" How many dollars does {who} pay?"
    return text, total[0]


def _compare(rng: random.Random, level: int, sums: _Sums) -> tuple[str, int]:
    people = rng.sample(NAMES, level + 1)
    item = rng.choice(ITEMS)
    start = rng.randint(5, 60)
    total = _num(start)
    text = [f"{people[0]} has {start} {item}."]
    for before, who in itertools.pairwise(people):
        kind = rng.choice(("more", "fewer", "times"))
        if kind == "times" and total[0] < 200:
            k = rng.randint(2, 9)
            text.append(f"{who} has {k} times as many as {before}.")
            total = sums.do(total, "*", _num(k))
        elif kind == "fewer" and total[0] > 3:
            k = rng.randint(1, min(60, total[0] - 1))
            text.append(f"{who} has {k} fewer than {before}.")
            total = sums.do(total, "-", _num(k))
        else:
            k = rng.randint(2, 90)
            text.append(f"{who} has {k} more than {before}.")
            total = sums.do(total, "+", _num(k))
    text.append(f"How many {item} does {people[-1]} have?")
    return " ".join(text), total[0]


def arithmetic(rng: random.Random, level: int) -> Problem:
    """Return a word problem of ``level`` operations (inventory, shopping or comparison)."""
    sums = _Sums()
    story = rng.choice((_inventory, _inventory, _shopping, _compare))
    question, answer = story(rng, level, sums)
    return Problem("arithmetic", level, question, str(answer), tuple(sums.steps),
                   tuple(sums.plan), tuple(sums.results), {})  # fmt: skip


def units(rng: random.Random, level: int, world: Mapping[str, int] | None = None) -> Problem:
    """Return a sum over amounts of invented units, whose values are not in the question.

    ``world`` gives the values in coins; None draws a fresh world.
    """
    values = random_world(rng) if world is None else world
    who, other = rng.sample(NAMES, 2)
    words = rng.sample(UNIT_WORDS, (level + 1) // 2)
    sums = _Sums()
    total: tuple[int, str] | None = None
    parts: list[str] = []
    for word in words:
        count = rng.randint(2, 9) if rng.random() < 0.6 else rng.randint(10, 40)
        parts.append(f"{count} {word}")
        value = sums.ask(f"{word}={values[word]}", f"value of {word}", values[word])
        worth = sums.do(_num(count), "*", value)
        total = worth if total is None else sums.do(total, "+", worth)
    assert total is not None
    amount = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    text = rng.choice((f"{who} has {amount}.", f"{who} finds {amount}."))
    if level % 2 == 0:
        k = rng.randint(2, 60)
        if total[0] > k and rng.random() < 0.5:
            text += f" {who} pays {k} coins to {other}."
            total = sums.do(total, "-", _num(k))
        else:
            text += f" {other} adds {k} coins."
            total = sums.do(total, "+", _num(k))
    text += rng.choice(
        (f" How many coins does {who} have in all?", " How many coins is that worth?")
    )
    return Problem("units", level, text, str(total[0]), tuple(sums.steps), tuple(sums.plan),
                   tuple(sums.results), {word: values[word] for word in words})  # fmt: skip


def facts(rng: random.Random, level: int) -> Problem:
    """Return a question of ``level`` hops over at most 15 shuffled facts."""
    people = rng.sample(NAMES, rng.randint(max(level + 2, 5), 14))
    chain = people[: level + 1]
    relations = rng.sample(RELATIONS, level)
    known = {(r, a): b for r, a, b in zip(relations, chain, chain[1:], strict=False)}
    target = min(15, level + rng.randint(3, 9))
    while len(known) < target:
        # Half of the distractors share the person with the chain, so that both keys matter.
        source = rng.choice(chain) if rng.random() < 0.5 else rng.choice(people)
        relation, goal = rng.choice(RELATIONS), rng.choice(people)
        if goal != source and (relation, source) not in known:
            known[relation, source] = goal
    order = list(known)
    rng.shuffle(order)
    told = " ".join(f"The {r} of {a} is {known[r, a]}." for r, a in order)
    return _facts_question(rng, told, known, chain, relations)


def _facts_question(
    rng: random.Random, told: str, known: Mapping[tuple[str, str], str], chain: Sequence[str],
    relations: Sequence[str],
) -> Problem:  # fmt: skip
    """Return the question that walks ``relations`` along the people of ``chain``."""
    if rng.random() < 0.75:
        asked = "'s ".join([chain[0], *relations])
        question = f"{told} Who is {asked}?"
    else:
        asked = " of ".join(f"the {r}" for r in reversed(relations))
        question = f"{told} Who is {asked} of {chain[0]}?"
    hops = list(zip(relations, chain, chain[1:], strict=False))
    steps = tuple(f"{r} of {a} is {b}" for r, a, b in hops)
    plan = tuple(f"{r} of {chain[0] if i == 0 else f'#{i}'}" for i, r in enumerate(relations))
    drills = tuple((f"{r} of {a}", b) for (r, a), b in known.items())
    return Problem("facts", len(relations), question, chain[-1], steps, plan, tuple(chain[1:]),
                   {}, drills)  # fmt: skip


def another_facts(rng: random.Random, problem: Problem) -> Problem:
    """Return another question over the facts of ``problem``: a random walk of at most 6 hops."""
    told = problem.question[: problem.question.rindex(" Who is ")]
    known = {(k.split(" ")[0], k.split(" ")[2]): v for k, v in problem.drills}
    chain = [rng.choice([a for _, a in known])]
    relations: list[str] = []
    for _ in range(rng.choice(LEVELS)):
        onward = [r for r, a in known if a == chain[-1] and r not in relations]
        if not onward:
            break
        relations.append(rng.choice(onward))
        chain.append(known[relations[-1], chain[-1]])
    return _facts_question(rng, told, known, chain, relations)


_LIST_OPS: tuple[str, ...] = (
    "reverse", "first to end", "last to front", "swap ends", "drop first", "drop last", "double",
    "add", "append", "prepend",
)  # fmt: skip
_LIST_TEXT: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "reverse": ("Reverse it.", "Reverse the list."),
        "first to end": ("Move the first number to the end.",),
        "last to front": ("Move the last number to the front.",),
        "swap ends": ("Swap the first and the last number.",),
        "drop first": ("Drop the first number.",),
        "drop last": ("Drop the last number.",),
        "double": ("Double every number.",),
        "add": ("Add {k} to every number.",),
        "append": ("Append {k} at the end.",),
        "prepend": ("Prepend {k} at the front.",),
    }
)
_MIN_LIST, _MAX_LIST = 2, 5


def apply_list_op(name: str, k: int, numbers: list[int]) -> list[int]:
    """Return ``numbers`` after one named list operation with argument ``k``."""
    actions: Mapping[str, Callable[[], list[int]]] = {
        "reverse": lambda: numbers[::-1],
        "first to end": lambda: numbers[1:] + numbers[:1],
        "last to front": lambda: numbers[-1:] + numbers[:-1],
        "swap ends": lambda: [numbers[-1], *numbers[1:-1], numbers[0]],
        "drop first": lambda: numbers[1:],
        "drop last": lambda: numbers[:-1],
        "double": lambda: [2 * n for n in numbers],
        "add": lambda: [n + k for n in numbers],
        "append": lambda: [*numbers, k],
        "prepend": lambda: [k, *numbers],
    }
    return actions[name]()


def list_op(rng: random.Random, numbers: list[int], used: set[str]) -> tuple[str, int]:
    """Draw an operation not in ``used`` that keeps 2 to 5 numbers; return (name, argument)."""
    allowed = [
        name
        for name in _LIST_OPS
        if name not in used
        and not (name in ("drop first", "drop last") and len(numbers) <= _MIN_LIST)
        and not (name in ("append", "prepend") and len(numbers) >= _MAX_LIST)
    ]
    name = rng.choice(allowed)
    k = rng.randint(2, 9)
    # Numbers stay distinct, so that "the one after 7" always names one place.
    while name in ("append", "prepend") and k in numbers:
        k = rng.randint(1, 30)
    return name, k


def list_step(name: str, k: int, target: str) -> str:
    """Return the plan wording of a list operation on ``target`` (numbers or ``#k``)."""
    return f"{name} {k} to {target}" if name in ("add", "append", "prepend") else f"{name} {target}"


def lists(rng: random.Random, level: int) -> Problem:
    """Return a chain of ``level`` different operations on a list of 2 to 5 numbers."""
    numbers = rng.sample(range(1, 13), rng.randint(3, 5))
    now = " ".join(map(str, numbers))
    text = [rng.choice((f"Start with the list {now}.", f"Take the list {now}."))]
    steps: list[str] = []
    plan: list[str] = []
    results: list[str] = []
    used: set[str] = set()
    for i in range(level):
        name, k = list_op(rng, numbers, used)
        used.add(name)
        text.append(rng.choice(_LIST_TEXT[name]).format(k=k))
        plan.append(list_step(name, k, f"#{i}" if i else now))
        numbers = apply_list_op(name, k, numbers)
        now = " ".join(map(str, numbers))
        label = f"{name} {k}" if name in ("add", "append", "prepend") else name
        steps.append(f"{label}: {now}")
        results.append(now)
    text.append(rng.choice(("What is the list now?", "What list do you get?")))
    return Problem("lists", level, " ".join(text), now, tuple(steps), tuple(plan),
                   tuple(results), {})  # fmt: skip


def schedule(rng: random.Random, level: int) -> Problem:
    """Return "when does X end?" over a chain of ``level`` dependent jobs, with distractors."""
    jobs = rng.sample(JOBS, level + rng.randint(1, 3))
    chain, spare = jobs[:level], jobs[level:]
    takes = {job: rng.randint(3, 60) for job in jobs}
    begin = {chain[-1]: rng.randint(1, 90)}
    after = dict(itertools.pairwise(chain))
    for job in spare:
        if rng.random() < 0.6:
            after[job] = rng.choice([other for other in jobs if other not in spare])
        else:
            begin[job] = rng.randint(1, 90)
    told = [f"{job} takes {takes[job]} minutes." for job in jobs]
    told += [f"{job} starts after {before}." for job, before in after.items()]
    told += [f"{job} starts at minute {at}." for job, at in begin.items()]
    rng.shuffle(told)
    return _schedule_question(" ".join(told), takes, after, begin, chain[0])


def _schedule_question(
    told: str, takes: Mapping[str, int], after: Mapping[str, str], begin: Mapping[str, int],
    goal: str,
) -> Problem:  # fmt: skip
    """Return the question when job ``goal`` ends; times are in minutes."""
    chain = [goal]
    while chain[-1] in after:
        chain.append(after[chain[-1]])
    question = f"{told} At what minute does {goal} end?"
    sums = _Sums()
    total = sums.ask(f"{goal} takes {takes[goal]}", f"time of {goal}", takes[goal])
    for job, before in itertools.pairwise(chain):
        found = sums.ask(None, f"time of {before}", takes[before])
        total = sums.do(found, "+", total, lead=f"{job} after {before} ")
    root = chain[-1]
    found = sums.ask(None, f"start of {root}", begin[root])
    total = sums.do(found, "+", total, lead=f"{root} starts ")
    drills = [(f"time of {job}", str(minutes)) for job, minutes in takes.items()]
    drills += [(f"start of {job}", str(at)) for job, at in begin.items()]
    return Problem("schedule", len(chain), question, str(total[0]), tuple(sums.steps),
                   tuple(sums.plan), tuple(sums.results), {}, tuple(drills))  # fmt: skip


def another_schedule(rng: random.Random, problem: Problem) -> Problem:
    """Return the question about another job of the same schedule."""
    told = problem.question[: problem.question.rindex(" At what ")]
    takes = {job: int(n) for job, n in re.findall(r"(\w+) takes (\d+)", told)}
    after = dict(re.findall(r"(\w+) starts after (\w+)", told))
    begin = {job: int(n) for job, n in re.findall(r"(\w+) starts at minute (\d+)", told)}
    return _schedule_question(told, takes, after, begin, rng.choice(list(takes)))


_MAKERS: Mapping[str, Callable[[random.Random, int], Problem]] = MappingProxyType(
    {
        "arithmetic": arithmetic,
        "units": units,
        "facts": facts,
        "lists": lists,
        "schedule": schedule,
    }
)


def make(
    family: str, level: int, rng: random.Random, world: Mapping[str, int] | None = None
) -> Problem:
    """Return one problem of a family and level; ``world`` only matters for ``units``."""
    if family == "units":
        return units(rng, level, world)
    return _MAKERS[family](rng, level)
