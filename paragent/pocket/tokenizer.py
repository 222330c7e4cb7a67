"""Word-piece tokenizer: words with their leading space, single digits, characters as fall-back.

A run of digits is stored least significant digit first, so that a model writes a sum in the order
in which carries arise; text going in and coming out has its normal order.  The first stored digit
of a run carries the leading space (`` 12`` is `` 2``, ``1``), so a token always tells whether a
new number begins.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Sequence
from importlib.resources import files

PAD, SYSTEM, USER, ASSISTANT, END = range(5)
"""Token ids of the chat markers; ``PAD`` is never seen by a model."""

_SPECIALS = 5
_ROLE_IDS = {"system": SYSTEM, "user": USER, "assistant": ASSISTANT}
_PIECES = re.compile(r" ?[0-9]+| ?[A-Za-z]+|'s|<<|>>|\n\n|[\s\S]")
_DIGITS = "0123456789"


class Tokenizer:
    """Encodes text to token ids and back without loss (printable ASCII and newline)."""

    def __init__(self, pieces: Sequence[str]) -> None:
        """Build from the vocabulary; token id = position in ``pieces`` + 5 chat markers."""
        self.pieces: tuple[str, ...] = ("",) * _SPECIALS + tuple(pieces)
        self._ids = {piece: i for i, piece in enumerate(self.pieces) if piece}
        self._is_tail = [len(p) == 1 and p in _DIGITS for p in self.pieces]
        self._is_head = [len(p) == 2 and p[0] == " " and p[1] in _DIGITS for p in self.pieces]
        self._word = functools.lru_cache(maxsize=16384)(self._encode_piece)

    def __len__(self) -> int:
        return len(self.pieces)

    def _encode_piece(self, piece: str) -> tuple[int, ...]:
        known = self._ids.get(piece)
        if known is not None and piece[-1] not in _DIGITS:
            return (known,)
        if piece[-1] in _DIGITS:
            space, digits = (" ", piece[1:]) if piece[0] == " " else ("", piece)
            back = digits[::-1]
            return (self._ids[space + back[0]], *(self._ids[d] for d in back[1:]))
        # A character outside ASCII becomes "?": the models have never seen one.
        return tuple(self._ids.get(c, self._ids["?"]) for c in piece)

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``."""
        word = self._word
        return [i for piece in _PIECES.findall(text) for i in word(piece)]

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of ``ids``; chat markers vanish."""
        out: list[str] = []
        run: list[str] = []
        space = ""
        for i in ids:
            if self._is_head[i]:
                out.append(space + "".join(reversed(run)))
                space, run = " ", [self.pieces[i][1]]
            elif self._is_tail[i]:
                run.append(self.pieces[i])
            else:
                if run:
                    out.append(space + "".join(reversed(run)))
                    space, run = "", []
                out.append(self.pieces[i])
        out.append(space + "".join(reversed(run)))
        return "".join(out)

    def chat(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """Return the prompt of a conversation, up to the marker that opens the next reply."""
        ids: list[int] = []
        for role, content in messages:
            if role not in _ROLE_IDS:
                raise ValueError(f"unknown role {role!r}: use system, user or assistant")
            ids.append(_ROLE_IDS[role])
            ids.extend(self.encode(content))
            if role == "assistant":
                ids.append(END)
        ids.append(ASSISTANT)
        return ids


@functools.cache
def default_tokenizer() -> Tokenizer:
    """Return the tokenizer that all shipped models share."""
    text = (files("paragent.pocket") / "vocab.json").read_text(encoding="utf-8")
    return Tokenizer(json.loads(text))


def build_pieces(texts: Sequence[str]) -> list[str]:
    """Return the vocabulary of ``texts``: all their words, digits with and without space, ASCII."""
    fixed = ["\n", *map(chr, range(32, 127)), *(f" {d}" for d in _DIGITS), "<<", ">>", "\n\n", "'s"]
    words = {p for text in texts for p in _PIECES.findall(text) if p[-1].isalpha()}
    return fixed + sorted(words - set(fixed))
