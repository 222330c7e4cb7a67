"""What is known of a design beyond its parts' names, as features for a value model.

`amplification`: whether votes inside the design should amplify their members or collapse to
chance (Liu, Kong, Pei, arXiv 2601.17311, majority trees): a vote of b members, b odd, multiplies a
small advantage by alpha = gamma (rho + (1 - rho) f_b'(0)), f_b'(0) = b C(b-1, (b-1)/2) / 2^(b-1);
above 1 it amplifies. Gamma, what a message keeps, and rho, how far errors are shared, are not
measured per design but assumed: `GAMMA`, and `SAME` or `OTHER` for pairs on one or on two models.

`words`: TF-IDF of what a design says of itself, the summaries of its parts and its prompts.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from paragent.design import Agent, Design, Node
from paragent.parts import find_part, parts_of
from paragent.registry import components
from paragent.value.table import Row

#: Share of an advantage that a message keeps; correlation of errors on one model, and on two.
GAMMA, SAME, OTHER = 0.9, 0.8, 0.5
#: Words that are kept: those in most designs, but not in all.
WORDS = 40


def alpha(members: int, rho: float, gamma: float = GAMMA) -> float:
    """The factor by which a vote multiplies a small advantage. Of an even number one is a tie's
    and adds nothing; a single member has no vote: 1."""
    b = members if members % 2 else members - 1
    if b < 2:
        return 1.0
    slope: float = b * math.comb(b - 1, (b - 1) // 2) / 2.0 ** (b - 1)
    return gamma * (rho + (1 - rho) * slope)


def amplification(design: Design) -> Mapping[str, float]:
    """`prior:amplify`, log alpha summed down the tree (mean over members), and `prior:collapse`,
    the number of votes with alpha at most 1."""
    found = {"prior:collapse": 0.0}
    found["prior:amplify"] = _gain(design.root, found)
    return found


def _gain(node: Node, found: dict[str, float]) -> float:
    if isinstance(node, Agent):  # an agent that samples itself votes on one model
        n = node.reasoning.get("n", 1) if node.reasoning.name == "self_consistency" else 1
        return _vote(int(n), SAME, found)
    inner = sum(_gain(member, found) for member in node.members) / len(node.members)
    topology = find_part("topology", node.topology)
    if topology is None or "symmetric" not in topology.provides:
        return inner
    models = [next(agent for _, agent in Design(m).agents()).model.name for m in node.members]
    pairs = math.comb(len(models), 2)
    same = sum(math.comb(k, 2) for k in Counter(models).values()) / pairs if pairs else 1.0
    return inner + _vote(len(models), OTHER + same * (SAME - OTHER), found)


def _vote(members: int, rho: float, found: dict[str, float]) -> float:
    factor = alpha(members, rho)
    found["prior:collapse"] += members > 1 and factor <= 1
    return math.log(factor)


def words(designs: Sequence[Design]) -> list[Row]:
    """A row of `word:...` per design, of length 1 each: term counts times log(n / designs that have
    it). Words that all or only one of them have tell nothing."""
    counts = [Counter(re.findall(r"\w+", _said(design).lower())) for design in designs]
    among = Counter(word for count in counts for word in count)
    n = len(designs)
    kept = sorted((w for w, k in among.items() if 1 < k < n), key=lambda w: (-among[w], w))[:WORDS]
    rows: list[Row] = []
    for count in counts:
        row = {f"word:{w}": count[w] * math.log(n / among[w]) for w in kept if count[w]}
        length = math.sqrt(sum(v * v for v in row.values())) or 1.0
        rows.append({name: value / length for name, value in row.items()})
    return rows


def _said(design: Design) -> str:
    parts = [part for _, node in design.nodes() for part in parts_of(node)]
    summaries = [components[p.name].summary for p in parts if p.name in components]
    return " ".join([*summaries, *(text for _, text in design.prompts)])
