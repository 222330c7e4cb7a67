"""Use a design: one question, one answer, outside any search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from paragent.chat import TaskRun, TraceStep
from paragent.compile import compile_design
from paragent.component import Answer, Context, Price, together
from paragent.design import Design, Team
from paragent.outcome import Usage
from paragent.registry import component_of
from paragent.runtime.model import Completion, LanguageModel, Request
from paragent.runtime.pocket import close_pool


class DirectCaller:
    """Calls the model, with no cache, budget or limit between: a person is asking."""

    async def call(self, model: LanguageModel, request: Request, purpose: object) -> Completion:
        """One call."""
        return await model.complete(request)


@dataclass(frozen=True, slots=True)
class NodeUsage:
    """What a node of a design used, with all below it. `path` and `depth` are those of the tree,
    the root's being "" and 0; `usage.latency_s` is not known per node and stays 0."""

    path: str
    title: str
    depth: int
    usage: Usage


def node_usage(design: Design, trace: Sequence[TraceStep]) -> list[NodeUsage]:
    """Calls, tokens and dollars at each node, in pre-order."""
    found = []
    for path, node in design.nodes():
        inside = [s for s in trace if not path or s.path == path or s.path.startswith(f"{path}.")]
        usage = Usage()
        for step in inside:
            c = step.completion
            price = component_of("model", step.model).price or Price()
            usd = price.usd(c.prompt_tokens, c.completion_tokens, c.cached_tokens)
            usage = usage + Usage(1, c.prompt_tokens, c.completion_tokens, usd)
        title = node.topology.name if isinstance(node, Team) else node.role or node.model.name
        found.append(NodeUsage(path, title, path.count(".") + bool(path), usage))
    return found


async def ask_design(
    design: Design,
    question: str,
    context: Context | None = None,
    *,
    seed: int = 0,
    trace: list[TraceStep] | None = None,
) -> Answer:
    """The design's answer. Raises CallFailure, or InvalidDesign for a design that cannot run."""
    (answer,) = await ask_all(design, [question], context, seed=seed, trace=trace)
    return answer


async def ask_all(
    design: Design,
    questions: Sequence[str],
    context: Context | None = None,
    *,
    seed: int = 0,
    trace: list[TraceStep] | None = None,
) -> list[Answer]:
    """The design's answers to many questions, asked at the same time; raises as `ask_design`."""
    system, given = compile_design(design), context or Context()

    async def one(question: str) -> Answer:
        run = TaskRun(DirectCaller(), "trial", seed, given, trace=trace)
        return await system.answer(run, question)

    try:
        return await together([one(question) for question in questions])
    finally:
        for model in system.models.values():
            await model.aclose()
        await close_pool()
