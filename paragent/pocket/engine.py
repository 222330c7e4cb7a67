"""NumPy inference for the pocket models: batched, with a KV cache, independent of the batch.

A request's text and log-probabilities are a function of the request alone.  Three rules keep it
so: prompts are padded on the left to a multiple of ``PAD_TO``, and only requests of the same
padded length share a batch, so every array that one request meets has a length that it set
itself; rows go through the matrix products in tiles of ``TILE`` rows, so the linear algebra
library always sees the same shapes; random numbers come from a hash of (prompt, seed, position).

Nothing here looks at what a prompt says.  The one thing done for a model is the calculator: when
it is switched on and the text just written ends in ``<<expression>>``, ``=result`` is inserted.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from paragent.arithmetic import ArithmeticFault, evaluate
from paragent.pocket import weights as store
from paragent.pocket.arch import Shape
from paragent.pocket.tokenizer import END, Tokenizer, default_tokenizer
from paragent.pocket.weights import Floats, PocketInfo, catalog

__all__ = [
    "ContextOverflow", "PocketInfo", "PocketModel", "PocketReply", "PocketRequest", "catalog",
]  # fmt: skip

PAD_TO = 64
"""Prompts are padded to a multiple of this many tokens."""

TILE = 32
"""Rows of every decoding matrix product."""

CHUNK = 16
"""Prompts run together: few, so that their activations stay in a core's cache."""

MAX_ROWS = 192
"""Rows decoded together: beyond it the cache traffic costs more than the overhead it saves."""

TIE = 1e-4
"""Log-probabilities this close count as equal; the lower token id wins."""


class ContextOverflow(ValueError):
    """Prompt and requested reply do not fit into the model's context."""


@dataclass(frozen=True, slots=True)
class PocketRequest:
    """One completion to generate.

    ``messages`` are (role, content) with roles system, user, assistant; ``temperature`` 0 is
    greedy; ``stop`` strings end the reply and are cut off; ``calculator`` inserts ``=result``
    after ``<<expression>>``.
    """

    messages: tuple[tuple[str, str], ...]
    max_tokens: int = 160
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    calculator: bool = False


@dataclass(frozen=True, slots=True)
class PocketReply:
    """One completion.

    ``prompt_tokens`` include what the calculator inserted; ``completion_tokens`` are those the
    model chose, the end marker among them; ``logprobs`` has one natural log-probability per
    chosen token, at temperature 1.
    """

    text: str
    prompt_tokens: int
    completion_tokens: int
    logprobs: tuple[float, ...]
    finish: Literal["stop", "length"]


_CALL = re.compile(r"<<([^<>]*)>>$")


@dataclass(slots=True)
class _Row:
    """State of one request while it is being decoded."""

    index: int
    request: PocketRequest
    prompt: tuple[int, ...]
    key: bytes
    written: list[int] = field(default_factory=list)
    forced: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    inserted: int = 0
    finish: Literal["stop", "length"] | None = None

    def uniform(self) -> float:
        """Return a number in [0, 1) that depends on prompt, seed and position only."""
        position = len(self.written).to_bytes(4, "little")
        digest = hashlib.blake2b(position, key=self.key, digest_size=8).digest()
        return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


class PocketModel:
    """A shipped model, ready to generate; get one with ``PocketModel.load(name)``."""

    def __init__(
        self, name: str, shape: Shape, weights: dict[str, Floats], tokenizer: Tokenizer
    ) -> None:
        """Wrap fp32 ``weights`` (names and shapes as ``Shape.matrices`` says)."""
        self.name = name
        self.shape = shape
        self._tokenizer = tokenizer
        self._embedding = weights["embedding"]
        self._unembed = np.ascontiguousarray(weights["embedding"].T)
        half = shape.head // 2
        frequency = shape.rope_base ** (-np.arange(half, dtype=np.float64) / half)
        angle = np.arange(shape.context + PAD_TO)[:, None] * frequency
        self._cos = np.cos(angle).astype(np.float32)
        self._sin = np.sin(angle).astype(np.float32)
        scale = np.float32(shape.head**-0.5)
        self._layers: list[tuple[Floats, ...]] = []
        for i in range(shape.layers):
            # Fold the norm's gain into what follows it, and 1/sqrt(head) into the queries.
            taps = weights[f"{i}.conv"] * weights[f"{i}.norm1"]
            qkv = weights[f"{i}.qkv"].copy()
            qkv[:, : shape.width] *= scale
            up = weights[f"{i}.up"] * weights[f"{i}.norm2"][:, None]
            self._layers.append((taps, qkv, weights[f"{i}.out"], up, weights[f"{i}.down"]))
        self._final = weights["norm"]

    @classmethod
    def load(cls, name: str) -> PocketModel:
        """Return the shipped model ``name``; its file is checked once per process."""
        return _load(name)

    def count_tokens(self, messages: Sequence[tuple[str, str]]) -> int:
        """Return the prompt length of a conversation, in tokens."""
        return len(self._tokenizer.chat(messages))

    def generate(self, requests: Sequence[PocketRequest]) -> list[PocketReply]:
        """Return one reply per request, in order.

        Raises ``ContextOverflow`` if a prompt leaves no room for its ``max_tokens``.
        """
        buckets: dict[int, list[_Row]] = {}
        for index, request in enumerate(requests):
            row = self._open(index, request)
            padded = -(-len(row.prompt) // PAD_TO) * PAD_TO
            buckets.setdefault(padded, []).append(row)
        replies: dict[int, PocketReply] = {}
        for padded, rows in sorted(buckets.items()):
            # Neighbours of similar work finish together.
            rows.sort(key=lambda r: (r.request.messages[0], len(r.prompt)))
            for i in range(0, len(rows), MAX_ROWS):
                part = rows[i : i + MAX_ROWS]
                self._decode(part, padded)
                replies.update((row.index, self._close(row)) for row in part)
        return [replies[i] for i in range(len(requests))]

    def _open(self, index: int, request: PocketRequest) -> _Row:
        if request.max_tokens < 1:
            raise ValueError(f"max_tokens must be at least 1, not {request.max_tokens}")
        if not request.messages:
            raise ValueError("a request needs at least one message")
        if not 0.0 <= request.temperature < float("inf"):
            raise ValueError(f"temperature must be 0 or more, not {request.temperature}")
        prompt = tuple(self._tokenizer.chat(request.messages))
        if len(prompt) + request.max_tokens > self.shape.context:
            raise ContextOverflow(
                f"{len(prompt)} prompt tokens and max_tokens {request.max_tokens} exceed the "
                f"context of {self.name} ({self.shape.context} tokens)"
            )
        secret = f"{request.seed}/{request.temperature!r}/{prompt}".encode()
        return _Row(index, request, prompt, hashlib.blake2b(secret, digest_size=32).digest())

    def _close(self, row: _Row) -> PocketReply:
        text = self._tokenizer.decode(row.written)
        cuts = [at for at in (text.find(s) for s in row.request.stop if s) if at >= 0]
        if cuts:
            text = text[: min(cuts)]
        return PocketReply(
            text=text,
            prompt_tokens=len(row.prompt) + row.inserted,
            completion_tokens=len(row.logprobs),
            logprobs=tuple(row.logprobs),
            finish=row.finish or "length",
        )

    def _decode(self, rows: list[_Row], padded: int) -> None:
        """Generate the replies of rows whose prompts all pad to ``padded`` tokens."""
        logits, cache = self._prefill(rows, padded)
        live = list(rows)
        while True:
            tokens = self._choose(live, logits)
            keep = [i for i, row in enumerate(live) if row.finish is None]
            if not keep:
                return
            # Dropping rows copies the cache, so wait until a quarter of them has finished.
            if len(keep) <= 0.75 * len(live) or len(keep) <= TILE < len(live):
                live = [live[i] for i in keep]
                tokens = [tokens[i] for i in keep]
                cache.keep(keep)
            logits = self._step(tokens, cache)

    def _choose(self, live: list[_Row], logits: Floats) -> list[int]:
        """Append the next token to every unfinished row; return the tokens to feed."""
        shifted = logits - logits.max(axis=1, keepdims=True)
        logps = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        # The first token within TIE of the best: argmax alone could flip on the last bit.
        greedy = (shifted >= -TIE).argmax(axis=1)
        chosen: list[int] = []
        for i, row in enumerate(live):
            if row.finish is not None:
                chosen.append(END)
                continue
            if row.forced:
                token = row.forced.pop(0)
                row.written.append(token)
                row.inserted += 1
                chosen.append(token)
                continue
            token = int(greedy[i])
            if row.request.temperature > 0.0:
                token = _draw(logps[i], row.request.temperature, row.uniform())
            row.logprobs.append(float(logps[i, token]))
            chosen.append(token)
            if token == END:
                row.finish = "stop"
                continue
            row.written.append(token)
            self._after(row, token)
        return chosen

    def _after(self, row: _Row, token: int) -> None:
        """Look at the text a row has just written: stop strings, calculator, length."""
        request = row.request
        if request.stop or (request.calculator and self._tokenizer.pieces[token].endswith(">")):
            # The decoded text is searched, not token ids: a string has many tokenisations.
            text = self._tokenizer.decode(row.written)
            if any(s and s in text for s in request.stop):
                row.finish = "stop"
                return
            call = _CALL.search(text) if request.calculator else None
            if call is not None:
                # What is no arithmetic gets no result: the model goes on as it likes.
                with contextlib.suppress(ArithmeticFault):
                    row.forced = self._tokenizer.encode(f"={evaluate(call[1])}")
        if len(row.logprobs) >= request.max_tokens or (
            len(row.prompt) + len(row.written) + len(row.forced) >= self.shape.context
        ):
            row.finish = "length"

    def _prefill(self, rows: list[_Row], padded: int) -> tuple[Floats, _Cache]:
        """Run the prompts; equal prompts (samples of one question) run once."""
        prompts = list(dict.fromkeys(row.prompt for row in rows))
        room = padded + max(r.request.max_tokens for r in rows) + 32
        cache = _Cache(self.shape, len(prompts), room, padded)
        logits = np.concatenate(
            [
                self._run_prompts(prompts[i : i + CHUNK], padded, cache, i)
                for i in range(0, len(prompts), CHUNK)
            ]
        )
        if len(prompts) == len(rows):
            return logits, cache
        place = {prompt: i for i, prompt in enumerate(prompts)}
        order = [place[row.prompt] for row in rows]
        cache.keep(order)
        return logits[order], cache

    def _run_prompts(
        self, prompts: list[tuple[int, ...]], padded: int, cache: _Cache, first: int
    ) -> Floats:
        """Write prompts to the cache from row ``first`` on; return their last logits."""
        s, n = self.shape, len(prompts)
        rows = slice(first, first + n)
        ids = np.zeros((n, padded), dtype=np.int64)
        for i, prompt in enumerate(prompts):
            ids[i, padded - len(prompt) :] = prompt
            cache.hide[first + i, : padded - len(prompt)] = -1e9
        blank = cache.hide[rows, None, None, :padded]
        real = (blank[:, 0, 0] == 0).astype(np.float32)[:, :, None]
        # The sum of both masks may reach -2e9: exp gives 0 all the same.
        later = np.triu(np.full((padded, padded), -1e9, dtype=np.float32), 1)
        cos, sin = self._cos[:padded, None], self._sin[:padded, None]
        x: Floats = self._embedding[ids]
        for i, (taps, qkv, out, up, down) in enumerate(self._layers):
            h = _norm(x) * real
            cache.recent[i][rows] = h[:, padded - (s.conv - 1) :]
            mixed = h * taps[0]
            for k in range(1, s.conv):
                mixed[:, k:] += h[:, :-k] * taps[k]
            projected = (mixed @ qkv).reshape(n, padded, s.heads + 2, s.head)
            turned = _rope(projected[:, :, :-1], cos, sin)
            key = np.ascontiguousarray(turned[:, :, -1].transpose(0, 2, 1))
            value = np.ascontiguousarray(projected[:, :, -1])
            cache.keys[i][rows, :, :padded] = key
            cache.values[i][rows, :padded] = value
            if i == s.layers - 1:
                # Only the last position's output is needed from here on.
                x, turned, later = x[:, -1:], turned[:, -1:], later[-1:]
            length = turned.shape[1]
            q = np.ascontiguousarray(turned[:, :, :-1].transpose(0, 2, 1, 3))
            scores = q.reshape(n, -1, s.head) @ key
            masked = scores.reshape(n, s.heads, length, padded)
            masked += later
            masked += blank
            attended = (_softmax(scores) @ value).reshape(n, s.heads, length, s.head)
            heads = np.ascontiguousarray(attended.transpose(0, 2, 1, 3))
            x = np.add(x, heads.reshape(n, length, s.width) @ out)
            x = np.add(x, _swiglu(_norm(x) @ up) @ down)
        return _tiled(_norm(x[:, 0]) * self._final, self._unembed)

    def _step(self, tokens: list[int], cache: _Cache) -> Floats:
        """Feed one token per row; return the next logits [rows, vocabulary]."""
        s = self.shape
        n, at = len(tokens), cache.length
        cache.reserve(at + 1)
        cos, sin = self._cos[at], self._sin[at]
        hide = cache.hide[:, None, : at + 1]
        x = self._embedding[tokens]
        for i, (taps, qkv, out, up, down) in enumerate(self._layers):
            h = _norm(x)
            recent = cache.recent[i]
            mixed = h * taps[0]
            for k in range(1, s.conv):
                mixed += recent[:, -k] * taps[k]
            recent[:, :-1] = recent[:, 1:]
            recent[:, -1] = h
            projected = _tiled(mixed, qkv)
            projected = projected.reshape(n, s.heads + 2, s.head)
            turned = _rope(projected[:, :-1], cos, sin)
            cache.keys[i][:, :, at] = turned[:, -1]
            cache.values[i][:, at] = projected[:, -1]
            scores = turned[:, :-1] @ cache.keys[i][:, :, : at + 1]
            scores += hide
            heads = _softmax(scores) @ cache.values[i][:, : at + 1]
            x = x + _tiled(heads.reshape(n, s.width), out)
            x = x + _tiled(_swiglu(_tiled(_norm(x), up)), down)
        cache.length = at + 1
        return _tiled(_norm(x) * self._final, self._unembed)


class _Cache:
    """Keys [layer][row, head, time], values [layer][row, time, head], recent inputs of the
    convolution [layer][row, conv - 1, width] and the mask of padding [row, time]."""

    def __init__(self, shape: Shape, rows: int, room: int, length: int) -> None:
        self.length = length
        layers = range(shape.layers)
        self.keys = [np.zeros((rows, shape.head, room), np.float32) for _ in layers]
        self.values = [np.zeros((rows, room, shape.head), np.float32) for _ in layers]
        self.recent = [np.zeros((rows, shape.conv - 1, shape.width), np.float32) for _ in layers]
        self.hide = np.zeros((rows, room), np.float32)

    def keep(self, rows: list[int]) -> None:
        """Keep (or repeat) the given rows, in that order."""
        for arrays in (self.keys, self.values, self.recent):
            arrays[:] = [a[rows] for a in arrays]
        self.hide = self.hide[rows]

    def reserve(self, length: int) -> None:
        """Make room for ``length`` positions."""
        if length <= self.hide.shape[1]:
            return
        more = 64
        self.keys = [np.pad(a, ((0, 0), (0, 0), (0, more))) for a in self.keys]
        self.values = [np.pad(a, ((0, 0), (0, more), (0, 0))) for a in self.values]
        self.hide = np.pad(self.hide, ((0, 0), (0, more)))


@functools.cache
def _load(name: str) -> PocketModel:
    if name not in catalog():
        raise KeyError(f"no pocket model {name!r}; there are: {', '.join(catalog())}")
    shape, weights = store.read(name)
    return PocketModel(name, shape, weights, default_tokenizer())


def _norm(x: Floats) -> Floats:
    """Scale the last axis to root mean square 1 (the gain is folded into the next weight)."""
    square = np.einsum("...i,...i->...", x, x)[..., None] / np.float32(x.shape[-1])
    scaled: Floats = x / np.sqrt(square + np.float32(1e-6))
    return scaled


def _rope(x: Floats, cos: Floats, sin: Floats) -> Floats:
    """Rotate the last axis by position; ``cos`` and ``sin`` broadcast to half of it."""
    half = x.shape[-1] // 2
    a, b = x[..., :half], x[..., half:]
    return np.concatenate((a * cos - b * sin, a * sin + b * cos), axis=-1)


def _softmax(scores: Floats) -> Floats:
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    return scores


def _swiglu(x: Floats) -> Floats:
    """Return silu(gate) * up of the two halves of the last axis."""
    half = x.shape[-1] // 2
    gate, up = x[..., :half], x[..., half:]
    # Below -80 the sigmoid is 0 in float32 anyway; without the bound exp could overflow.
    divisor = np.exp(np.minimum(-gate, np.float32(80.0)))
    divisor += np.float32(1.0)
    product: Floats = gate * up
    product /= divisor
    return product


def _tiled(x: Floats, w: Floats) -> Floats:
    """Return ``x @ w`` computed on tiles of exactly ``TILE`` rows [rows, columns]."""
    n = x.shape[0]
    tiles = -(-n // TILE)
    padded = np.zeros((tiles * TILE, x.shape[1]), np.float32)
    padded[:n] = x
    product: Floats = padded.reshape(tiles, TILE, -1) @ w
    return product.reshape(tiles * TILE, -1)[:n]


def _draw(logps: NDArray[np.float32], temperature: float, uniform: float) -> int:
    """Return the token at ``uniform`` of the distribution sharpened by ``temperature``."""
    tempered = logps.astype(np.float64) / temperature
    weights = np.exp(tempered - tempered.max())
    total = np.cumsum(weights)
    return int(min(np.searchsorted(total, uniform * total[-1], side="right"), len(total) - 1))
