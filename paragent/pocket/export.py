"""Turn a training checkpoint into a shipped weight file and its catalog entry.

``python -m paragent.pocket.export --checkpoint DIR/checkpoint.pt`` replaces the model's file in
the package (or in ``--out``) and rewrites ``catalog.json``; other entries stay as they are.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path
from typing import Any

from paragent.pocket.tokenizer import default_tokenizer
from paragent.pocket.train import RECIPES, need_torch
from paragent.pocket.weights import pack, price

_DESCRIPTIONS = {
    "pocket-s": "small generalist",
    "pocket-s-math": "small specialist for arithmetic, units and schedules",
    "pocket-s-text": "small specialist for facts and lists",
    "pocket-m": "medium generalist",
}


def export(checkpoint: Path, out: Path, *, name: str | None = None, remark: str = "") -> Path:
    """Write the weight file of ``checkpoint`` to folder ``out`` and update its catalog.

    ``name`` exports under another name than the trained one; ``remark`` goes into the
    description, for instance to tell that a run has not finished.
    """
    need_torch()
    import torch

    saved = torch.load(checkpoint, weights_only=False)
    trained: str = saved["name"]
    name = name or trained
    shape = RECIPES[trained].shape(len(default_tokenizer()))
    weights = {
        key: saved["net"][f"weights.{key.replace('.', '_')}"].numpy() for key in shape.matrices()
    }
    content = pack(weights)
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{name}.npz"
    path.write_bytes(content)
    listing = out / "catalog.json"
    entries: dict[str, Any] = json.loads(listing.read_text()) if listing.exists() else {}
    minutes = saved["seconds"] / 60
    entries[name] = {
        "name": name,
        "parameters": shape.parameters,
        "file": path.name,
        "sha256": hashlib.sha256(content).hexdigest(),
        "usd_per_mtok_in": price(shape),
        "usd_per_mtok_out": price(shape),
        "description": _DESCRIPTIONS[name] + (f" ({remark})" if remark else ""),
        "shape": {f: getattr(shape, f) for f in shape.__dataclass_fields__},
        "training": {
            "seed": RECIPES[trained].seed, "minutes": round(minutes, 1),
            "of_minutes": saved["minutes"], "steps": saved["steps"], "tokens": saved["tokens"],
        },
    }  # fmt: skip
    order = [n for n in RECIPES if n in entries]
    listing.write_text(json.dumps({n: entries[n] for n in order}, indent=2) + "\n")
    return path


def main() -> None:
    """Command line of the exporter."""
    parser = argparse.ArgumentParser(prog="python -m paragent.pocket.export", description=__doc__)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--name", choices=sorted(RECIPES), help="name to export under")
    parser.add_argument("--remark", default="", help="added to the description")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "weights")
    args = parser.parse_args()
    print(export(args.checkpoint, args.out, name=args.name, remark=args.remark))


if __name__ == "__main__":
    main()
