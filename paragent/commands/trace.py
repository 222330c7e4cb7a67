"""The conversation of one design on one task of a run, as a tree. Pays nothing.

It is rebuilt from the run's recorded calls.
"""

from __future__ import annotations

import argparse

from paragent.commands.designs import picked
from paragent.commands.runs import (
    add_json_argument,
    add_run_argument,
    find_run,
    load_models,
    print_json,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN, TASK, and whose conversation."""
    add_run_argument(parser)
    parser.add_argument("task", metavar="TASK", help="a task's id, e.g. dev-0000-arithmetic")
    parser.add_argument(
        "--pick", default="best", help="knee, best, cheapest, or a design's hash (default: best)"
    )
    add_json_argument(parser)


def main(args: argparse.Namespace) -> int:
    """Print it."""
    from paragent.api import CALLS, open_run
    from paragent.outcome import outcome_to_json
    from paragent.runtime.journal import Journal
    from paragent.trace import find_task, lines, trace

    load_models()
    run = open_run(find_run(args.run))
    benchmark = run.load_benchmark()
    design = picked(run, args.pick).design
    task = find_task(benchmark, args.task)
    journal = Journal(run.path / CALLS)
    try:
        found = trace(design, benchmark, task, journal, int(run.config["seed"]))
    finally:
        journal.close()
    if not args.json:
        print("\n".join(lines(found)))
        return 0
    print_json(
        {
            "design": design.hash,
            "task": task.id,
            "question": task.question,
            "wanted": task.answer,
            "outcome": outcome_to_json(found.outcome),
            "calls": [
                {
                    "path": step.path,
                    "model": step.model,
                    "messages": [{"role": m.role, "content": m.content} for m in step.messages],
                    "text": step.completion.text,
                    "tool_calls": [
                        {"name": c.name, "arguments": c.arguments}
                        for c in step.completion.tool_calls
                    ],
                    "prompt_tokens": step.completion.prompt_tokens,
                    "completion_tokens": step.completion.completion_tokens,
                    "confidence": step.completion.confidence,
                }
                for step in found.steps
            ],
        }
    )
    return 0
