"""Training conversations: every mode in its wordings, notes, examples and dense drills.

``sample(key, index)`` is a pure function, so a data stream is resumed by its position alone.
Only problems of the train split are used.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from paragent.pocket import problems, wordings
from paragent.pocket.problems import Problem
from paragent.pocket.tasks import split_of
from paragent.pocket.tokenizer import END, Tokenizer

MODES: Mapping[str, float] = MappingProxyType(
    {
        "cot": 0.24, "calc": 0.23, "direct": 0.06, "plan": 0.10, "step": 0.03, "drill": 0.24,
        "fix": 0.05, "route": 0.03, "bare": 0.02,
    }
)  # fmt: skip
"""Share of samples per mode; ``drill`` is many steps in one conversation, ``bare`` has no
system turn and is answered step by step."""

EVEN: Mapping[str, float] = MappingProxyType(
    {"arithmetic": 1.1, "units": 1.1, "facts": 0.8, "lists": 1.1, "schedule": 0.9}
)
"""Relative share of samples per family for a generalist."""


@dataclass(frozen=True, slots=True)
class Mix:
    """What a model is trained on: relative shares of families and modes."""

    families: Mapping[str, float] = field(default_factory=lambda: EVEN)
    modes: Mapping[str, float] = field(default_factory=lambda: MODES)


@dataclass(frozen=True, slots=True)
class Sample:
    """One conversation.

    ``turns`` are (role, content); the loss covers the assistant turns only, without the results
    that a calculator inserts (``calculator`` tells whether one does).
    """

    family: str
    level: int
    mode: str
    turns: tuple[tuple[str, str], ...]
    calculator: bool = False


def _pick(rng: random.Random, shares: Mapping[str, float]) -> str:
    return rng.choices(list(shares), weights=list(shares.values()))[0]


def train_problem(
    rng: random.Random, family: str, level: int | None = None,
    world: Mapping[str, int] | None = None,
) -> Problem:  # fmt: skip
    """Return a problem of the train split; the level is uniform unless given."""
    while True:
        made = problems.make(family, level or rng.choice(problems.LEVELS), rng, world)
        if split_of(made.question) == "train":
            return made


def system_text(rng: random.Random, mode: str) -> str:
    """Return a wording of ``mode``: canonical in 60 %, a role in front in 35 %."""
    forms = wordings.SYSTEM[mode]
    text = forms[0] if rng.random() < 0.6 else rng.choice(forms[1:])
    if rng.random() < 0.35:
        text = wordings.ROLE_PREFIX.format(role=rng.choice(wordings.ROLES)) + text
    return text


def _notes(rng: random.Random, values: Mapping[str, int], count: int) -> list[str]:
    """Return ``count`` notes in random order: those of ``values`` and others around them."""
    form = rng.choice((0, 0, 0, 1, 2))
    told = dict(values)
    spare = [w for w in problems.UNIT_WORDS if w not in told]
    rng.shuffle(spare)
    for word in spare[: max(0, count - len(told))]:
        told[word] = rng.randint(*problems.VALUE_RANGE)
    lines = [problems.note(w, v, form) for w, v in told.items()]
    rng.shuffle(lines)
    return lines


def _context(rng: random.Random, problem: Problem, mode: str) -> str:
    """Return the question with the notes or examples that training puts in front of it."""
    question = problem.question
    if problem.family == "units":
        draw = rng.random()
        if draw < 0.06:
            return question  # Unknown values: the model learns to guess with low confidence.
        if draw < 0.12 and mode in ("cot", "calc"):
            return _unit_examples(rng, problem, mode)
        count = 24 if draw > 0.96 else rng.randint(2, 8)
        return wordings.with_notes(question, _notes(rng, problem.values, count))
    draw = rng.random()
    if draw < 0.15:
        return wordings.with_notes(question, _notes(rng, {}, rng.randint(2, 6)))
    if draw < 0.17 and mode in ("cot", "calc", "direct"):
        shown = [train_problem(rng, rng.choice(("arithmetic", "lists")), 1) for _ in range(2)]
        return wordings.with_examples(question, [(p.question, _answer(p, mode)) for p in shown])
    return question


def _unit_examples(rng: random.Random, problem: Problem, mode: str) -> str:
    """Return a ``units`` question whose values are told by worked examples."""
    world = problems.random_world(rng) | dict(problem.values)
    shown: list[Problem] = []
    for word in problem.values:
        single: Problem | None = None
        while single is None or word not in single.values:
            # One-word examples of exactly the words in need are rare draws; narrow the world.
            single = problems.units(_forced(rng, word), rng.choice((1, 1, 2)), world)
        shown.append(single)
    rng.shuffle(shown)
    return wordings.with_examples(problem.question, [(p.question, _answer(p, mode)) for p in shown])


def _forced(rng: random.Random, word: str) -> random.Random:
    """Return a generator state whose units problem uses ``word``, found by trying seeds."""
    while True:
        seed = rng.getrandbits(32)
        probe = random.Random(seed)
        probe.sample(problems.NAMES, 2)
        if probe.sample(problems.UNIT_WORDS, 1) == [word]:
            return random.Random(seed)


def _answer(problem: Problem, mode: str) -> str:
    if mode == "direct":
        return f"Answer: {problem.answer}"
    return problem.solution(calculator=mode == "calc")


_LINE = re.compile(r"^(.*?)(\d+)([-+*/])(\d+)=(\d+)$")


def corrupt(rng: random.Random, problem: Problem) -> str:
    """Return a wrong worked solution: one slip, with its consequences carried on."""
    lines = problem.solution(calculator=False).split("\n")
    kind = rng.random()
    if kind < 0.15 and len(lines) > 2:
        del lines[rng.randrange(len(lines) - 1)]
        return "\n".join(lines)
    where = rng.randrange(len(lines) - 1)
    old, new = _slip(rng, lines[where], problem)
    lines[where] = lines[where][: -len(old)] + new
    for i in range(where + 1, len(lines)):
        match = _LINE.match(lines[i])
        if match is None:
            head, mark, tail = lines[i].partition(": ")
            if tail == old:
                lines[i] = head + mark + new
            elif problem.family == "facts":
                lines[i] = re.sub(rf"\b{old}\b", new, lines[i])
            continue
        lead, a, sign, b, result = match.groups()
        a, b = (new if a == old else a), (new if b == old else b)
        x, y = int(a), int(b)
        value = {"+": x + y, "-": abs(x - y), "*": x * y, "/": x // max(y, 1)}[sign]
        lines[i] = f"{lead}{a}{sign}{b}={value}"
        old, new = result, str(value)
    return "\n".join(lines)


def _slip(rng: random.Random, line: str, problem: Problem) -> tuple[str, str]:
    """Return (end of the line, wrong end): a digit, a name or two list numbers differ."""
    if problem.family == "facts":
        old = line.rsplit(" ", 1)[1]
        return old, rng.choice([n for n in problems.NAMES if n != old])
    if problem.family == "lists":
        old = line.rsplit(": ", 1)[1]
        numbers = old.split(" ")
        if len(numbers) > 1 and rng.random() < 0.6:
            i = rng.randrange(len(numbers) - 1)
            numbers[i], numbers[i + 1] = numbers[i + 1], numbers[i]
        else:
            i = rng.randrange(len(numbers))
            numbers[i] = str(int(numbers[i]) + rng.choice((1, 2, 3)))
        return old, " ".join(numbers)
    digits = re.search(r"\d+$", line)
    assert digits is not None
    old = digits[0]
    i = rng.randrange(len(old))
    wrong = rng.choice([d for d in "123456789" if d != old[i]])
    return old, old[:i] + wrong + old[i + 1 :]


def _steps(rng: random.Random, problem: Problem) -> list[tuple[str, str]]:
    """Return (step, result) pairs of the problem's plan and of its other look-ups."""
    pairs = list(zip(problem.filled_plan(), problem.plan_results, strict=True))
    pairs += [pair for pair in problem.drills if pair not in pairs]
    rng.shuffle(pairs)
    return pairs


def _free_steps(rng: random.Random, family: str, count: int) -> list[tuple[str, str]]:
    """Return drills that need no question: sums, products or single list operations."""
    pairs: list[tuple[str, str]] = []
    while len(pairs) < count:
        if family == "lists":
            numbers = rng.sample(range(1, 25), rng.randint(2, 5))
            name, k = problems.list_op(rng, numbers, set())
            result = problems.apply_list_op(name, k, numbers)
            step = problems.list_step(name, k, " ".join(map(str, numbers)))
            pairs.append((step, " ".join(map(str, result))))
            continue
        sign = rng.choice("+-****")
        if sign == "*":
            hard = rng.random() < 0.4
            a = rng.randint(11, 40) if hard else rng.randint(2, 9)
            b = rng.randint(2, 40)
        else:
            a, b = rng.randint(1, 700), rng.randint(1, 300)
            if sign == "-" and b > a:
                a, b = b, a
        value = {"+": a + b, "-": a - b, "*": a * b}[sign]
        pairs.append((f"{a}{sign}{b}", str(value)))
    return pairs


def _drill(rng: random.Random, family: str) -> tuple[int, list[tuple[str, str]]]:
    """Return (level, turns) of a conversation of many single steps."""
    free = family in ("arithmetic", "lists") or (family == "units" and rng.random() < 0.2)
    if free:
        level, context = 0, ""
        pairs = _free_steps(rng, family, rng.randint(6, 10))
    else:
        problem = train_problem(rng, family)
        level = problem.level
        context = problem.question
        if family == "units":
            told = dict(problem.values) | {
                w: rng.randint(*problems.VALUE_RANGE)
                for w in rng.sample(problems.UNIT_WORDS, 6)
                if w not in problem.values
            }
            lines = _notes(rng, told, len(told))
            context = wordings.with_notes(context, lines)
            pairs = [(f"value of {w}", str(v)) for w, v in told.items()]
            rng.shuffle(pairs)
        else:
            pairs = _steps(rng, problem)[:9]
    turns: list[tuple[str, str]] = []
    for i, (step, result) in enumerate(pairs):
        asked = wordings.step_user(context, step) if i == 0 and context else f"Step: {step}"
        turns += [("user", asked), ("assistant", f"Answer: {result}")]
    return level, turns


def sample(mix: Mix, key: int, index: int) -> Sample:
    """Return conversation number ``index`` of the stream ``key``."""
    rng = random.Random(f"{key}/{index}")
    mode = _pick(rng, mix.modes)
    family = _pick(rng, mix.families)
    if mode == "drill":
        level, turns = _drill(rng, family)
        return Sample(family, level, mode, (("system", system_text(rng, "step")), *turns))
    if mode in ("cot", "calc") and family in ("units", "facts", "schedule") and rng.random() < 0.7:
        return _several(rng, family, mode)
    return conversation(rng, train_problem(rng, family), mode)


def _several(rng: random.Random, family: str, mode: str) -> Sample:
    """Return a conversation of 2 to 5 questions over the same facts, jobs or notes.

    Reading the context is most of a sample's cost; more questions make more of it.
    """
    world = problems.random_world(rng)
    first = train_problem(rng, family, world=world)
    asked = [first]
    for _ in range(rng.randint(1, 4)):
        if family == "facts":
            other = problems.another_facts(rng, first)
        elif family == "schedule":
            other = problems.another_schedule(rng, first)
        else:
            # Mostly over the words at hand, so that the notes stay short.
            other = train_problem(rng, family, rng.choice((1, 2, 3, 4)), world)
        if split_of(other.question) == "train":
            asked.append(other)
    if family == "units":
        told = {word: value for p in asked for word, value in p.values.items()}
        context = wordings.with_notes(
            first.question, _notes(rng, told, min(24, len(told) + rng.randint(0, 2)))
        )
    else:
        context = _context(rng, first, mode)
    turns: list[tuple[str, str]] = [("system", system_text(rng, mode))]
    for i, problem in enumerate(asked):
        mark = {"facts": "Who is ", "schedule": "At what "}.get(family)
        tail = (
            problem.question if mark is None else problem.question[problem.question.rindex(mark) :]
        )
        turns += [("user", tail if i else context), ("assistant", _answer(problem, mode))]
    return Sample(family, first.level, mode, tuple(turns), mode == "calc")


def conversation(rng: random.Random, problem: Problem, mode: str) -> Sample:
    """Return one exchange about ``problem`` in any mode but ``drill``."""
    makers: Mapping[str, Callable[[], tuple[str, str]]] = {
        "fix": lambda: _fix_turns(rng, problem),
        "plan": lambda: (_context(rng, problem, mode), numbered(problem.plan)),
        "step": lambda: _step_turns(rng, problem),
        "route": lambda: _route_turns(rng, problem),
    }
    if mode in makers:
        user, reply = makers[mode]()
    else:
        style = "cot" if mode == "bare" else mode
        user, reply = _context(rng, problem, style), _answer(problem, style)
    turns = [("user", user), ("assistant", reply)]
    if mode != "bare":
        turns.insert(0, ("system", system_text(rng, mode)))
    return Sample(problem.family, problem.level, mode, tuple(turns), mode == "calc")


def numbered(plan: Sequence[str]) -> str:
    """Return plan lines as text: ``1: first step`` and so on, one per line."""
    return "\n".join(f"{i}: {line}" for i, line in enumerate(plan, 1))


def _fix_turns(rng: random.Random, problem: Problem) -> tuple[str, str]:
    right = problem.solution(calculator=False)
    draw = rng.random()
    draft = right if draw < 0.4 else corrupt(rng, problem)
    if draw > 0.9:
        draft = draft.rsplit("\n", 1)[1]
    return wordings.fix_user(_context(rng, problem, "fix"), draft), right


def _step_turns(rng: random.Random, problem: Problem) -> tuple[str, str]:
    step, result = rng.choice(_steps(rng, problem))
    return wordings.step_user(_context(rng, problem, "step"), step), f"Answer: {result}"


def _route_turns(rng: random.Random, problem: Problem) -> tuple[str, str]:
    names = list(problems.FAMILIES)
    rng.shuffle(names)
    keep = [n for n in names if n == problem.family or rng.random() < 0.7]
    user = wordings.route_user(_context(rng, problem, "route"), keep)
    return user, f"Answer: {problem.family}"


_RESULT = re.compile(r"(?<=>>)=-?\d+")


def encode(tokenizer: Tokenizer, conversation: Sample) -> tuple[list[int], list[bool]]:
    """Return (token ids, whether each is learned): replies, but not calculator results."""
    ids: list[int] = []
    learned: list[bool] = []
    for role, content in conversation.turns:
        if role != "assistant":
            part = tokenizer.chat([(role, content)])[:-1]
            ids += part
            learned += [False] * len(part)
            continue
        ids.append(tokenizer.chat([])[0])
        learned.append(False)
        at = 0
        results = _RESULT.finditer(content) if conversation.calculator else ()
        for match in results:
            told, inserted = content[at : match.start()], match[0]
            for text, flag in ((told, True), (inserted, False)):
                part = tokenizer.encode(text)
                ids += part
                learned += [flag] * len(part)
            at = match.end()
        part = [*tokenizer.encode(content[at:]), END]
        ids += part
        learned += [True] * len(part)
    return ids, learned
