"""Train a pocket model: ``python -m paragent.pocket.train --name pocket-s --minutes 45 --out DIR``.

Wall-clock schedule: the learning rate is flat for the first 40 % of ``--minutes`` and falls
linearly to zero at the end, so a run always finishes annealed and on time, however busy the
machine is.  A checkpoint (weights, optimiser, stream position, time used) is written every
minute; ``--resume`` goes on from it.  Needs ``pip install torch==2.13.0``.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from paragent.pocket import data, problems
from paragent.pocket.arch import Shape
from paragent.pocket.data import EVEN, Mix, Sample
from paragent.pocket.tasks import split_of
from paragent.pocket.tokenizer import Tokenizer, default_tokenizer

if TYPE_CHECKING:
    import torch

    from paragent.pocket.nets import Net

BATCH_TOKENS = 2048
"""Padded tokens per optimiser step: small, so that activations stay in a core's cache."""

_POOL = 384
_SAVE_SECONDS = 60.0
_CHECK_SECONDS = 240.0
_FLAT = 0.4
_WARMUP_STEPS = 50


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one shipped model was trained; ``minutes`` of wall-clock time on one, shared, core."""

    width: int
    layers: int
    heads: int
    ffn: int
    seed: int
    minutes: float
    lr: float = 0.015
    adam_lr: float = 0.005
    families: Mapping[str, float] = field(default_factory=lambda: EVEN)

    def shape(self, vocab: int) -> Shape:
        """Return the model's shape for a vocabulary size."""
        return Shape(vocab, self.width, self.layers, self.heads, self.ffn)


_MATH = {"arithmetic": 1.5, "units": 1.4, "facts": 0.06, "lists": 0.08, "schedule": 1.4}
_TEXT = {"arithmetic": 0.08, "units": 0.08, "facts": 1.2, "lists": 2.4, "schedule": 0.2}

RECIPES: Mapping[str, Recipe] = {
    "pocket-s": Recipe(64, 3, 2, 192, seed=1, minutes=27),
    "pocket-s-math": Recipe(64, 3, 2, 192, seed=2, minutes=16, lr=0.01, families=_MATH),
    "pocket-s-text": Recipe(64, 3, 2, 192, seed=3, minutes=15.5, lr=0.01, families=_TEXT),
    "pocket-m": Recipe(96, 4, 3, 256, seed=4, minutes=74, lr=0.01, adam_lr=0.003),
}


def need_torch() -> None:
    """Exit with what to install when PyTorch is missing."""
    try:
        import torch  # noqa: F401
    except ImportError:
        sys.exit("error: training needs PyTorch: pip install torch==2.13.0")


Batch = list[tuple[list[int], list[bool]]]


def batches(tokenizer: Tokenizer, mix: Mix, seed: int, start: int) -> Iterator[tuple[Batch, int]]:
    """Yield (batch, stream position after its pool) from sample ``start`` of a seed's stream.

    Samples are drawn in pools, sorted by length so that little is padding, cut into batches of
    ``BATCH_TOKENS`` and shuffled.
    """
    at = start
    while True:
        pool = [data.encode(tokenizer, data.sample(mix, seed, at + i)) for i in range(_POOL)]
        at += _POOL
        pool.sort(key=lambda pair: len(pair[0]))
        cut: list[Batch] = [[]]
        for pair in pool:
            if cut[-1] and (len(cut[-1]) + 1) * len(pair[0]) > BATCH_TOKENS:
                cut.append([])
            cut[-1].append(pair)
        random.Random(f"{seed}/{at}").shuffle(cut)
        for batch in cut:
            yield batch, at


def tensors(batch: Batch) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return (inputs [n, t], flat positions of learned targets, those targets)."""
    import torch

    length = max(len(ids) for ids, _ in batch)
    inputs = torch.zeros(len(batch), length - 1, dtype=torch.long)
    where: list[int] = []
    targets: list[int] = []
    for row, (ids, learned) in enumerate(batch):
        inputs[row, : len(ids) - 1] = torch.tensor(ids[:-1])
        for t in range(1, len(ids)):
            if learned[t]:
                where.append(row * (length - 1) + t - 1)
                targets.append(ids[t])
    return inputs, torch.tensor(where), torch.tensor(targets)


def check_set(tokenizer: Tokenizer, per_cell: int = 8) -> list[tuple[Sample, Batch]]:
    """Return dev conversations (not the benchmark's own) for the progress report."""
    rng = random.Random(77)
    found: list[tuple[Sample, Batch]] = []
    for mode in ("direct", "cot", "calc", "plan"):
        for family in problems.FAMILIES:
            for level in problems.LEVELS:
                count = 0
                while count < per_cell:
                    made = problems.make(family, level, rng)
                    if split_of(made.question) != "dev":
                        continue
                    count += 1
                    sample = data.conversation(rng, made, mode)
                    found.append((sample, [data.encode(tokenizer, sample)]))
    return found


def check(net: Net, samples: list[tuple[Sample, Batch]]) -> dict[str, Any]:
    """Return, by mode and family, the share of replies that are greedily reproduced whole.

    For the step-by-step modes the shares by level follow: accuracy that does not fall with the
    level means that a model guesses instead of looking up.
    """
    import torch

    hits: dict[str, list[list[bool]]] = {}
    order = sorted(samples, key=lambda pair: len(pair[1][0][0]))
    with torch.no_grad():
        for i in range(0, len(order), 32):
            part = order[i : i + 32]
            inputs, where, targets = tensors([batch[0] for _, batch in part])
            states = net.hidden(inputs, where)
            wrong = net.logits(states).argmax(-1) != targets
            bad = set((where[wrong] // inputs.shape[1]).tolist())
            for row, (sample, _) in enumerate(part):
                cell = hits.setdefault(f"{sample.mode} {sample.family}", [[] for _ in range(6)])
                cell[sample.level - 1].append(row not in bad)
    return {
        key: [round(sum(map(sum, levels)) / sum(map(len, levels)), 3)]
        + [round(sum(level) / len(level), 2) for level in levels]
        for key, levels in sorted(hits.items())
    }


def train(
    name: str, minutes: float, out: Path, *, resume: bool = False, start: Path | None = None,
    max_steps: int | None = None,
) -> Path:  # fmt: skip
    """Train model ``name`` for ``minutes`` of wall-clock time; return its checkpoint.

    ``start`` is a finished model's checkpoint to take the first weights from; ``max_steps`` ends
    a run early (for tests).
    """
    need_torch()
    import torch

    from paragent.pocket.nets import Muon, Net

    recipe = RECIPES[name]
    out.mkdir(parents=True, exist_ok=True)
    path = out / "checkpoint.pt"
    tokenizer = default_tokenizer()
    net = Net(recipe.shape(len(tokenizer)), recipe.seed)
    optimiser = Muon(net, recipe.lr, recipe.adam_lr)
    steps = tokens = position = 0
    used = 0.0
    if start is not None:
        net.load_state_dict(torch.load(start, weights_only=False)["net"])
    if resume:
        saved = torch.load(path, weights_only=False)
        net.load_state_dict(saved["net"])
        optimiser.restore(saved["optimiser"])
        steps, tokens, position = saved["steps"], saved["tokens"], saved["position"]
        used = saved["seconds"]
    samples = check_set(tokenizer)
    stream = batches(tokenizer, Mix(recipe.families), recipe.seed, position)
    total = minutes * 60.0
    began = time.monotonic() - used
    cpu_began = time.process_time()
    next_save, next_check = used + _SAVE_SECONDS, used + _CHECK_SECONDS
    loss_mean = 0.0

    def save(seconds: float) -> None:
        state = {
            "name": name, "net": net.state_dict(), "optimiser": optimiser.state(),
            "steps": steps, "tokens": tokens, "position": position, "seconds": seconds,
            "minutes": minutes,
        }  # fmt: skip
        part = path.with_suffix(".part")
        torch.save(state, part)
        os.replace(part, path)

    def report(seconds: float) -> None:
        line = {
            "name": name, "seconds": round(seconds), "steps": steps, "tokens": tokens,
            "cpu": round(time.process_time() - cpu_began), "loss": round(loss_mean, 4),
            "check": check(net, samples),
        }  # fmt: skip
        with (out / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")

    for batch, after in stream:
        seconds = time.monotonic() - began
        if seconds >= total or (max_steps is not None and steps >= max_steps):
            break
        progress = seconds / total
        scale = min(1.0, (steps + 1) / _WARMUP_STEPS, (1.0 - progress) / (1.0 - _FLAT))
        inputs, where, targets = tensors(batch)
        states = net.hidden(inputs, where)
        loss = torch.nn.functional.cross_entropy(net.logits(states), targets)
        loss.backward()
        optimiser.step(scale)
        steps += 1
        tokens += sum(len(ids) for ids, _ in batch)
        position = after
        loss_mean += (loss.item() - loss_mean) * max(0.01, 1 / steps)
        if steps % 200 == 0:
            speed = tokens / max(seconds, 1e-9)
            print(f"{name} {seconds:7.0f}s step {steps} {tokens / 1e6:.2f}M tokens "
                  f"{speed:.0f}/s loss {loss_mean:.4f}", flush=True)  # fmt: skip
        if seconds >= next_save:
            save(seconds)
            next_save = seconds + _SAVE_SECONDS
        if seconds >= next_check:
            report(seconds)
            next_check = seconds + _CHECK_SECONDS
    seconds = time.monotonic() - began
    save(seconds)
    report(seconds)
    return path


def main() -> None:
    """Command line of the trainer."""
    parser = argparse.ArgumentParser(prog="python -m paragent.pocket.train", description=__doc__)
    parser.add_argument("--name", choices=sorted(RECIPES), required=True)
    parser.add_argument("--minutes", type=float, help="wall-clock minutes (default: the recipe's)")
    parser.add_argument("--out", type=Path, required=True, help="folder of checkpoint and log")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--start", type=Path, help="checkpoint that gives the first weights")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    need_torch()
    import torch

    torch.set_num_threads(args.threads)
    minutes = RECIPES[args.name].minutes if args.minutes is None else args.minutes
    print(train(args.name, minutes, args.out, resume=args.resume, start=args.start))


if __name__ == "__main__":
    main()
