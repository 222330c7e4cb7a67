"""A process that runs pocket models: reads batches on stdin, writes replies on stdout.

One line of JSON per batch in each direction: `{"model": name, "requests": [...]}` gives
`{"seconds": engine seconds, "replies": [...]}` or `{"error": text}`; a reply is
`[text, prompt tokens, completion tokens, summed log-probability, finish]`, or a text that says why
the request did not fit the model's context. It ends when stdin ends, so
it cannot outlive the process that started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from typing import Any

from paragent.pocket.engine import ContextOverflow, PocketModel, PocketReply, PocketRequest


def answer(line: str) -> dict[str, Any]:
    """Run one batch. An error comes back as data, with the batch unanswered."""
    try:
        batch = json.loads(line)
        requests = [
            PocketRequest(
                messages=tuple((role, content) for role, content in r["messages"]),
                max_tokens=r["max_tokens"],
                temperature=r["temperature"],
                seed=r["seed"],
                stop=tuple(r["stop"]),
                calculator=r["calculator"],
            )
            for r in batch["requests"]
        ]
        model = PocketModel.load(batch["model"])
        start = time.process_time()
        replies = generate(model, requests)
        seconds = time.process_time() - start
    except Exception as error:  # the other side turns it into a failure of these calls
        return {"error": f"{type(error).__name__}: {error}"}
    return {
        "seconds": seconds,
        "replies": [
            r
            if isinstance(r, str)
            else [r.text, r.prompt_tokens, r.completion_tokens, sum(r.logprobs), r.finish]
            for r in replies
        ],
    }


def generate(model: PocketModel, requests: list[PocketRequest]) -> list[PocketReply | str]:
    """The replies in order; a request too long for the model gets the reason as text instead."""
    try:
        return list(model.generate(requests))
    except ContextOverflow:
        found: list[PocketReply | str] = []
        for request in requests:
            try:
                found += model.generate([request])
            except ContextOverflow as error:
                found.append(str(error))
        return found


def main() -> None:
    """Serve until stdin ends."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # a stray print must not break the protocol
    with contextlib.suppress(BrokenPipeError):  # whoever asked is gone
        for line in sys.stdin:
            out.write(json.dumps(answer(line)) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
