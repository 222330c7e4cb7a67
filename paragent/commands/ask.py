"""Put a question to a design: it answers once, outside any search.

Without a question on the command line, every line of stdin is a question.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from paragent.commands.designs import HELP, context_of, find_design
from paragent.commands.runs import add_json_argument, load_models, print_json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """DESIGN, the question, and what to show."""
    parser.add_argument("design", metavar="DESIGN", help=HELP)
    parser.add_argument("question", nargs="?", help="default: read from stdin")
    parser.add_argument("--benchmark", help="whose notes a memory may look up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trace", action="store_true", help="every model call on stderr")
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Answer."""
    load_models()
    found = find_design(args.design)
    context = context_of(found, args.benchmark)
    questions = [args.question] if args.question is not None else sys.stdin
    answers = []
    for question in questions:
        if question.strip():
            answer = _answer(args, found.design, question.strip(), context)
            answers.append(answer)
            if not args.json:
                print(answer["answer"], flush=True)
    if args.json:
        print_json(answers[0] if args.question is not None else {"answers": answers})
    return 0


def _answer(args: argparse.Namespace, design: Any, question: str, context: Any) -> dict[str, Any]:
    from paragent.ask import ask_design
    from paragent.chat import TraceStep

    trace: list[TraceStep] = []
    answer = asyncio.run(ask_design(design, question, context, seed=args.seed, trace=trace))
    if args.trace:
        for step in trace:
            print(f"[{step.path or 'root'}] {step.model}", file=sys.stderr)
            for message in step.messages:
                print(f"  {message.role}: {message.content}", file=sys.stderr)
            print(f"  -> {step.completion.text}", file=sys.stderr)
    return {
        "question": question,
        "answer": answer.text,
        "said": answer.full,
        "confidence": answer.confidence,
        "calls": len(trace),
        "tokens": sum(s.completion.prompt_tokens + s.completion.completion_tokens for s in trace),
    }
