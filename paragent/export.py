"""A design as something to keep: canonical YAML, or a Python program of its own.

The program runs on `openai` alone where every model is an endpoint of models.yaml and every
component is one that the template knows (`STANDALONE`): prompts and pure helpers are taken from the
library, so both say the same to a model. Any other design becomes a program on `paragent`.
"""

from __future__ import annotations

import inspect
import json
import pprint
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from paragent import __version__
from paragent.chat import DEFAULT_MAX_TOKENS, MAX_TOOL_TURNS, stable_seed
from paragent.component import ANSWER_MARK, Answer, Tool, final_answer
from paragent.design import Agent, Design, Node, Part, Team
from paragent.errors import UnknownName
from paragent.inventory import used_by, yaml_with
from paragent.registry import component_of

if TYPE_CHECKING:
    from paragent.run import RunDesign
    from paragent.runtime.models_file import ModelSpec

FORMATS = ("yaml", "python")

#: Components that the template of a stand-alone program knows.
STANDALONE = (
    "best_of_n",
    "calculator",
    "cascade",
    "chain_of_thought",
    "decompose",
    "direct",
    "generate_verify",
    "orchestrator",
    "self_consistency",
    "self_refine",
    "vote",
)

#: What each of them needs of the library's pure helpers.
_NEEDS = {
    "best_of_n": ("most_confident",),
    "calculator": ("arithmetic",),
    "cascade": ("most_confident",),
    "decompose": ("arithmetic", "plan"),
    "generate_verify": ("most_confident", "normalised", "max_confidence"),
    "orchestrator": ("normalised", "choose"),
    "self_consistency": ("normalised", "plurality"),
    "self_refine": ("normalised",),
    "vote": ("normalised", "plurality", "most_confident"),
}


def export(found: RunDesign | Design, format: str = "yaml") -> str:
    """The design as the text of a file. Raises UnknownName for another format.

    A design with its run (`run.pick("knee")`) gets its measurements into the head.
    """
    if format not in FORMATS:
        raise UnknownName("format", format, FORMATS)
    picked = None if isinstance(found, Design) else found
    design = found if isinstance(found, Design) else found.design
    head = [*_about(design), *(_measurements(picked) if picked else ())]
    if format == "yaml":
        use = 'use: paragent ask THIS_FILE "a question"'
        own = picked.run.config["inventory"] if picked else {}
        return "".join(f"# {line}\n" for line in [*head, use]) + yaml_with(design, own)
    specs, why = _standalone(design)
    if why:
        return _on_paragent(design, head, why, picked)
    return _on_openai(design, head, specs)


# -- the head ---------------------------------------------------------------------------------


def _about(design: Design) -> list[str]:
    return [
        f"An agent system found by Paragent {__version__}: {_one_line(design.label)}",
        f"design {design.hash}",
    ]


def _measurements(picked: RunDesign) -> Iterator[str]:
    run, point = picked.run, picked.point
    config = run.config
    yield (
        f"run {_one_line(run.name)}: benchmark {_one_line(str(config['benchmark']))}, "
        f"searcher {config['searcher']}, seed {config['seed']}"
    )
    for split, evaluation in (("test", point.test), ("dev", point.dev)):
        interval = evaluation.interval() if evaluation else None
        if evaluation is None or interval is None:
            continue
        yield (
            f"{split} score {evaluation.score:.3f}, 95% interval [{interval.low:.3f}, "
            f"{interval.high:.3f}], on {evaluation.n} tasks"
        )
    shown = point.best_known
    usd = "unknown" if shown.usd_per_task is None else f"${shown.usd_per_task * 1000:.4g}"
    yield (
        f"cost per 1,000 tasks {usd}; per task {shown.tokens_per_task or 0:.0f} tokens in "
        f"{shown.calls_per_task or 0:.2f} calls"
    )
    yield f"found by: {_one_line(str(run.meta.get('command', '')))}"


def _one_line(text: str) -> str:
    """Without what could end a comment or a docstring, or be an escape in one."""
    plain = "".join(c if c.isprintable() else " " for c in text)
    return plain.replace("\\", "/").replace('"', "'")


# -- a program on paragent --------------------------------------------------------------------


def _on_paragent(design: Design, head: list[str], why: str, picked: RunDesign | None) -> str:
    from paragent.registry import benchmarks

    benchmark = str(picked.run.config["benchmark"]) if picked else ""
    if not picked and all(a.model.name.startswith("pocket-") for _, a in design.agents()):
        benchmark = "pocket"
    return _render(
        "agent_paragent.py.j2",
        head=[*head, f"needs paragent {__version__}, because {why}"],
        design=design.to_data(),
        benchmark=benchmark if benchmark in benchmarks else "",
        inventory=used_by(design, picked.run.config["inventory"]) if picked else {},
        endpoints=any(not agent.model.name.startswith("pocket-") for _, agent in design.agents()),
    )


# -- a program on openai alone ----------------------------------------------------------------


def _standalone(design: Design) -> tuple[dict[str, ModelSpec], str]:
    """The endpoint models of a design, and why it cannot stand on `openai` alone ("" if it can)."""
    from paragent.runtime.models_file import all_models

    if design.prompts:
        return {}, "it has prompts of its own"
    specs = all_models()
    for _, agent in design.agents():
        if agent.model.name not in specs:
            return {}, f"{agent.model.name} is no endpoint model"
        for slot, part in agent.parts():
            if slot != "model" and part.name not in STANDALONE:
                return {}, f"{part.name} is built on it"
    for _, node in design.nodes():
        if isinstance(node, Team) and node.topology.name not in STANDALONE:
            return {}, f"{node.topology.name} is built on it"
    return {a.model.name: specs[a.model.name] for _, a in design.agents()}, ""


@dataclass
class _Program:
    """The functions of a program, members before the teams that call them."""

    specs: dict[str, ModelSpec]
    used: set[str] = field(default_factory=set)
    chats: list[dict[str, Any]] = field(default_factory=list)
    functions: list[dict[str, str]] = field(default_factory=list)

    def add(self, node: Node, path: str) -> str:
        """Write one node and everything below it; returns its function's name."""
        name = _function(path)
        body = self._agent(node, path) if isinstance(node, Agent) else self._team(node, path)
        self.functions.append({"name": name, "label": _one_line(Design(node).label), "body": body})
        return name

    def _chat(self, agent: Agent, path: str) -> str:
        name = f"CHAT_{_function(path).upper()}"
        self.chats.append(
            {"name": name, "spec": self.specs[agent.model.name], "path": path, "role": agent.role}
            | {"tools": bool(agent.tools)}
        )
        self.used.update(tool.name for tool in agent.tools)
        return name

    def _agent(self, agent: Agent, path: str) -> str:
        chat = self._chat(agent, path)
        inner = self._call("reasoning", agent.reasoning, f"{chat}, question")
        for slot, part in (("planning", agent.planning), ("guard", agent.guard)):
            if part is not None:
                solve = f"lambda question: {inner}"
                inner = self._call(slot, part, f"{chat}, question, {solve}")
        return inner

    def _team(self, team: Team, path: str) -> str:
        prefix = f"{path}." if path else ""
        members = []
        for i, member in enumerate(team.members):
            function = self.add(member, f"{prefix}{i}")
            name = (member.role or member.model.name) if isinstance(member, Agent) else "team"
            members.append(f"({name!r}, {function})" if team.lead else function)
        lead = f"{self._chat(team.lead, f'{prefix}lead')}, " if team.lead else ""
        return self._call("topology", team.topology, f"{lead}[{', '.join(members)}], question")

    def _call(self, kind: Any, part: Part, arguments: str) -> str:
        self.used.add(part.name)
        params = {**component_of(kind, part.name).defaults, **dict(part.params)}
        given = "".join(f", {key}={value!r}" for key, value in sorted(params.items()))
        return f"{part.name}({arguments}{given})"


def _function(path: str) -> str:
    return f"member_{path.replace('.', '_')}" if path else "system"


def _on_openai(design: Design, head: list[str], specs: dict[str, ModelSpec]) -> str:
    program = _Program(specs)
    program.add(design.root, "")
    needs = {need for name in program.used for need in _NEEDS.get(name, ())}
    variables = sorted({s.api_key_env for s in specs.values() if s.api_key_env})
    return _render(
        "agent_openai.py.j2",
        head=head,
        variables=variables,
        chats=program.chats,
        functions=program.functions,
        used=program.used,
        needs=needs,
        protocols={c["spec"].tools for c in program.chats if c["tools"]},
        tool=_calculator(),
        max_tool_turns=MAX_TOOL_TURNS,
        max_tokens=DEFAULT_MAX_TOKENS,
        answer_mark=ANSWER_MARK,
        prompt=_prompts(),
        sources=_sources(),
    )


def _calculator() -> Tool:
    from paragent.components.calculator import TOOL

    return TOOL


def _prompts() -> dict[str, str]:
    """The wordings, from the components that own them."""
    from paragent import prompts
    from paragent.components import decompose, direct, orchestrator, self_refine

    return {
        "direct": direct.ASK.text,
        "steps": prompts.STEP_BY_STEP,
        "fix": self_refine.MEND.text,
        "plan": decompose.PLAN.text,
        "step": decompose.STEP.text,
        "choose": orchestrator.INSTRUCTION.text,
    }


def _sources() -> dict[str, str]:
    """Pure helpers as they stand in the library."""
    from paragent import arithmetic, ballot, prompts, python_text
    from paragent.components import decompose, generate_verify, orchestrator

    def source(*parts: Callable[..., Any]) -> str:
        return "\n\n".join(inspect.getsource(part) for part in parts)

    constants = "\n".join(
        line
        for line in inspect.getsource(decompose).splitlines()
        if line.startswith(("MAX_STEPS =", "_LINE =", "_REFERENCE ="))
    )
    arithmetic_source = inspect.getsource(arithmetic).partition("MAX_LENGTH =")
    return {
        "answer": source(Answer),
        "final_answer": source(final_answer),
        "draft_question": source(prompts.draft_question),
        "stable_seed": source(stable_seed),
        "arithmetic": f"{source(python_text.expression)}\n\n{''.join(arithmetic_source[1:])}",
        "normalised": source(ballot.normalised),
        "plurality": source(ballot.plurality),
        "most_confident": source(ballot.most_confident),
        "max_confidence": source(generate_verify.max_confidence),
        "choose": source(orchestrator.offers, orchestrator.choose),
        "plan": f"{constants}\n\n\n{source(decompose.read_plan, decompose.fill)}",
    }


def _render(template: str, **values: Any) -> str:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("paragent", "templates"),
        undefined=StrictUndefined,
        autoescape=False,  # Python text, not HTML; what users wrote enters by repr or one line
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    # A JSON string in which nothing but quotes, backslashes and control characters is escaped is a
    # Python string too.
    environment.filters["text"] = partial(json.dumps, ensure_ascii=False)
    environment.filters["data"] = partial(pprint.pformat, sort_dicts=False)
    return environment.get_template(template).render(values)
