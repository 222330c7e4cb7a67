"""Value-guided Monte-Carlo tree search over whole designs.

Every measured design is a node below the one it was made from. One iteration:

    aim       the front's hypervolume; every fourth time the best score alone
    select    nodes to grow from: the mixed-probability lottery, or UCT with progressive widening
    expand    mutate (edits; in a large space a few more whenever the node is selected), recombine
              with other nodes, construct top down, and climb: edits of the candidate that is
              judged best; every few times refine instead: the edits
              of good nodes that answer how their tasks failed (`paragent.refine`)
    judge     no rollout: the value model's expected improvement of the aim picks one
    back up   its score and cost are counted at every node above it

The first designs are seeds: they cover every level of every choice, then pairs of them. In a space
small enough to be listed, all designs that were not run are candidates.

AgentSwift (arXiv 2506.06017, section 3) has the expansion, the lottery with uncertainty and the
value model in place of rollouts; without uncertainty the lottery is AFlow's (arXiv 2410.10762,
section 3.2). UCT: Kocsis and Szepesvari 2006, section 2.2; widening: Coulom 2007, section 3. New
here: both objectives at once, known noise, and an exact expected improvement.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from paragent.design import Design
from paragent.edit_pool import EditPool
from paragent.errors import UsageError
from paragent.outcome import CostName, Evaluation, Purpose
from paragent.refine import answering
from paragent.registry import SearcherPlugin
from paragent.search_tree import Owned, Tree
from paragent.searcher import Advice, Earlier, Proposal, Question, Space
from paragent.selection import Weighting, mixed_probabilities, ucb, widened
from paragent.stats import variance_of_mean
from paragent.value.improve import excess, hypervolume_gain, outline
from paragent.value.surrogate import Surrogate
from paragent.value.transfer import Old, WarmSurrogate

#: log10 cost of a free design where no other is known.
FREE = -7.0
#: Designs that a space may have so that all are candidates; designs whose features are kept.
LISTED, KEPT_ROWS = 3000, 20_000
#: Every how many iterations the score alone is the aim.
SCORE_ALONE = 4
#: Per iteration: nodes selected, recombinations, designs from the top, edits of the best.
PARENTS, CROSSINGS, FRESH, CLIMBS = 3, 24, 16, 1
#: A language model is asked for edits after every so many results.
ADVICE_EVERY = 4
#: Random designs among which a seed is chosen; tries before a small space counts as exhausted.
SEED_DRAWS, TRIES = 40, 500
#: The reference point of the hypervolume lies this share of the range beyond the worst seen.
MARGIN = 0.1

Candidate = tuple[Design, int, str]  # the design, the node it comes from, the move


class Mcts:
    """See the module. `selection` is "mixed" (with `lam`, `alpha`, `beta`) or "uct" (with `c`,
    `widen_k`, `widen_a`); `aim` is "hypervolume" or "scalarised", a trade-off of score and cost
    drawn for each iteration (ParEGO: Knowles 2006, section III, with a linear sum, which is exact
    for normals); `warm_up` seeds come first, fewer in a space of few designs; `refine` is
    every how many iterations logged failures choose the edits (0: never)."""

    def __init__(
        self,
        space: Space,
        *,
        seed: int = 0,
        cost: CostName = "usd",
        selection: str = "mixed",
        aim: str = "hypervolume",
        c: float = 0.5,
        lam: float = 0.3,
        alpha: float = 0.2,
        beta: float = 0.2,
        widen_k: float = 2.0,
        widen_a: float = 0.5,
        warm_up: int = 12,
        refine: int = 0,
    ) -> None:
        if selection not in ("mixed", "uct"):
            raise UsageError(f"selection is {selection!r}; wanted mixed or uct")
        if aim not in ("hypervolume", "scalarised"):
            raise UsageError(f"aim is {aim!r}; wanted hypervolume or scalarised")
        if not isinstance(refine, int) or refine < 0:
            raise UsageError(f"refine is {refine!r}; wanted a whole number of at least 0")
        self._space, self._rng, self._cost = space, random.Random(seed), cost
        self._selection, self._aim, self._c = selection, aim, c
        self._lam, self._alpha, self._beta = lam, alpha, beta
        self._widen = (widen_k, widen_a)
        self._listed = _listed(space)
        few = warm_up if self._listed is None else round(math.log2(max(2, len(self._listed))))
        self._warm_up = max(1, min(int(warm_up), few))
        self.tree = Tree()
        self.model: Surrogate | WarmSurrogate = Surrogate(seed)
        self._seed_number, self._offered = seed, list[Design]()
        self._number: dict[str, int] = {}
        self._designs: dict[str, Design] = {}
        self._asked: set[str] = set()
        self._flying: dict[str, tuple[float, float]] = {}
        self._covered: dict[str, int] = {}
        self._rows: dict[str, Mapping[str, float]] = {}
        self._edits, self._owned = EditPool(space, seed), Owned()
        self._front: list[tuple[float, float]] | None = None
        self._turns, self._refine = 0, refine
        #: How often tasks of a node failed by each sign.
        self._signs: dict[str, Mapping[str, int]] = {}
        #: Where a language model gives advice: results it may be asked about, those it was asked
        #: about, its answers to come (of each one design is run), and all that it suggested.
        self._told: dict[str, Evaluation] | None = None
        self._consulted: set[str] = set()
        self._advised: list[list[Candidate]] = []
        self._suggested: list[Candidate] = []

    def warm(self, earlier: Sequence[Earlier], *, same: bool) -> None:
        """See `paragent.searcher.WarmStarts`: the value model starts from them, in place of seeds,
        and those that are legal here are candidates."""
        old = [
            Old(self._row(e.design), e.score, e.variance, math.log10(e.cost) if e.cost else None)
            for e in earlier
        ]
        self.model = WarmSurrogate(old, seed=self._seed_number, same=same)
        legal = {e.design.hash: e.design for e in earlier if not self._space.check(e.design)}
        self._offered = list(legal.values())

    def warm_record(self) -> Mapping[str, Any] | None:
        """See `paragent.searcher.WarmStarts`."""
        return self.model.record() if isinstance(self.model, WarmSurrogate) else None

    @property
    def _warm(self) -> bool:
        return isinstance(self.model, WarmSurrogate) and self.model.in_force

    def design(self, key: str) -> Design:
        """The design of a node of the tree, by its hash."""
        return self._designs[key]

    # -- a language model's advice: see `paragent.searcher.Consults` ----------------------------

    def questions(self) -> Sequence[Question]:
        """After every few results: how a good design that was not asked about might be bettered."""
        if self._told is None:
            self._told = {}
        if len(self._signs) % ADVICE_EVERY or self._seeding() or self._listed is not None:
            return []
        weighting = self._weighting(self._rng.random())
        fresh = [
            n
            for n in self.tree.nodes
            if n.own and n.design in self._told and n.design not in self._consulted
        ]
        if not fresh:
            return []
        best = max(fresh, key=lambda n: (weighting.value(*n.own), n.design) if n.own else (0, ""))
        self._consulted.add(best.design)
        return [Question("edit", self._told[best.design])]

    def advise(self, question: Question, advice: Advice | None) -> None:
        """Designs of a model are candidates; one of each answer is run next."""
        if advice is None or question.evaluation is None:
            return
        parent = self._number[question.evaluation.design.hash]
        move = "refine" if question.evaluation.signs else "mutate"
        self._advised.append([(d, parent, move) for d in advice.designs])

    def _by_advice(self) -> Candidate | None:
        while self._advised:
            candidates = self._new(self._advised.pop(0))
            if candidates:
                self._suggested += candidates
                return self._best(candidates, self._weighting(1.0), climb=False)
        return None

    # -- the search -----------------------------------------------------------------------------

    def ask(self, n: int) -> Sequence[Proposal]:
        """Up to `n` designs that were not asked for or told before."""
        found: list[Proposal] = []
        while len(found) < n and (proposal := self._propose()) is not None:
            found.append(proposal)
        return found

    def _propose(self) -> Proposal | None:
        purpose: Purpose = "label"
        advised = None
        if self._seeding():
            chosen = self._seed()
        elif advised := self._by_advice():
            chosen, purpose = advised, "search-eval"
        else:
            score_alone = self._turns % SCORE_ALONE == SCORE_ALONE - 1
            weighting = self._weighting(1.0 if score_alone else self._rng.random())
            parents = self._select(weighting)
            refined = self._refined(parents)
            summed = score_alone or self._aim == "scalarised"
            chosen = self._best(
                refined or self._expand(parents),
                weighting if summed else None,
                climb=not refined,
            )
            purpose = "search-eval"
            self._turns += 1
        chosen = chosen or self._any()
        if chosen is None:
            return None
        design, parent, move = chosen
        self._asked.add(design.hash)
        self._designs[design.hash] = design
        if purpose != "label":
            belief = self.model.predict([self._row(design)])
            self._flying[design.hash] = (float(belief.score[0][0]), float(belief.cost[0][0]))
        self._number[design.hash] = len(self.tree.nodes)
        self.tree = self.tree.grown(design.hash, design.label, parent, move)
        return Proposal(design, by="proposer" if advised else "mcts", purpose=purpose)

    def _seeding(self) -> bool:
        """Whether a seed comes next. After a warm start seeds and choices take turns at first: what
        an earlier run chose says too little of whether it is right."""
        if self._warm:
            return len(self._asked) < self._warm_up and len(self._asked) % 2 == 1
        return len(self._asked) < self._warm_up or len(self.model) < 2

    def tell(self, evaluation: Evaluation) -> None:
        """A measured evaluation is learned and backed up; one without score or cost teaches only
        that it was asked for. A foreign design becomes a child of the root."""
        design = evaluation.design
        self._asked.add(design.hash)
        expected = self._flying.pop(design.hash, None)
        self._signs[design.hash] = evaluation.signs
        score, cost = evaluation.score, evaluation.cost(self._cost)
        if score is None or cost is None:
            return
        if self._told is not None:
            self._told[design.hash] = evaluation
        log_cost = math.log10(cost) if cost > 0 else min(self.model.costs, default=FREE + 1) - 1
        if design.hash not in self._number:
            self._number[design.hash] = len(self.tree.nodes)
            self._designs[design.hash] = design
            self.tree = self.tree.grown(design.hash, design.label, 0, "told")
        surprise = abs(score - expected[0]) if expected else 0.0
        number, self._front = self._number[design.hash], None
        self.tree = self.tree.backed_up(number, score, log_cost, surprise)
        self._owned.note(number, score, log_cost, surprise)
        self.model.tell(
            self._row(design), score, variance_of_mean(list(evaluation.scores.values())), log_cost
        )

    # -- select ---------------------------------------------------------------------------------

    def _select(self, weighting: Weighting) -> list[int]:
        """Numbers of the nodes to grow from, the first the most important."""
        policy = self._lottery if self._selection == "mixed" else self._descend
        return policy(weighting)

    def _lottery(self, weighting: Weighting) -> list[int]:
        able = self._owned
        if not able.numbers:
            return []  # a warm start before anything came back
        chances = mixed_probabilities(
            weighting.values(able.scores, able.log_costs),
            able.surprises,
            lam=self._lam,
            alpha=self._alpha,
            beta=self._beta,
        )
        drawn = self._rng.choices(able.numbers, chances, k=4 * PARENTS)
        return list(dict.fromkeys(drawn))[:PARENTS]

    def _descend(self, weighting: Weighting) -> list[int]:
        """From the root by UCB1 to the first node that may have more children; then it, the best
        of its measured children and its parent."""
        nodes, at = self.tree.nodes, 0

        def mean(i: int) -> float | None:
            n = nodes[i]
            if not n.measured:
                return None
            return weighting.value(n.score / n.measured, n.log_cost / n.measured)

        while nodes[at].children and (
            at == 0 or len(nodes[at].children) >= widened(nodes[at].visits, *self._widen)
        ):
            at = max(
                nodes[at].children,
                key=lambda i: (ucb(mean(i), nodes[i].visits, nodes[at].visits, self._c), -i),
            )
        near = [at, nodes[at].parent, *nodes[at].children]
        return [i for i in dict.fromkeys(near) if nodes[i].own is not None][:PARENTS]

    def _weighting(self, w: float) -> Weighting:
        costs = self.model.costs
        return Weighting(w, min(costs, default=0.0), max(costs, default=0.0))

    # -- expand ---------------------------------------------------------------------------------

    def _expand(self, parents: Sequence[int]) -> list[Candidate]:
        """New designs around the selected nodes, without doubles."""
        if self._listed is not None:
            return [(d, 0, "listed") for d in self._listed if d.hash not in self._asked]
        nodes, rng, space, others = self.tree.nodes, self._rng, self._space, self._owned.numbers
        found: list[Candidate] = []
        for i in parents:
            found += [(d, i, "mutate") for d in self._edits.more(self._designs[nodes[i].design])]
        for k in range(CROSSINGS if parents else 0):
            i = parents[k % len(parents)]
            one, two = (self._designs[nodes[j].design] for j in (i, rng.choice(others)))
            found.append((space.recombine(one, two, rng), i, "recombine"))
        found += [(space.sample(rng), 0, "top-down") for _ in range(FRESH)]
        found += [(d, 0, "earlier") for d in self._offered if self._warm]
        found += self._suggested
        return self._new(found)

    def _refined(self, parents: Sequence[int]) -> list[Candidate]:
        """At a turn for refining: the edits of each selected node that answer a sign of its
        failures, drawn by how often it was seen. Empty at other turns, or where nothing answers."""
        if not self._refine or self._turns % self._refine or self._listed is not None:
            return []
        found: list[Candidate] = []
        for i in parents:
            design = self._designs[self.tree.nodes[i].design]
            seen = self._signs.get(design.hash) or {}
            if seen:
                (sign,) = self._rng.choices(list(seen), list(seen.values()))
                found += [
                    (d, i, "refine") for d in answering(sign, design, self._edits.all(design))
                ]
        return self._new(found)

    def _new(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        kept: dict[str, Candidate] = {}
        for candidate in candidates:
            if candidate[0].hash not in self._asked:
                kept.setdefault(candidate[0].hash, candidate)
        return list(kept.values())

    # -- judge ----------------------------------------------------------------------------------

    def _best(
        self, candidates: list[Candidate], weighting: Weighting | None, *, climb: bool
    ) -> Candidate | None:
        """The candidate of the largest expected improvement, after climbing from it: of the
        weighted sum, or of the front's hypervolume where there is none."""
        if not candidates:
            return None
        promise = self._promise(candidates, weighting)
        for _ in range(CLIMBS if climb and self._listed is None else 0):
            top = max(promise, key=lambda key: (promise[key], key))
            best, parent, _ = next(c for c in candidates if c[0].hash == top)
            edits = [(d, parent, "climb") for d in self._edits.around(best)]
            more = [c for c in self._new(edits) if c[0].hash not in promise]
            if not more:
                break
            candidates = candidates + more
            promise.update(self._promise(more, weighting))
        top = max(promise, key=lambda key: (promise[key], key))
        return next(c for c in candidates if c[0].hash == top)

    def _promise(
        self, candidates: Sequence[Candidate], weighting: Weighting | None
    ) -> dict[str, float]:
        """Expected improvement by hash, in units of the range seen; rounded, so that the last
        bits of a processor's arithmetic decide nothing."""
        belief = self.model.predict([self._row(d) for d, _, _ in candidates])
        front = [*self._known(), *self._flying.values()]
        scores, costs = [s for s, _ in front], [c for _, c in front]
        high, wide = max(scores) - min(scores), max(costs) - min(costs)
        if wide == 0 or (weighting is not None and weighting.w == 1):
            gain = excess(*belief.score, max(scores)) / (high or 1.0)
        elif weighting is not None:
            gain = excess(*weighting.believed(belief), max(weighting.value(s, c) for s, c in front))
        else:
            worst, dearest = min(scores) - MARGIN * high, max(costs) + MARGIN * wide
            gain = hypervolume_gain(belief.score, belief.cost, front, worst, dearest)
            gain = gain / ((high or 1.0) * wide)
        return {d.hash: round(float(g), 9) for (d, _, _), g in zip(candidates, gain, strict=True)}

    def _known(self) -> list[tuple[float, float]]:
        """(score, log cost) of what was measured. Where scores are known to be noisy, what the
        model makes of them: the luckiest of many draws would be a bar that nothing can pass. Only
        the front of the points and their corners, which say the ranges, are given."""
        if self._front is not None:
            return self._front
        scores, costs = self.model.scores, self.model.costs
        if self.model.noisy:
            scores = self.model.told().tolist()
        points = [(scores[i], costs[i]) for i in outline(scores, costs)]
        if isinstance(self.model, WarmSurrogate) and self.model.in_force:
            points.append(self.model.corner())
        self._front = points
        return points

    # -- seeds ----------------------------------------------------------------------------------

    def _seed(self) -> Candidate | None:
        """Of some random designs the one that shows most that is new: features, then pairs of
        them (a covering array of strength two, built greedily; Cohen et al. 1997, section 4)."""
        pool = self._listed or [self._space.sample(self._rng) for _ in range(SEED_DRAWS)]
        pool = [d for d in pool if d.hash not in self._asked]
        if not pool:
            return None
        self._rng.shuffle(pool)

        def news(design: Design) -> tuple[float, float]:
            names = [k for k, v in sorted(self._row(design).items()) if v]
            pairs = [f"{a}&{b}" for i, a in enumerate(names) for b in names[:i]]
            single, double = (
                sum(1 / (1 + 4 * self._covered.get(k, 0)) for k in keys) / max(1, len(keys))
                for keys in (names, pairs)
            )
            return round(single, 9), round(double, 9)

        best = max(pool, key=news)
        names = [k for k, v in sorted(self._row(best).items()) if v]
        for key in [*names, *(f"{a}&{b}" for i, a in enumerate(names) for b in names[:i])]:
            self._covered[key] = self._covered.get(key, 0) + 1
        return best, 0, "seed"

    def _any(self) -> Candidate | None:
        """A random new design; None where none turns up."""
        for _ in range(TRIES):
            design = self._space.sample(self._rng)
            if design.hash not in self._asked:
                return design, 0, "top-down"
        return None

    def _row(self, design: Design) -> Mapping[str, float]:
        if design.hash not in self._rows:
            if len(self._rows) > KEPT_ROWS:
                self._rows.clear()
            self._rows[design.hash] = self._space.features(design)
        return self._rows[design.hash]


def _listed(space: Space) -> list[Design] | None:
    """All designs of a space that knows its size and is small; else None."""
    size, every = getattr(space, "size", None), getattr(space, "all", None)
    if size is None or every is None or size() > LISTED:
        return None
    found: list[Design] = every()
    return found


MCTS = SearcherPlugin(
    name="mcts",
    summary="tree search over whole designs; a value model picks what improves the front most",
    make=Mcts,
    options={
        "selection": "mixed",
        "aim": "hypervolume",
        "c": 0.5,
        "lam": 0.3,
        "alpha": 0.2,
        "beta": 0.2,
        "widen_k": 2.0,
        "widen_a": 0.5,
        "warm_up": 12,
        "refine": 0,
    },
    paper="AgentSwift, arXiv 2506.06017, section 3; Kocsis and Szepesvari 2006, section 2.2",
    version="2",
)
