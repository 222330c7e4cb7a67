"""The embedded models: small, really trained, shipped in the package, run on the CPU.

Sizes, prices and measured accuracy stand in `paragent/pocket/MODEL_CARD.md`. Prices follow the
compute per token, so that a front over pocket models has a real cost axis.
"""

from __future__ import annotations

from functools import partial

from paragent.component import Component, Price
from paragent.pocket.engine import catalog


def _build(name: str) -> object:
    from paragent.runtime.pocket import PocketLanguageModel  # keeps listings free of workers

    return PocketLanguageModel(name)


POCKET_MODELS = tuple(
    Component(
        name=info.name,
        kind="model",
        summary=info.description,
        build=partial(_build, info.name),
        price=Price(info.usd_per_mtok_in, info.usd_per_mtok_out),
        calls=lambda params, inner: 1,
        provides=("logprobs",),  # they know their trained wordings, not free instructions
        paper="paragent/pocket/MODEL_CARD.md",
        version=info.sha256[:12],
    )
    for info in catalog().values()
)
