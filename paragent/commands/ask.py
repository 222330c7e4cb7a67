"""Put a question to a design: it answers once, outside any search.

Without a question on the command line, every line of stdin is a question.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from paragent.commands.designs import HELP, context_of, find_design
from paragent.commands.runs import add_json_argument, load_models, print_json

if TYPE_CHECKING:
    from paragent.ask import NodeUsage
    from paragent.chat import TraceStep


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """DESIGN, the question, and what to show."""
    parser.add_argument("design", metavar="DESIGN", help=HELP)
    parser.add_argument("question", nargs="?", help="default: read from stdin")
    parser.add_argument("--benchmark", help="whose notes a memory may look up")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--trace",
        action="store_true",
        help="what each agent said, and tokens and cost at each node (stderr; or in --json)",
    )
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
    from paragent.ask import ask_design, node_usage

    trace: list[TraceStep] = []
    answer = asyncio.run(ask_design(design, question, context, seed=args.seed, trace=trace))
    nodes = node_usage(design, trace)
    if args.trace and not args.json:
        _print_trace(trace, nodes)
    found: dict[str, Any] = {
        "question": question,
        "answer": answer.text,
        "said": answer.full,
        "confidence": answer.confidence,
        "calls": len(trace),
        "tokens": nodes[0].usage.tokens,
        "usd": nodes[0].usage.usd,
    }
    if args.trace:
        found["nodes"] = [
            {
                "path": node.path,
                "node": node.title,
                "calls": node.usage.calls,
                "prompt_tokens": node.usage.prompt_tokens,
                "completion_tokens": node.usage.completion_tokens,
                "usd": node.usage.usd,
            }
            for node in nodes
        ]
        found["trace"] = [
            {
                "path": step.path,
                "model": step.model,
                "messages": [{"role": m.role, "content": m.content} for m in step.messages],
                "said": step.completion.text,
                "confidence": step.completion.confidence,
            }
            for step in trace
        ]
    return found


def _print_trace(trace: Sequence[TraceStep], nodes: Sequence[NodeUsage]) -> None:
    """Every call in the order of the replies, then what each node used, as a tree."""
    for step in trace:
        c = step.completion
        sure = "" if c.confidence is None else f", confidence {c.confidence:.3f}"
        tokens = f"{c.prompt_tokens} + {c.completion_tokens} tokens{sure}"
        print(f"[{step.path or 'root'}] {step.model}: {tokens}", file=sys.stderr)
        for message in step.messages:
            print(f"  {message.role}: {_indented(message.content)}", file=sys.stderr)
        print(f"  said: {_indented(c.text)}", file=sys.stderr)
    rows = [
        (
            f"{'  ' * node.depth}{node.path.rpartition('.')[2] or 'root'}: {node.title}",
            str(node.usage.calls),
            str(node.usage.tokens),
            "?" if node.usage.usd is None else f"{node.usage.usd:.3g}",
        )
        for node in nodes
    ]
    head = ("node", "calls", "tokens", "$")
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(4)]
    for name, *numbers in [head, *rows]:
        line = "  ".join(f"{n:>{w}}" for n, w in zip(numbers, widths[1:], strict=True))
        print(f"{name:<{widths[0]}}  {line}", file=sys.stderr)


def _indented(text: str) -> str:
    return text.replace("\n", "\n    ")
