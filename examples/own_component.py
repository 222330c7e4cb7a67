"""Search with a component of your own: one function, registered under a name.

python examples/own_component.py [DESIGNS]
"""

import sys

import paragent
from paragent.registry import components

DIRECT = "Answer with the final answer only."
CHECK = "Check the draft solution, fix any mistake, then give the final answer."


async def echo_check(chat, question):
    """Ask twice, the second time with the first answer beside the question."""
    first = await chat.ask(DIRECT, question)
    second = await chat.ask(CHECK, f"{question}\nDraft: {first.text}")
    return paragent.Answer(paragent.final_answer(second.text), second.text, second.confidence)


components.register(
    paragent.Component(
        name="echo_check",
        kind="reasoning",
        summary="answers, then checks the answer once",
        build=lambda: echo_check,
        calls=lambda params, inner: 2,  # the most model calls one question may cost
    )
)

run = paragent.optimize(
    "pocket",
    evals=int(sys.argv[1]) if len(sys.argv) > 1 else 30,
    tasks=20,
    confirm=20,
    test_tasks=60,
    include=["direct", "chain_of_thought", "echo_check", "vote"],
)
for point in run.front():
    print(f"{point.best_known.score:.2f}  {point.design.label}")
tried = [e for e in run.evaluations if "echo_check" in e.design.label]
print(f"{len(tried)} of {len(run.evaluations)} designs used echo_check")
