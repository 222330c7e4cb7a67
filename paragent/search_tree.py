"""The tree of a search: measured designs, each below the one it was made from.

A tree is frozen: `grown` and `backed_up` return a new one. Node 0 is the root, which is no design;
its children are the seeds, made top down.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field, replace


@dataclass(frozen=True, slots=True)
class Node:
    """One design of the tree.

    `design` is its hash ("" at the root), `label` says it in words, `parent` is a node's number
    (-1 at the root), `move` how it came from there. `visits` counts proposals below it and itself,
    in flight or not; `measured`, `score` and `log_cost` are the number and sums of those that came
    back. `own` is its own (score, log10 cost), None before; `surprise` is how far its own score
    lay from the prediction, in [0, 1].
    """

    design: str = ""
    label: str = ""
    parent: int = -1
    move: str = ""
    children: tuple[int, ...] = ()
    visits: int = 0
    measured: int = 0
    score: float = 0.0
    log_cost: float = 0.0
    own: tuple[float, float] | None = None
    surprise: float = 0.0


@dataclass
class Owned:
    """The nodes that were measured themselves, column by column and in the order of their numbers,
    so that a draw among thousands of them looks at no other."""

    numbers: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    log_costs: list[float] = field(default_factory=list)
    surprises: list[float] = field(default_factory=list)

    def note(self, number: int, score: float, log_cost: float, surprise: float) -> None:
        """What came of a node; of one that was noted before, the latest."""
        at = bisect_left(self.numbers, number)
        columns = (self.numbers, self.scores, self.log_costs, self.surprises)
        known = at < len(self.numbers) and self.numbers[at] == number
        for column, value in zip(columns, (number, score, log_cost, surprise), strict=True):
            column[at : at + known] = [value]  # type: ignore[index]


@dataclass(frozen=True)
class Tree:
    """`nodes` in the order in which they were proposed."""

    nodes: tuple[Node, ...] = (Node(),)

    def path(self, number: int) -> list[int]:
        """From the node up to the root, both included."""
        found = [number]
        while self.nodes[found[-1]].parent >= 0:
            found.append(self.nodes[found[-1]].parent)
        return found

    def grown(self, design: str, label: str, parent: int, move: str) -> Tree:
        """With one more node, the last; it and all above it are visited once more."""
        number = len(self.nodes)
        nodes = [*self.nodes, Node(design, label, parent, move)]
        nodes[parent] = replace(nodes[parent], children=(*nodes[parent].children, number))
        for at in Tree(tuple(nodes)).path(number):
            nodes[at] = replace(nodes[at], visits=nodes[at].visits + 1)
        return Tree(tuple(nodes))

    def backed_up(self, number: int, score: float, log_cost: float, surprise: float) -> Tree:
        """With a measurement of one node, counted there and at all above it."""
        nodes = list(self.nodes)
        nodes[number] = replace(nodes[number], own=(score, log_cost), surprise=surprise)
        for at in self.path(number):
            node = nodes[at]
            nodes[at] = replace(
                node,
                measured=node.measured + 1,
                score=node.score + score,
                log_cost=node.log_cost + log_cost,
            )
        return Tree(tuple(nodes))

    def show(self, *, depth: int = 3) -> str:
        """As text: move, design, visits, own score, mean score below; children by visits."""
        lines: list[str] = []

        def line(number: int, level: int) -> None:
            node = self.nodes[number]
            own = f"{node.own[0]:.3f}" if node.own else "-"
            mean = f"{node.score / node.measured:.3f}" if node.measured else "-"
            name = f"{node.move} {node.label}" if node.design else "root"
            lines.append(f"{'  ' * level}{name}  visits {node.visits}  own {own}  mean {mean}")
            if level < depth:
                order = sorted(node.children, key=lambda k: (-self.nodes[k].visits, k))
                for child in order:
                    line(child, level + 1)

        line(0, 0)
        return "\n".join(lines)
