"""An inventory of ready sub-agents (as arms of a bandit: BOAD, arXiv 2512.23631, section 3; as
items with prices, distractors among them: arXiv 2510.16499, multi-agent experiments).

Each is a role prompt, a reasoning, memory and tools; the design names its model, so the same
sub-agent may be played by several. A model that follows free instructions is told the prompt; the
pocket models know only the wordings that they were trained on, and play the slots alone.

Four are distractors: what they promise overlaps what others can do, and nothing in them does it.
They are told apart by measuring, not by reading. Prices are in dollars for a thousand tasks, after
the calls that one task may take (a distractor asks as much as what it imitates).

Worst-case model calls of each: those of its parts (`paragent list components` prints them).
"""

from __future__ import annotations

from paragent.component import Component
from paragent.design import Part
from paragent.subagent import sub_agent

STEPS = Part("chain_of_thought")
INVENTORY = "sub-agents as in BOAD, arXiv 2512.23631, section 3"
DISTRACTOR = "distractor, as in the multi-agent experiments of arXiv 2510.16499"


def _ready(
    name: str,
    promise: str,
    prompt: str,
    per_thousand: float,
    *,
    reasoning: Part = STEPS,
    planning: Part | None = None,
    memory: Part | None = None,
    tools: tuple[Part, ...] = (),
    paper: str = INVENTORY,
) -> Component:
    return sub_agent(
        name,
        promise,
        prompt=prompt,
        reasoning=reasoning,
        planning=planning,
        memory=memory,
        tools=tools,
        price=per_thousand / 1000,
        paper=paper,
    )


READY = (
    _ready(
        "solver",
        "solves problems of any kind step by step",
        "You solve problems. Write down what is given and what is asked, then work step by step.",
        1.0,
    ),
    _ready(
        "quick_answerer",
        "answers simple questions at once, for little",
        "You answer in as few words as possible.",
        0.5,
        reasoning=Part("direct"),
    ),
    _ready(
        "calculator_specialist",
        "does exact arithmetic: sums, products, shares, word problems with numbers",
        "You do calculations. Turn the question into arithmetic and compute every number with the "
        "calculator.",
        1.5,
        tools=(Part("calculator"),),
    ),
    _ready(
        "fact_finder",
        "answers questions about facts and values by looking them up in the notes",
        "You look things up. Rely on the notes rather than on what you remember.",
        1.5,
        memory=Part.of("lookup", k=8),
    ),
    _ready(
        "bookkeeper",
        "converts and adds amounts whose values stand in the notes: prices, units, currencies",
        "You look up the value of every unit in the notes, and compute with the calculator.",
        2.0,
        memory=Part.of("lookup", k=8),
        tools=(Part("calculator"),),
    ),
    _ready(
        "planner",
        "splits long problems into steps and solves one after the other",
        "You plan. Split the problem into small steps before you solve any of them.",
        4.0,
        planning=Part.of("decompose", by="calculator"),
    ),
    _ready(
        "critic",
        "drafts an answer, looks for its mistakes and mends them",
        "You are a critic. Assume that a draft has a mistake until you have checked every step.",
        2.0,
        reasoning=Part.of("self_refine", rounds=1),
    ),
    _ready(
        "checker",
        "solves several times on its own and answers what comes out most often",
        "You check. Solve without relying on earlier answers.",
        5.0,
        reasoning=Part.of("self_consistency", n=5, temperature=0.7),
    ),
    _ready(
        "second_opinion",
        "solves three times and gives the answer that it is surest of",
        "You give a second opinion. Take another way than the obvious one.",
        3.0,
        reasoning=Part.of("best_of_n", n=3),
    ),
    _ready(
        "localiser",
        "finds the places of a long text or program that bear on the question",
        "You find the places that bear on the question. Quote them, then answer from them alone.",
        1.5,
        memory=Part.of("lookup", k=4),
    ),
    _ready(
        "imitator",
        "solves tasks like solved examples",
        "You solve tasks as the examples show.",
        1.5,
        memory=Part.of("few_shot", k=3),
    ),
    _ready(
        "veteran",
        "solves tasks with what worked in its own earlier attempts",
        "You have solved tasks like this one. Use what worked.",
        6.0,
        memory=Part.of("experience", k=2),
    ),
    _ready(
        "formatter",
        "gives answers in exactly the form that is asked for",
        "You care for form: units, digits, order and spelling exactly as asked. Say nothing else.",
        0.5,
        reasoning=Part("direct"),
    ),
    _ready(
        "programmer",
        "writes and runs Python programs to compute the answer",
        "You write a short Python program that computes the answer, run it, and report its result.",
        3.0,
        tools=(Part("python"),),
    ),
    _ready(
        "researcher",
        "searches the documents for what is needed and answers from them",
        "You search before you answer, and answer from what you found.",
        3.0,
        tools=(Part.of("bm25_search", k=5),),
    ),
    _ready(
        "database_analyst",
        "answers questions about a database by querying it with SQL",
        "You answer from the database alone. Look at the schema, write one SELECT, read its rows.",
        3.0,
        tools=(Part("sql"),),
    ),
    _ready(
        "converter",
        "converts units and calculates dates exactly",
        "You convert units and calculate dates with the tools, never in your head.",
        2.0,
        tools=(Part("date_calculation"), Part("unit_conversion")),
    ),
)

DISTRACTORS = (
    _ready(
        "precise_mathematician",
        "does exact arithmetic of any size: sums, products, shares, word problems, proofs",
        "You are a brilliant mathematician.",
        1.5,
        reasoning=Part("direct"),
        paper=DISTRACTOR,
    ),
    _ready(
        "encyclopedist",
        "knows all facts and values, looks up every unit, price and currency in the notes",
        "You know everything.",
        1.5,
        reasoning=Part("direct"),
        paper=DISTRACTOR,
    ),
    _ready(
        "master_strategist",
        "splits long problems into steps, plans, and solves one after the other",
        "You are a strategist. Be confident.",
        4.0,
        reasoning=Part("direct"),
        paper=DISTRACTOR,
    ),
    _ready(
        "expert_reviewer",
        "checks answers, finds every mistake and mends it",
        "You are an expert reviewer. Your answers are never wrong.",
        2.0,
        reasoning=Part("direct"),
        paper=DISTRACTOR,
    ),
)
