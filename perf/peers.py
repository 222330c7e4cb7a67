"""One cell of the speed table for other harnesses, run by the Python of their own environment.

    PYTHON perf/peers.py dspy|inspect URL TASKS CONCURRENCY HISTORY

`perf/harness.py` starts it (`--dspy-python`, `--inspect-python`) and reads the one JSON object that
it prints. Each harness runs single-call tasks its own way, caches off: DSPy's `Evaluate` over a
module that calls its `LM` once, and inspect-ai's `eval` of `generate()` with its log.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from typing import Any


def texts(number: int, history: int) -> list[tuple[str, str]]:
    """As in `perf/harness.py`."""
    return [
        ("user" if k % 2 == 0 else "assistant", f"task {number}, message {k}: " + "words " * 15)
        for k in range(history)
    ]


def by_dspy(url: str, tasks: int, concurrency: int, history: int) -> None:
    """`Evaluate(num_threads)` over a module of one call."""
    import dspy

    lm = dspy.LM("openai/fake-small", api_base=url, api_key="none", cache=False, max_tokens=64)
    dspy.configure(lm=lm)

    class OneCall(dspy.Module):  # type: ignore[misc]
        def forward(self, number: int) -> Any:
            messages = [{"role": r, "content": t} for r, t in texts(number, history)]
            return dspy.Prediction(answer=lm(messages=messages)[0])

    examples = [dspy.Example(number=i).with_inputs("number") for i in range(tasks)]
    score = dspy.Evaluate(
        devset=examples,
        metric=lambda example, found, trace=None: float(bool(found.answer)),
        num_threads=concurrency,
        display_progress=False,
        max_errors=1,
    )(OneCall())
    assert float(getattr(score, "score", score)) == 100.0


def by_inspect(url: str, tasks: int, concurrency: int, history: int) -> None:
    """`eval` of one `generate()` a sample, with the log it always writes."""
    from inspect_ai import Task, eval
    from inspect_ai.dataset import Sample
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser
    from inspect_ai.scorer import includes
    from inspect_ai.solver import generate

    kinds = {"user": ChatMessageUser, "assistant": ChatMessageAssistant}
    samples = [
        Sample(input=[kinds[r](content=t) for r, t in texts(i, history)], target="Answer")
        for i in range(tasks)
    ]
    with tempfile.TemporaryDirectory() as folder:
        (log,) = eval(
            Task(dataset=samples, solver=generate(), scorer=includes()),
            model="openai/fake-small",
            model_base_url=url,
            model_args={"api_key": "none", "responses_api": False},
            max_connections=concurrency,
            max_samples=concurrency,
            max_tokens=64,
            display="none",
            log_dir=folder,
        )
    assert log.status == "success", log.error


def main() -> int:
    """Measure, print."""
    client, url, *numbers = sys.argv[1:]
    tasks, concurrency, history = map(int, numbers)
    os.environ.setdefault("OPENAI_API_KEY", "none")
    work = {"dspy": by_dspy, "inspect": by_inspect}[client]
    work(url, 20, concurrency, history)  # imports, connections, whatever is made once
    cpu, wall = time.process_time(), time.perf_counter()
    work(url, tasks, concurrency, history)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu_us": cpu / tasks * 1e6, "per_s": tasks / wall, "rss_mb": rss}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
