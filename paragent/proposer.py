"""A language model that advises the searcher: asked after results, paid like every other call.

    questions   the searcher's (`paragent.searcher.Consults`), taken after every result it is told
    answers     handed over after the next result, in the order of the questions; so a run stays a
                function of its seed, and designs in flight go on meanwhile
    calls       through the session, with the purpose "propose" or "judge": journal, cache and caps
    failure     a failed call, a cap or an answer of no use is noted and counted, and the searcher
                goes on with the edits of its space
    resume      completions come from the journal, and what failed then fails again: the same search

What a model wrote is data (see `paragent.advice`). Sub-agents that it describes enter the space and
the run's settings, so that designs with them run on every worker, and are exported whole.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from paragent.advice import (
    MOST_PROPOSALS,
    SYSTEM,
    Nonsense,
    Read,
    Seen,
    ask_arms,
    ask_edits,
    ask_skills,
    ask_verdicts,
    offered,
    read_arms,
    read_edits,
    read_skills,
    read_verdicts,
)
from paragent.benchmark import Benchmark, Task
from paragent.chat import Caller, TaskRun, TraceStep
from paragent.compile import compile_design
from paragent.config import RunConfig
from paragent.design import Design, Team
from paragent.environment import Interactive
from paragent.errors import CallFailure, CapReached, UsageError
from paragent.hindsight import Agreement, by_rule
from paragent.inventory import used_by
from paragent.outcome import Evaluation, Measured, Purpose
from paragent.registry import component_of, components
from paragent.runtime.journal import Journal, call_key
from paragent.runtime.model import LanguageModel, Message, Request
from paragent.searcher import Advice, Consults, Question
from paragent.signs import FAILED_BELOW
from paragent.space import DesignSpace
from paragent.trace import FromJournal

#: Tokens of one answer.
MAX_TOKENS = 1500
#: Failed tasks shown of a design; tasks judged of a team; questions shown for skills, and for arms.
MOST_FAILED, MOST_JUDGED, FOR_SKILLS, FOR_ARMS = 4, 6, 40, 8
#: Probe tasks that a skill may have.
PROBES = 24


def check_proposer(config: RunConfig) -> None:
    """Raises UsageError for a proposer that cannot propose, and for a judge without one."""
    if config.proposer is None:
        if config.options.get("credit") == "judge":
            raise UsageError("credit by a judge needs a language model: give --proposer MODEL")
        return
    model = component_of("model", config.proposer, "proposer")
    if "instruct" not in model.provides:
        raise UsageError(
            f"proposer: {model.name} does not follow free instructions, so it cannot propose "
            "designs; give a model of models.yaml that does (`paragent list models`)"
        )
    price = model.price
    if config.usd is not None and (price is None or price.usd(1, 1) is None):
        raise UsageError(
            f"a cap in dollars needs every price; unknown for the proposer: {model.name}"
        )


@dataclass(frozen=True)
class _Asked:
    """A question as it is sent, and how its answer is read."""

    question: Question
    text: str
    purpose: Purpose
    read: Callable[[str], tuple[Advice, Read]]


@dataclass
class Proposer:
    """See the module. `name` is the model's; `keep(record)` stores what is reported;
    `keep_subagents` what it described; `failures` are those of an earlier part of the run."""

    name: str
    searcher: Consults
    space: DesignSpace
    benchmark: Benchmark
    caller: Caller
    journal: Journal
    seed: int
    keep: Callable[[Mapping[str, Any]], None]
    keep_subagents: Callable[[Mapping[str, Any]], None]
    failures: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        component = component_of("model", self.name, "proposer")
        self._model: LanguageModel = component.build(**component.defaults)
        self._tasks = {task.id: task for task in self.benchmark.tasks("dev")}
        self._entries: list[dict[str, Any]] = []
        self._agreement = Agreement()
        self._subagents: dict[str, Any] = {}
        self._pending: list[tuple[Question, asyncio.Task[tuple[_Asked | None, str, str]]]] = []

    # -- what the engine calls --------------------------------------------------------------------

    async def begin(self) -> None:
        """Before the first proposal: what the searcher must know to begin."""
        self._ask()
        await self._deliver()

    async def told(self, *, more: bool) -> None:
        """After a result was told: hand over the answers to the last questions, take new ones
        where `more` designs will be proposed."""
        await self._deliver()
        if more:
            self._ask()

    async def aclose(self) -> None:
        """Cut off what is in flight."""
        for _, task in self._pending:
            task.cancel()
        await asyncio.gather(*(task for _, task in self._pending), return_exceptions=True)
        self._pending = []

    def written(self, design: Design) -> dict[str, Any]:
        """The design as a job's data, with the sub-agents of a model's making that it uses."""
        used = used_by(design, {"subagents": self._subagents})
        return {**design.to_data(), **{k: v for k, v in used.items() if k == "subagents"}}

    def record(self) -> dict[str, Any]:
        """What came of it, as plain data."""
        asked = Counter(e["kind"] for e in self._entries)
        failed = Counter(e["failed"] for e in self._entries if e["failed"])
        return {
            "model": self.name,
            "asked": dict(sorted(asked.items())),
            "failed": dict(sorted(failed.items())),
            "refused": dict(Counter(why for e in self._entries for why in e["refused"])),
            "designs": [key for e in self._entries for key in e["designs"]],
            "subagents": sorted(self._subagents),
            "agreement": self._agreement.to_data() if self._agreement.n else None,
            "entries": self._entries,
            "failures": dict(self.failures),
        }

    def notes(self) -> list[str]:
        """What a reader of the run should know."""
        record = self.record()
        asked, failed = sum(record["asked"].values()), sum(record["failed"].values())
        kinds = ", ".join(f"{kind} {n}" for kind, n in record["asked"].items())
        lines = [f"{self.name} was asked for advice {asked} times{kinds and f' ({kinds})'}"]
        if record["designs"]:
            lines[0] += f": {len(set(record['designs']))} designs or sub-agents came of it"
        if failed:
            kinds = ", ".join(f"{kind} {n}" for kind, n in record["failed"].items())
            lines.append(
                f"{failed} of its {asked} answers were of no use ({kinds}): there the search went "
                "on with the edits of its space"
            )
        refused = sum(record["refused"].values())
        if refused:
            usual = max(sorted(record["refused"]), key=lambda why: record["refused"][why])
            lines.append(f"{refused} of its proposals were refused; for instance: {usual[:200]}")
        agreement = record["agreement"]
        if agreement:
            kappa = agreement["kappa"]
            beyond = "" if kappa is None else f", kappa {kappa:.2f}"
            lines.append(
                f"as a judge of members it agreed with the rule on {agreement['share']:.0%} of "
                f"{agreement['verdicts']} verdicts{beyond}"
            )
        return lines

    # -- asking -----------------------------------------------------------------------------------

    def _ask(self) -> None:
        for question in self.searcher.questions():
            self._pending.append((question, asyncio.ensure_future(self._answer(question))))

    async def _answer(self, question: Question) -> tuple[_Asked | None, str, str]:
        """The question as it was sent, the text that came, and why none came."""
        asked = await self._prepare(question)
        if asked is None:
            return None, "", ""
        request = self._request(asked)
        key = call_key(self._model, request).hex()
        if key in self.failures:
            return asked, "", self.failures[key]
        try:
            completion = await self.caller.call(self._model, request, asked.purpose)
        except CapReached as reached:
            return asked, "", f"cap on {reached.cap}"
        except CallFailure as failure:
            return asked, "", failure.kind
        return asked, completion.text, ""

    def _request(self, asked: _Asked) -> Request:
        messages = (Message("system", SYSTEM), Message("user", asked.text))
        return Request(messages, max_tokens=MAX_TOKENS)

    async def _deliver(self) -> None:
        """Read the answers, in the order of the questions, and hand them over."""
        pending, self._pending = self._pending, []
        for i, (question, task) in enumerate(pending):
            try:
                asked, text, failed = await task
            except BaseException:
                self._pending = pending[i:]  # for `aclose`
                raise
            self.searcher.advise(question, self._read(asked, text, failed) if asked else None)
        if pending:
            self.keep(self.record())

    def _read(self, asked: _Asked, text: str, failed: str) -> Advice | None:
        key = call_key(self._model, self._request(asked)).hex()
        advice, read = None, Read()
        if failed:
            self.failures[key] = failed
        else:
            try:
                advice, read = asked.read(text)
            except Nonsense as why:  # it is in the journal, and will be read to the same end
                failed, read.refused = "nonsense", [str(why)]
        if read.subagents:
            self._subagents |= read.subagents
            self.keep_subagents(read.subagents)
        self._entries.append(
            {
                "kind": asked.question.kind,
                "failed": failed,
                "refused": [why[:300] for why in read.refused],
                "designs": [d.hash for d in read.designs],
            }
        )
        return advice

    async def _prepare(self, question: Question) -> _Asked | None:
        kind, evaluation = question.kind, question.evaluation
        if kind == "edit" and evaluation is not None:
            edits = offered(self.space, evaluation)
            seen = await self._failures(evaluation)

            def read_edit(text: str) -> tuple[Advice, Read]:
                read = read_edits(text, self.space, evaluation, edits)
                return Advice(designs=tuple(read.designs)), read

            text = ask_edits(self.space, evaluation, edits, seen)
            return _Asked(question, text, "propose", read_edit)
        if kind == "arms":
            shown = [t.question for t in list(self._tasks.values())[:FOR_ARMS]]

            def read_arm(text: str) -> tuple[Advice, Read]:
                read = read_arms(text, self.space, MOST_PROPOSALS)
                return Advice(designs=tuple(read.designs)), read

            text = ask_arms(self.space, question.designs, shown, MOST_PROPOSALS)
            return _Asked(question, text, "propose", read_arm)
        if kind == "skills":
            questions = {t.id: t.question for t in self._tasks.values()}

            def read_skill(text: str) -> tuple[Advice, Read]:
                return Advice(skills=read_skills(text, questions, PROBES)), Read()

            shown = list(questions.values())[:FOR_SKILLS]
            return _Asked(question, ask_skills(shown), "propose", read_skill)
        if kind == "judge" and evaluation is not None:
            return await self._verdicts(question, evaluation)
        return None

    async def _verdicts(self, question: Question, evaluation: Evaluation) -> _Asked | None:
        root = evaluation.design.root
        members = len(root.members) if isinstance(root, Team) else 0
        rule = by_rule(evaluation, members)
        chosen = [t for t in rule if sum(v is not None for v in rule[t]) > 1][:MOST_JUDGED]
        if not chosen:
            return None
        seen = [await self._seen(evaluation, task, whole=True) for task in chosen]
        asked = [[v is not None for v in rule[task]] for task in chosen]

        def read(text: str) -> tuple[Advice, Read]:
            verdicts = read_verdicts(text, seen, asked)
            self._agreement.add(rule, verdicts)
            return Advice(verdicts=verdicts), Read()

        text = ask_verdicts(evaluation.design.label, members, seen)
        return _Asked(question, text, "judge", read)

    # -- what was said ----------------------------------------------------------------------------

    async def _failures(self, evaluation: Evaluation) -> list[Seen]:
        """Some failed tasks: one of each sign first, so that kinds of failure are seen."""
        failed: dict[str, tuple[str, ...]] = {
            t: o.signs if isinstance(o, Measured) else ()
            for t, o in evaluation.outcomes.items()
            if isinstance(o, Measured) and o.score < FAILED_BELOW
        }
        first = {signs: task for task, signs in reversed(failed.items())}
        chosen = list(dict.fromkeys([*first.values(), *failed]))[:MOST_FAILED]
        return [await self._seen(evaluation, task, whole=False) for task in sorted(chosen)]

    async def _seen(self, evaluation: Evaluation, task_id: str, *, whole: bool) -> Seen:
        """A task with what was answered, and the last words of the agent, or of every member."""
        task, outcome = self._tasks[task_id], evaluation.outcomes[task_id]
        answered = outcome.answer if isinstance(outcome, Measured) else ""
        signs = outcome.signs if isinstance(outcome, Measured) else ()
        steps = await self._replayed(evaluation.design, task)
        last = {step.path.split(".")[0]: step.completion.text for step in steps}
        if not whole:
            last = dict(list(last.items())[-2:])
        said = tuple(sorted(last.items()))
        return Seen(task_id, task.question, task.answer, answered, signs, said)

    async def _replayed(self, design: Design, task: Task) -> list[TraceStep]:
        """The task's calls from the journal; none where replaying would do more than look up:
        in an environment, with tools of the user's own, or with code in a cage."""
        steps: list[TraceStep] = []
        if isinstance(self.benchmark, Interactive) or not all(map(_pure, _parts(design))):
            return steps
        run = TaskRun(
            FromJournal(self.journal), "propose", self.seed, self.benchmark.context, trace=steps
        )
        try:
            await compile_design(design).answer(run, task.question)
        except (
            Exception
        ):  # whatever stopped it then stops it again: what was said until then counts
            return steps
        return steps


def _parts(design: Design) -> list[str]:
    return [part.name for _, agent in design.agents() for _, part in agent.parts()]


def _pure(name: str) -> bool:
    if name not in components:
        return False
    component = components[name]
    own = component.kind == "tool" and component in components.added()
    return not own and "cage" not in component.requires


def proposer_of(
    config: RunConfig,
    searcher: object,
    space: DesignSpace,
    benchmark: Benchmark,
    caller: Caller,
    journal: Journal,
    *,
    keep: Callable[[Mapping[str, Any]], None],
    keep_subagents: Callable[[Mapping[str, Any]], None],
    earlier: Mapping[str, Any] | None,
) -> Proposer | None:
    """The run's proposer; None without a model, or where the searcher asks for no advice."""
    if config.proposer is None or not isinstance(searcher, Consults):
        return None
    return Proposer(
        config.proposer,
        searcher,
        space,
        benchmark,
        caller,
        journal,
        config.seed,
        keep,
        keep_subagents,
        dict((earlier or {}).get("failures", {})),
    )
