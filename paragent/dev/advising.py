"""Advice by rule, for the fake server: it answers a search's questions as a proposer would.

What is chosen depends on the request alone (by its hash), never on time, so a search with it can be
repeated. See `paragent.advice` for the questions.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

_EDIT = re.compile(r"^(\d+): ", re.MULTILINE)
_TEXT = re.compile(r'^([a-z_0-9]+\.[a-z_]+): (".*")$', re.MULTILINE)
_TASK = re.compile(r"^(\d+)\. ", re.MULTILINE)
_FIRST = r"^{}: ([\w.-]+) \("


def advice(asked: str) -> str | None:
    """The answer to a question of a search, or None where the text is none."""
    number = int.from_bytes(hashlib.sha256(asked.encode()).digest()[:4], "big")
    found: dict[str, Any]
    if '{"proposals": [...]}' in asked:
        rows: list[dict[str, Any]] = []
        if edits := _EDIT.findall(asked.partition("Edits of it")[2]):
            rows.append({"edit": number % len(edits)})
        if texts := _TEXT.findall(asked):
            name, text = texts[number % len(texts)]
            rows.append({"texts": {name: f"{json.loads(text)} Take care."}})
        found = {"proposals": rows}
    elif '{"agents": [...]}' in asked:
        first = {kind: re.search(_FIRST.format(kind), asked, re.M) for kind in ("model", "memory")}
        arm = {kind: hit[1] for kind, hit in first.items() if hit}
        found = {"agents": [{"name": f"arm {number % 1000}", "promise": "takes care", **arm}]}
    elif '{"skills": [' in asked:
        words = re.findall(r"[a-z]{4,}", asked.partition("Which skills")[0].lower())
        common = sorted(set(words), key=lambda w: (-words.count(w), w))[:2]
        found = {
            "skills": [
                {"name": w, "description": w, "weight": 1, "queries": [f"What about {w}?"]}
                for w in common
            ]
        }
    elif hit := re.search(r"a list of (\d+) values", asked):
        verdicts = {
            task: [(number >> i) % 2 == 0 for i in range(int(hit[1]))]
            for task in _TASK.findall(asked)
        }
        found = {"verdicts": verdicts}
    else:
        return None
    return json.dumps(found)
