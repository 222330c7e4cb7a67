"""What a language model is asked on behalf of a searcher, and how its answers are read.

Every answer is one JSON object, checked as a whole: known keys, legal parts of this space,
templates with their places, a number of an offered edit. What breaks a rule is refused with a
reason and never repaired. Model text becomes data of a design (a prompt, a choice, the slots of a
sub-agent), never code, a path or a name outside the space.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from paragent.design import Agent, Design, Part
from paragent.errors import ParagentError
from paragent.inventory import register_inventory
from paragent.outcome import Evaluation
from paragent.parts import find_part, parts_of, templates
from paragent.refine import answering, changes
from paragent.registry import components
from paragent.skills import MOST_SKILLS, Skill, skills_named
from paragent.space import DesignSpace
from paragent.template import flat, mistaken, nested

SYSTEM = (
    "You help to search for good LLM-agent systems. Reply with one JSON object and nothing else."
)
#: Proposals that are read from one answer; edits that are offered; characters of one text.
MOST_PROPOSALS, MOST_EDITS, MOST_TEXT = 3, 40, 4000
#: Characters of a task, an answer or a reply that are shown.
SHOWN = 600
_SLOTS = ("reasoning", "planning", "memory", "tools", "guard")
_BODY = ("promise", "prompt", *_SLOTS)
_NAME = re.compile(r"[^a-z0-9]+")


class Nonsense(ValueError):
    """An answer that cannot be used; the message says why."""


@dataclass(frozen=True)
class Seen:
    """One task as it is shown: what was asked, wanted and answered, and what was said by whom."""

    task: str
    question: str
    wanted: str
    answered: str
    signs: tuple[str, ...] = ()
    said: tuple[tuple[str, str], ...] = ()


@dataclass
class Read:
    """What became of one answer: designs, the sub-agents that they bring, and refusals."""

    designs: list[Design] = field(default_factory=list)
    subagents: dict[str, dict[str, Any]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)


def json_object(text: str) -> dict[str, Any]:
    """The one JSON object of an answer, alone or in one code block. Raises Nonsense; also for
    characters that control a terminal, or that cannot be written to a file."""
    text = text.strip()
    block = re.fullmatch(r"```(?:json)?\s*\n(.*?)\n?```", text, re.DOTALL)
    try:
        found = json.loads(block[1] if block else text, parse_constant=_no_constant)
        plain = json.dumps(found, ensure_ascii=False)
        plain.encode()
    except (ValueError, RecursionError):
        raise Nonsense("the answer is no JSON object") from None
    if re.search(r"\\u00[01]|\\[bfr]|[\x7f-\x9f]", plain.replace("\\\\", "")):
        raise Nonsense("the answer holds control characters")
    if not isinstance(found, dict):
        raise Nonsense("the answer is no JSON object")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(name)


def _list(data: Mapping[str, Any], key: str) -> list[Any]:
    found = data.get(key)
    if set(data) != {key} or not isinstance(found, list) or not found:
        raise Nonsense(f"wanted one key, {key!r}, with a list")
    return found


# -- edits: other texts, another edit, a new sub-agent in an agent's place ------------------------


def offered(space: DesignSpace, evaluation: Evaluation) -> list[Design]:
    """The edits that are shown: those that answer a sign of its failures, then others, spread."""
    design = evaluation.design
    every = list(space.edits(design))
    first = {d.hash: d for sign in evaluation.signs for d in answering(sign, design, every)}
    rest = [d for d in every if d.hash not in first]
    chosen = _spread(list(first.values()), MOST_EDITS)
    return [*chosen, *_spread(rest, MOST_EDITS - len(chosen))]


def _spread(items: list[Design], most: int) -> list[Design]:
    if len(items) <= most:
        return items
    return [items[i * len(items) // most] for i in range(most)] if most else []


def texts_open(space: DesignSpace, design: Design) -> dict[str, str]:
    """Templates of the design that may be reworded, with the text in force: of agents whose model
    follows free instructions, but for those that the user has set."""
    set_by_user = {name for name, _ in space.prompts}
    names = set()
    for _, node in design.nodes():
        agents = [node] if isinstance(node, Agent) else [a for _, a in Design(node).agents()]
        if all(_follows(agent) for agent in agents):
            names |= {part.name for part in parts_of(node)}
    now, known = dict(design.prompts), templates()
    return {
        p.name: now.get(p.name, p.text)
        for name in sorted(names & known.keys())
        for p in known[name]
        if p.name not in set_by_user
    }


def _follows(agent: Agent) -> bool:
    model = find_part("model", agent.model)
    return model is not None and "instruct" in model.provides


def ask_edits(
    space: DesignSpace, evaluation: Evaluation, edits: Sequence[Design], seen: Sequence[Seen]
) -> str:
    """The question for better versions of a design."""
    design = evaluation.design
    texts = texts_open(space, design)
    options = [f"{i}: {', '.join(changes(design, d)) or d.label}" for i, d in enumerate(edits)]
    parts = [
        "A design of an agent system, in YAML:",
        design.to_yaml().strip(),
        _measured(evaluation),
        *_tasks("Tasks that it failed:", seen),
        "Edits of it that are possible (+ added, - taken away, = another parameter):",
        *(options or ["none"]),
    ]
    if texts:
        parts += ["Texts of it that may be reworded; keep every place in braces:"]
        parts += [f"{name}: {json.dumps(text)}" for name, text in texts.items()]
    parts += [
        _parts_known(space),
        f"Propose at most {MOST_PROPOSALS} better versions, the best first, as"
        ' {"proposals": [...]}. Each proposal is an object with one or more of: "edit" (the number'
        ' of an edit), "texts" ({"name": "new text"}), and "agent", a new sub-agent in the place of'
        ' the agent at "at" (its path in the tree: "" is the root, "0" the first member): '
        f"{_agent_form(_follows_any(space))}.",
    ]
    return "\n".join(parts)


def read_edits(
    text: str, space: DesignSpace, evaluation: Evaluation, edits: Sequence[Design]
) -> Read:
    """The proposals of an answer to `ask_edits`. Raises Nonsense."""
    found, seen = Read(), {evaluation.design.hash}
    for number, each in enumerate(_list(json_object(text), "proposals")):
        if number == MOST_PROPOSALS:
            found.refused.append(f"more than {MOST_PROPOSALS} proposals")
            break
        try:
            design = _edited(each, space, evaluation.design, edits, found)
            reasons = space.check(design)
            if reasons:
                raise Nonsense(reasons[0])
            if design.hash in seen:
                raise Nonsense("changes nothing")
        except (Nonsense, ParagentError) as why:
            found.refused.append(str(why))
            continue
        seen.add(design.hash)
        found.designs.append(design)
    return found


def _edited(
    body: Any, space: DesignSpace, design: Design, edits: Sequence[Design], found: Read
) -> Design:
    known = {"edit", "texts", "agent", "at", "why"}
    if (
        not isinstance(body, dict)
        or not set(body) <= known
        or not set(body) & known - {"at", "why"}
    ):
        raise Nonsense("a proposal wants edit, texts or agent")
    if "edit" in body:
        number = body["edit"]
        if type(number) is not int or not 0 <= number < len(edits):
            raise Nonsense(f"there is no edit {str(number)[:40]!r}")
        design = edits[number]
    if "agent" in body:
        design = _with_agent(body, space, design, found)
    if "texts" in body:
        design = _reworded(body["texts"], space, design)
    return space.normalise(design)


def _with_agent(body: Mapping[str, Any], space: DesignSpace, design: Design, found: Read) -> Design:
    at = body.get("at", "")
    places = {path: a for path, a in design.agents() if not path.endswith("lead")}
    if not isinstance(at, str) or at not in places:
        raise Nonsense(f"there is no agent at {str(at)[:40]!r}")
    name = _new_subagent(body["agent"], space, found)
    model = places[at].model
    return design.replace_at(at, Agent(model, role=places[at].role, subagent=Part(name)))


def _reworded(texts: Any, space: DesignSpace, design: Design) -> Design:
    open_now = texts_open(space, design)
    if not isinstance(texts, dict) or not texts:
        raise Nonsense("texts wants names of templates with their texts")
    for name, text in texts.items():
        if name not in open_now:
            raise Nonsense(f"the text {str(name)[:60]!r} is not open to change")
        if not isinstance(text, str) or not text.strip() or len(text) > MOST_TEXT:
            raise Nonsense(f"{name}: wanted a text of at most {MOST_TEXT} characters")
    wrong = mistaken(nested(texts.items()), templates())
    if wrong:
        raise Nonsense(f"{'.'.join(wrong[0])}: {wrong[1]}")
    pairs = {**dict(design.prompts), **dict(flat(nested(texts.items())))}
    return replace(design, prompts=tuple(sorted(pairs.items())))


# -- sub-agents -----------------------------------------------------------------------------------


def ask_arms(
    space: DesignSpace, best: Sequence[Design], questions: Sequence[str], most: int
) -> str:
    """The question for new sub-agents."""
    parts = ["Questions of the benchmark:", *(f"- {q[:SHOWN]}" for q in questions)]
    if best:
        parts += ["Agents that did well, the best first:", *(f"- {d.label}" for d in best)]
    parts += [
        _parts_known(space),
        f'Propose at most {most} new sub-agents that would help a team, as {{"agents": [...]}}. '
        f'Each is an object with "model" (one of those above) and: '
        f"{_agent_form(_follows_any(space))}.",
    ]
    return "\n".join(parts)


def read_arms(text: str, space: DesignSpace, most: int) -> Read:
    """The agents of an answer to `ask_arms`, each as a design. Raises Nonsense."""
    found = Read()
    models = {m.name for m in space.models}
    for number, each in enumerate(_list(json_object(text), "agents")):
        if number == most:
            found.refused.append(f"more than {most} agents")
            break
        try:
            model = each.get("model") if isinstance(each, dict) else None
            if not isinstance(model, str) or model not in models:
                raise Nonsense("an agent wants one of the models")
            body = {key: value for key, value in each.items() if key != "model"}
            name = _new_subagent(body, space, found)
            design = space.normalise(Design(Agent(Part(model), subagent=Part(name))))
            reasons = space.check(design)
            if reasons:
                raise Nonsense(reasons[0])
        except (Nonsense, ParagentError) as why:
            found.refused.append(str(why))
            continue
        found.designs.append(design)
    return found


def _new_subagent(body: Any, space: DesignSpace, found: Read) -> str:
    """Registers what was described, and offers it in the space; its name ends in a hash of its
    content, so the same description is the same sub-agent, in every process and by any name."""
    if not isinstance(body, dict) or not set(body) <= {*_BODY, "name"}:
        raise Nonsense(f"an agent wants {', '.join(_BODY)}")
    for key in ("promise", "prompt"):
        if len(str(body.get(key, ""))) > MOST_TEXT:
            raise Nonsense(f"{key}: at most {MOST_TEXT} characters")
    content = {key: body[key] for key in _BODY if body.get(key)}
    slug = _NAME.sub("_", str(body.get("name", "agent")).lower()).strip("_")[:24] or "agent"
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    there = [c.name for c in space.by_kind["subagent"] if c.name.endswith(f"_{digest}")]
    name = there[0] if there else f"{slug}_{digest}"
    if not there:
        register_inventory({"subagents": {name: content}})
        try:
            space.admit(components[name])
        except ParagentError:
            components.unregister(name)
            raise
    found.subagents[name] = content
    return name


def _follows_any(space: DesignSpace) -> bool:
    return any("instruct" in m.provides for m in space.models)


def _agent_form(prompts: bool) -> str:
    told = ' "prompt" (what its model is told before every instruction),' if prompts else ""
    return (
        f'{{"name": ..., "promise": (what it can do, in a few words),{told} "reasoning": ..., '
        '"planning": ..., "memory": ..., "tools": [...], "guard": ...}, each a name above or '
        '{"name": {"parameter": value}}; leave out what is not needed'
    )


def _parts_known(space: DesignSpace) -> str:
    """The parts of the space with their parameters, a kind a line."""
    lines = ["Parts that exist:"]
    for kind in ("model", "reasoning", "planning", "memory", "tool", "guard", "topology"):
        names = []
        for c in space.by_kind[kind]:
            params = "; ".join(f"{k} {'/'.join(map(str, v))}" for k, v in c.params.items())
            names.append(f"{c.name} ({c.summary}{'; ' + params if params else ''})")
        if names:
            lines.append(f"{kind}: {', '.join(names)}")
    return "\n".join(lines)


def _measured(evaluation: Evaluation) -> str:
    signs = ", ".join(f"{sign} {n}" for sign, n in evaluation.signs.items()) or "nothing logged"
    score = "unknown" if evaluation.score is None else f"{evaluation.score:.3f}"
    return f"It scores {score} on {evaluation.n} tasks. How tasks failed: {signs}."


def _tasks(title: str, seen: Sequence[Seen]) -> Iterator[str]:
    if seen:
        yield title
    for i, s in enumerate(seen):
        yield f"{i}. {s.question[:SHOWN]}"
        for who, text in s.said:
            yield f"   {who or 'the agent'} said: {text[-SHOWN:]}"
        signs = f" ({', '.join(s.signs)})" if s.signs else ""
        yield f"   answered: {s.answered[:SHOWN]!r}, wanted: {s.wanted[:SHOWN]!r}{signs}"


# -- skills and verdicts --------------------------------------------------------------------------


def ask_skills(questions: Sequence[str]) -> str:
    """The question for the skills that a benchmark asks for."""
    return "\n".join(
        [
            "Questions of a benchmark:",
            *(f"- {q[:SHOWN]}" for q in questions),
            f"Which skills do they ask for? Name at most {MOST_SKILLS}, as"
            ' {"skills": [{"name": ..., "description": (typical words of it), "weight": (share of'
            ' the questions, above 0), "queries": [two or three questions that probe it]}]}.',
        ]
    )


def read_skills(text: str, questions: Mapping[str, str], probes: int) -> tuple[Skill, ...]:
    """The skills of an answer to `ask_skills`; probe tasks are the benchmark's own tasks nearest to
    what was described, so that no model judges its own questions. Raises Nonsense."""
    rows = []
    for each in _list(json_object(text), "skills"):
        if not isinstance(each, dict) or set(each) != {"name", "description", "weight", "queries"}:
            raise Nonsense("a skill wants name, description, weight and queries")
        name, about, weight, queries = (
            each[k] for k in ("name", "description", "weight", "queries")
        )
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 < weight < 1e6:
            raise Nonsense(f"the weight {str(weight)[:40]!r} is no number above 0")
        if not isinstance(queries, list) or not all(
            isinstance(t, str) and len(t) <= MOST_TEXT for t in (name, about, *queries)
        ):
            raise Nonsense("name, description and queries want texts")
        if not str(name).strip():
            raise Nonsense("a skill wants a name")
        rows.append((str(name).strip()[:60], float(weight), " ".join([about, *queries])))
    if len(rows) > MOST_SKILLS or len({name for name, _, _ in rows}) < len(rows):
        raise Nonsense(f"wanted at most {MOST_SKILLS} skills of different names")
    found = skills_named(rows, questions, probes=probes)
    if not found:
        raise Nonsense("no task is near any of the skills")
    return found


def ask_verdicts(team: str, members: int, seen: Sequence[Seen]) -> str:
    """The question who of a team helped, task by task."""
    return "\n".join(
        [
            f"A team of {members} agents, {team}, was given tasks.",
            *_tasks("What its members (0, 1, …) said, and what the team answered:", seen),
            "Which members helped the team to answer rightly? A member whose answer was not used,"
            ' or was wrong, did not help. Reply with {"verdicts": {"0": [...], ...}}: for every'
            f" task its number and a list of {members} values, true (helped) or false.",
        ]
    )


def read_verdicts(
    text: str, seen: Sequence[Seen], asked: Sequence[Sequence[bool]]
) -> dict[str, tuple[bool | None, ...]]:
    """The verdicts of an answer to `ask_verdicts`, by task; `asked` says which members were asked
    (others get None). Raises Nonsense unless every task has one value for every member."""
    data = json_object(text)
    said = data.get("verdicts")
    if set(data) != {"verdicts"} or not isinstance(said, dict):
        raise Nonsense("wanted one key, 'verdicts', with an object")
    found = {}
    for i, (task, members) in enumerate(zip(seen, asked, strict=True)):
        row = said.get(str(i))
        if (
            not isinstance(row, list)
            or len(row) != len(members)
            or not all(isinstance(v, bool) or v is None for v in row)
        ):
            raise Nonsense(f"task {i}: wanted {len(members)} times true or false")
        found[task.task] = tuple(
            bool(v) if was else None for v, was in zip(row, members, strict=True)
        )
    return found
