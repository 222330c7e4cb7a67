"""An answer leaves only through a verifier's gate; what is held back is solved again with what the
verifier found (Cobbe et al. 2021, section 4: verifiers; the model as its own: Weng et al. 2023,
Better Reasoners with Self-Verification, section 3).

`verifier_gate` has the model's own verdict as gate; where no try passes, the last one stands with
its confidence halved, so that a team trusts it less. A verdict that cannot be read passes.
`confidence_gate` has the log-probability as gate: below `threshold` the question is drawn again
`draws` times, and the surest of all answers stands; without log-probabilities everything passes.
Of 300 dev tasks of the embedded models the confidence gate (0.97, 2 draws, calculator) turned 7 to
right and 4 to wrong on pocket-s and none on pocket-m: it is not offered to them unasked.
Model calls: (1 + retries) * (the agent's own + 1); the agent's own + draws. Require "instruct" and
"judge", or "logprobs" and "steps".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from paragent.ballot import most_confident
from paragent.component import Answer, Chat, Component, Solve, together
from paragent.design import Param
from paragent.prompts import STEP_BY_STEP, as_answer
from paragent.teamwork import brief
from paragent.template import Prompt
from paragent.verdicts import verdict

VERIFY = Prompt(
    "verifier_gate.verify",
    "Solve the question on your own first. Then compare with the given solution, and find the "
    'first step that is wrong, if one is. End with a line "Verdict: right" or "Verdict: wrong".',
)
SHOWN = Prompt("verifier_gate.shown", "Question: {question}\n\nGiven solution:\n{solution}")
AGAIN = Prompt(
    "verifier_gate.again",
    "{question}\n\nAn earlier solution was found wrong:\n{found}\nSolve the question anew.",
)

THINK = Prompt("confidence_gate.think", STEP_BY_STEP)
TEMPERATURE = 0.5


def build(retries: int) -> object:
    """A gate that lets the agent try `retries` more times."""

    async def guard(chat: Chat, question: str, solve: Solve) -> Answer:
        asked = question
        for _ in range(1 + retries):
            answer = await solve(asked)
            shown = SHOWN(question=question, solution=brief(answer.full or answer.text))
            said = (await chat.ask(VERIFY(), shown, tools=False)).text
            if answer.text and verdict(said) is not False:
                return answer
            asked = AGAIN(question=question, found=brief(said))
        doubted = None if answer.confidence is None else answer.confidence / 2
        return Answer(answer.text, answer.full, doubted)

    return guard


def build_confident(threshold: float, draws: int) -> object:
    """A gate at a confidence of `threshold`, with `draws` further draws."""

    async def guard(chat: Chat, question: str, solve: Solve) -> Answer:
        first = await solve(question)
        if first.confidence is None or first.confidence >= threshold:
            return first
        drawn = [
            chat.ask(THINK(), question, temperature=TEMPERATURE, sample=i)
            for i in range(1, draws + 1)
        ]
        return most_confident([first, *map(as_answer, await together(drawn))])

    return guard


def _calls(params: Mapping[str, Param], inner: Sequence[int]) -> int:
    return (1 + int(params["retries"])) * (1 + sum(inner))


VERIFIER_GATE = Component(
    name="verifier_gate",
    kind="guard",
    summary="lets an answer pass only after a verdict, else has it solved again",
    build=build,
    params={"retries": (1, 2)},
    calls=_calls,
    requires=("instruct", "judge"),
    prompts=(VERIFY, SHOWN, AGAIN),
    paper="Weng et al. 2023, Better Reasoners with Self-Verification, section 3",
)

CONFIDENCE_GATE = Component(
    name="confidence_gate",
    kind="guard",
    summary="draws again where the answer is not confident, and keeps the surest",
    build=build_confident,
    params={"threshold": (0.9, 0.8, 0.97), "draws": (1, 2)},
    calls=lambda params, inner: sum(inner) + int(params["draws"]),
    requires=("logprobs", "steps"),
    suits=("instruct",),
    prompts=(THINK,),
    paper="Kadavath et al. 2022, Language Models (Mostly) Know What They Know, section 3",
)
