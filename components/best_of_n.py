"""Sample several chains of thought and keep the one the model itself finds most probable.

The verifier is the geometric mean token probability of the model's own reply (Kadavath et al. 2022
show that such self-assessment is informative). Where a model gives no log-probabilities the
first sample stands.

Model calls: n. Provides "steps".
"""

from __future__ import annotations

from paragent.ballot import most_confident
from paragent.component import Answer, Chat, Component, together
from paragent.prompts import STEP_BY_STEP, as_answer
from paragent.template import Prompt

THINK = Prompt("best_of_n.think", STEP_BY_STEP)


def build(n: int, temperature: float) -> object:
    """A solver that draws `n` chains at `temperature`; the first one is greedy."""

    async def solve(chat: Chat, question: str) -> Answer:
        replies = await together(
            [
                chat.ask(THINK(), question, temperature=temperature if i else 0.0, sample=i)
                for i in range(n)
            ]
        )
        return most_confident([as_answer(r) for r in replies])

    return solve


BEST_OF_N = Component(
    name="best_of_n",
    kind="reasoning",
    summary="samples several chains of thought and keeps the most probable one",
    build=build,
    params={"n": (3, 5), "temperature": (0.5,)},
    calls=lambda params, inner: int(params["n"]),
    provides=("steps",),
    prompts=(THINK,),
    paper="Kadavath et al. 2022, Language Models (Mostly) Know What They Know, section 3",
)
