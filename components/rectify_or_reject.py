"""A message is audited against indicators of known failures; what is flawed is rectified, and what
stays flawed is rejected (AgentDropoutV2, arXiv 2602.23258: rectify-or-reject with a pool of
indicators, audit, retries and a fallback).

`INDICATORS` is a pool of failures that were written for it; the `k` nearest to question and
solution (TF-IDF) are audited side by side. A flaw counts only with a suggestion and an impact on
the answer. The message passes where no indicator shows a flaw; else the agent tries again with the
suggestions. A message that is still flawed is rejected: `fallback` "keep" lets the first answer
stand with half its confidence, "drop" gives none, which votes of a team leave out.
Model calls: (1 + retries) * (the agent's own + k). Requires "instruct" and "judge".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paragent.component import Answer, Chat, Component, Solve, together
from paragent.design import Param
from paragent.retrieval import similar
from paragent.teamwork import brief
from paragent.template import Prompt

AUDIT = Prompt(
    "rectify_or_reject.audit",
    "Audit the message for one kind of failure only. Answer in four lines:\n"
    "Evidence: the words of the message that show it, or none\n"
    "Flawed: yes or no\n"
    "Suggestion: what exactly to change, or none\n"
    "Impact: yes if it makes the final answer wrong, else no",
)
SHOWN = Prompt(
    "rectify_or_reject.shown",
    "Question: {question}\n\nMessage:\n{message}\n\nKind of failure: {name}. {definition}",
)
AGAIN = Prompt(
    "rectify_or_reject.again",
    "{question}\n\nAn earlier solution had flaws. Take these suggestions into account:\n{found}",
)


@dataclass(frozen=True, slots=True)
class Indicator:
    """One kind of failure; `words` help to find when it may occur."""

    name: str
    definition: str
    words: str


#: The generic pool. Ties in nearness go to the earlier one, so the most common stand first.
INDICATORS = (
    Indicator(
        "Slip of calculation",
        "A sum, product, quotient or comparison in a step is not what its operands give.",
        "number plus minus times divided total how many sum product percent calculate equals",
    ),
    Indicator(
        "Wrong thing answered",
        "The final answer is a quantity or thing other than the one the question asks for.",
        "how many what which who find left remaining each more than answer question asked",
    ),
    Indicator(
        "Condition left out",
        "A number, fact or restriction of the question that matters is not used.",
        "only if except at least at most each every both given that must not condition",
    ),
    Indicator(
        "Unit mixed up",
        "Quantities of different units are combined, or the answer is in another unit than asked.",
        "unit meters km miles hours minutes seconds dollars cents kg convert per rate speed time",
    ),
    Indicator(
        "Unsupported assumption",
        "A step uses a fact that neither the question nor an earlier step gives.",
        "assume suppose probably likely must be because since fact relation knows",
    ),
    Indicator(
        "Contradiction",
        "Two steps, or a step and the final answer, say different things about the same matter.",
        "therefore so but however thus answer final option same not contradict",
    ),
    Indicator(
        "Wrong order or state",
        "Operations are applied in another order than told, or to an outdated state.",
        "then after before first next order list sort reverse rotate step sequence schedule start",
    ),
    Indicator(
        "Cases missed or counted twice",
        "A split into cases does not cover all of them, or counts one twice.",
        "case count ways probability choose arrangements either or all possible number of",
    ),
)

_FIELD = re.compile(
    r"^\W{0,4}(flawed|suggestion|impact)\W{0,4}:\W{0,4}(.*)$", re.IGNORECASE | re.MULTILINE
)


def flaw(text: str) -> str:
    """The suggestion of an audit that counts; "" where the indicator is clean.

    It counts only if it is called flawed, has an impact, and says what to change.
    """
    fields = {name.casefold(): said.strip(" *_`.") for name, said in _FIELD.findall(text)}
    yes = all(fields.get(f, "").casefold().startswith("yes") for f in ("flawed", "impact"))
    suggestion = fields.get("suggestion", "")
    return suggestion if yes and suggestion.casefold() not in ("", "none", "no", "n/a") else ""


def nearest(text: str, k: int) -> list[Indicator]:
    """The `k` indicators nearest to the text, in the order of the pool where none is near."""
    pool = tuple(f"{i.name} {i.definition} {i.words}" for i in INDICATORS)
    order = dict.fromkeys([*similar(pool, text, k), *range(len(pool))])
    return [INDICATORS[i] for i in list(order)[:k]]


def build(k: int, retries: int, fallback: str) -> object:
    """A guard of `k` indicators and `retries` further tries; `fallback` is "keep" or "drop"."""

    async def audit(chat: Chat, question: str, message: str, indicator: Indicator) -> str:
        shown = SHOWN(
            question=question,
            message=message,
            name=indicator.name,
            definition=indicator.definition,
        )
        return flaw((await chat.ask(AUDIT(), shown, tools=False, memory=False)).text)

    async def guard(chat: Chat, question: str, solve: Solve) -> Answer:
        asked, first = question, None
        for _ in range(1 + retries):
            answer = await solve(asked)
            first = first or answer
            message = brief(answer.full or answer.text)
            found = await together(
                [
                    audit(chat, question, message, indicator)
                    for indicator in nearest(f"{question}\n{message}", k)
                ]
            )
            flaws = list(dict.fromkeys(f for f in found if f))
            if not answer.text:
                flaws.append("Give a final answer.")
            if not flaws:
                return answer
            asked = AGAIN(question=question, found=brief("\n".join(f"- {f}" for f in flaws)))
        assert first is not None
        doubted = None if first.confidence is None else first.confidence / 2
        return Answer(first.text if fallback == "keep" else "", first.full, doubted)

    return guard


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return (1 + int(params["retries"])) * (sum(inner) + int(params["k"]))


RECTIFY_OR_REJECT = Component(
    name="rectify_or_reject",
    kind="guard",
    summary="audits the answer for known failures, has it mended, and rejects what stays flawed",
    build=build,
    params={"k": (2, 4), "retries": (1, 2), "fallback": ("keep", "drop")},
    calls=_calls,
    requires=("instruct", "judge"),
    prompts=(AUDIT, SHOWN, AGAIN),
    paper="AgentDropoutV2, arXiv 2602.23258, rectify-or-reject pruning",
)
