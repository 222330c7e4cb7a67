"""Monte-Carlo tree search over the hierarchical space, with edits of what was measured.

UCT: Kocsis and Szepesvari 2006, section 2.2. The edits and their selection follow AgentSwift (arXiv
2506.06017, section 3), whose rule without uncertainty is AFlow's (arXiv 2410.10762, section 3.2).

Two moves, chosen by a coin:

    top down   walk the tree of decisions by UCT, complete the design at random
    edit       draw measured designs by the mixed-probability rule; of their edits and
               recombinations take the one that a draw of the value model likes best

Each proposal climbs one weighting of score against log cost, drawn anew, so that the whole front
is climbed. The state is one dictionary of frozen statistics per partial design; `show_tree` prints
it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from paragent.design import Design
from paragent.outcome import CostName, Evaluation
from paragent.registry import SearcherPlugin
from paragent.searcher import Partial, Proposal, Space
from paragent.value import LinearValue, generator

#: Standard errors of one observation that the value model assumes: a score of about fifty 0/1
#: tasks, and a log10 cost, which is nearly exact.
SCORE_NOISE, LOG_COST_NOISE = 0.07, 0.05
#: log10 cost of a free design where no other is known.
FREE = -7.0
#: Tries to find a design that was not asked for before; then a random one; then exhausted.
TRIES = 60
RANDOM_TRIES = 500


@dataclass(frozen=True, slots=True)
class Stats:
    """What is known of all designs below a partial one.

    `visits` counts proposals (in flight ones too), `measured` those that came back with a score;
    `score` is their summed score, `log_cost` their summed log10 cost.
    """

    visits: int = 0
    measured: int = 0
    score: float = 0.0
    log_cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Weighting:
    """One trade-off: value = w * score + (1 - w) * (1 - scaled log10 cost), in [0, 1]."""

    w: float
    low: float
    high: float

    def value(self, score: float, log_cost: float) -> float:
        """Of a mean score in [0, 1] and a mean log10 cost."""
        span = self.high - self.low
        cheap = 1 - (log_cost - self.low) / span if span > 0 else 0.0
        return self.w * score + (1 - self.w) * cheap


def ucb(stats: Stats, parent_visits: int, weighting: Weighting, c: float) -> float:
    """UCB1 of a child; infinite where it was never visited. A child whose visits are all in flight
    has no value yet, only its exploration term."""
    if stats.visits == 0:
        return math.inf
    mean = 0.0
    if stats.measured:
        mean = weighting.value(stats.score / stats.measured, stats.log_cost / stats.measured)
    return mean + c * math.sqrt(math.log(parent_visits) / stats.visits)


def mixed_probabilities(values: Sequence[float], lam: float, alpha: float) -> list[float]:
    """lambda/n + (1 - lambda) softmax(alpha (s - s_max)), with s in percent.

    Values are in [0, 1] and are multiplied by 100 here: on the unit scale alpha = 0.2 would be a
    uniform draw.
    """
    top = max(values)
    weights = [math.exp(alpha * 100 * (v - top)) for v in values]
    total = sum(weights)
    return [lam / len(values) + (1 - lam) * w / total for w in weights]


class Mcts:
    """See the module. `c` is UCT's constant, `lam` and `alpha` those of the mixed rule,
    `edit_share` the chance of an edit once `warm_up` designs are measured."""

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        c: float = 0.5,
        lam: float = 0.3,
        alpha: float = 0.2,
        edit_share: float = 0.7,
        warm_up: int = 12,
    ) -> None:
        self._space, self._rng, self._cost = space, random.Random(seed), cost
        self._c, self._lam, self._alpha = c, lam, alpha
        self._edit_share, self._warm_up = edit_share, warm_up
        self._tree: dict[Partial, Stats] = {(): Stats()}
        self._paths: dict[str, Partial] = {}
        self._asked: set[str] = set()
        self._points: dict[str, tuple[Design, float, float]] = {}
        self._rows: dict[str, Mapping[str, float]] = {}

    @property
    def tree(self) -> Mapping[Partial, Stats]:
        """The statistics of every partial design that was walked through."""
        return dict(self._tree)

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` designs that were not asked for or told before."""
        found: list[Proposal] = []
        while len(found) < n:
            design = self._propose()
            if design is None:
                break
            self._asked.add(design.hash)
            found.append(Proposal(design, by="mcts"))
        return found

    def _propose(self) -> Design | None:
        weighting = self._weighting()
        for _ in range(TRIES):
            if len(self._points) >= self._warm_up and self._rng.random() < self._edit_share:
                design = self._edit(weighting)
            else:
                design = self._top_down(weighting)
            if design is not None and design.hash not in self._asked:
                return design
        for _ in range(RANDOM_TRIES):
            design = self._space.sample(self._rng)
            if design.hash not in self._asked:
                return design
        return None

    def _weighting(self) -> Weighting:
        costs = [log_cost for _, _, log_cost in self._points.values()]
        return Weighting(self._rng.random(), min(costs, default=0.0), max(costs, default=0.0))

    def _top_down(self, weighting: Weighting) -> Design | None:
        """Select by UCB1 down to the first decision with an unvisited option, take that option,
        complete at random; visits are counted along the tree's part of the path."""
        partial: Partial = ()
        walked = [partial]
        inside = True
        while (decision := self._space.next(partial)) is not None:
            options = [(*partial, option) for option in decision.options]
            if inside:
                visits = max(1, self._tree[partial].visits)
                scored = [
                    (ucb(self._tree.get(o, Stats()), visits, weighting, self._c), o)
                    for o in options
                ]
                best = max(value for value, _ in scored)
                partial = self._rng.choice([o for value, o in scored if value == best])
                inside = partial in self._tree
                self._tree.setdefault(partial, Stats())
                walked.append(partial)
            else:
                partial = self._rng.choice(options)
        design = self._space.build(partial)
        for step in walked:
            s = self._tree[step]
            self._tree[step] = Stats(s.visits + 1, s.measured, s.score, s.log_cost)
        if self._space.check(design):
            return None  # the visits stay: a branch of illegal designs is left in time
        self._paths.setdefault(design.hash, walked[-1])
        return design

    def _edit(self, weighting: Weighting) -> Design | None:
        """Candidates around two designs drawn by the mixed rule; the value model's draw decides."""
        points = list(self._points.values())
        values = [weighting.value(score, log_cost) for _, score, log_cost in points]
        chances = mixed_probabilities(values, self._lam, self._alpha)
        one, other = (point[0] for point in self._rng.choices(points, chances, k=2))
        candidates = list(self._space.edits(one))
        candidates += [self._space.recombine(one, other, self._rng) for _ in range(8)]
        candidates += [self._space.sample(self._rng) for _ in range(8)]
        new = {d.hash: d for d in candidates if d.hash not in self._asked}
        if not new:
            return None
        promise = self._promise(list(new.values()), weighting)
        # Rounded, so that the last bits of a processor's arithmetic decide nothing.
        pairs = zip(new.values(), promise, strict=True)
        return max(pairs, key=lambda pair: (round(pair[1], 6), pair[0].hash))[0]

    def _promise(self, designs: Sequence[Design], weighting: Weighting) -> list[float]:
        """A draw of every design's value from the posterior of score and of log cost."""
        points = list(self._points.values())
        known = [self._features(design) for design, _, _ in points]
        rows = [self._features(design) for design in designs]
        rng = generator(self._rng.getrandbits(32))
        drawn = []
        for targets, noise in (
            ([score for _, score, _ in points], SCORE_NOISE),
            ([log_cost for _, _, log_cost in points], LOG_COST_NOISE),
        ):
            model = LinearValue.fit(known, targets, noise)
            drawn.append(model.predict(rows, model.draw(rng)))
        return [weighting.value(float(s), float(c)) for s, c in zip(*drawn, strict=True)]

    def _features(self, design: Design) -> Mapping[str, float]:
        if design.hash not in self._rows:
            self._rows[design.hash] = self._space.features(design)
        return self._rows[design.hash]

    def _cheapest(self) -> float:
        """The lowest log cost told so far; a free design stands one decade below it, since its own
        would stretch the axis without end."""
        return min((log_cost for _, _, log_cost in self._points.values()), default=FREE + 1)

    def tell(self, evaluation: Evaluation) -> None:
        """A measured evaluation counts along its path; one without score or cost only as asked."""
        key = evaluation.design.hash
        self._asked.add(key)
        score, cost = evaluation.score, evaluation.cost(self._cost)
        if score is None or cost is None:
            return
        log_cost = math.log10(cost) if cost > 0 else self._cheapest() - 1
        self._points[key] = (evaluation.design, score, log_cost)
        path = self._paths.get(key)
        if path is None:
            return
        for depth in range(len(path) + 1):
            s = self._tree[path[:depth]]
            self._tree[path[:depth]] = Stats(
                s.visits, s.measured + 1, s.score + score, s.log_cost + log_cost
            )


def show_tree(tree: Mapping[Partial, Stats], *, depth: int = 3) -> str:
    """The tree's top as text: option, visits, mean score; children by visits, then by name."""
    lines: list[str] = []

    def show(partial: Partial) -> None:
        s = tree[partial]
        mean = f"{s.score / s.measured:.3f}" if s.measured else "-"
        name = partial[-1] if partial else "root"
        lines.append(f"{'  ' * len(partial)}{name}  visits {s.visits}  score {mean}")
        if len(partial) < depth:
            children = [p for p in tree if len(p) == len(partial) + 1 and p[:-1] == partial]
            for child in sorted(children, key=lambda p: (-tree[p].visits, p)):
                show(child)

    show(())
    return "\n".join(lines)


MCTS = SearcherPlugin(
    name="mcts",
    summary="tree search over the hierarchy (UCT), with edits that a value model guides",
    make=Mcts,
    options={"c": 0.5, "lam": 0.3, "alpha": 0.2, "edit_share": 0.7, "warm_up": 12},
    paper="Kocsis and Szepesvari 2006, section 2.2; AgentSwift, arXiv 2506.06017, section 3",
)
