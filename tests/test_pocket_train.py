"""The trainer: resumes where it stopped, ends on time, exports what the engine can load."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from paragent.pocket import data, train
from paragent.pocket.tokenizer import default_tokenizer


def test_the_stream_goes_on_where_it_stopped() -> None:
    """A stream started at a pool's end yields what the unbroken stream yields there."""
    tokenizer = default_tokenizer()
    stream = train.batches(tokenizer, data.Mix(), 9, 0)
    batch, position = next(stream)
    first = position
    while position == first:
        batch, position = next(stream)
    resumed, _ = next(train.batches(tokenizer, data.Mix(), 9, first))
    assert resumed == batch
    assert max(len(ids) for ids, _ in batch) * len(batch) <= train.BATCH_TOKENS


def test_recipes_fit_their_heads() -> None:
    """Widths divide into heads of an even size."""
    for recipe in train.RECIPES.values():
        shape = recipe.shape(500)
        assert shape.head * shape.heads == shape.width
        assert shape.head % 2 == 0


def test_without_torch_the_trainer_says_what_to_install() -> None:
    """One line, exit 1, no traceback."""
    code = (
        "import sys; sys.modules['torch'] = None; sys.argv = ['t', '--name', 'pocket-s', '--out',"
        " 'x']; import paragent.pocket.train as t; t.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == "error: training needs PyTorch: pip install torch==2.13.0"


def test_train_resume_export_and_agree(tmp_path: Path) -> None:
    """A few steps, a resume, an export; the engine computes what the trained network computes."""
    torch = pytest.importorskip("torch")
    import numpy as np

    from paragent.pocket import export, weights
    from paragent.pocket.engine import PocketModel, PocketRequest
    from paragent.pocket.nets import Net

    train.train("pocket-s", 5.0, tmp_path, max_steps=2)
    path = train.train("pocket-s", 5.0, tmp_path, resume=True, max_steps=4)
    log = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["steps"] for line in log] == [2, 4]
    assert log[1]["seconds"] >= log[0]["seconds"]
    other = train.train("pocket-s-math", 5.0, tmp_path / "math", start=path, max_steps=1)
    assert torch.load(other, weights_only=False)["steps"] == 1
    file = export.export(path, tmp_path / "out", remark="test")
    entry = json.loads((tmp_path / "out" / "catalog.json").read_text())["pocket-s"]
    assert entry["training"]["steps"] == 4
    tokenizer = default_tokenizer()
    shape = train.RECIPES["pocket-s"].shape(len(tokenizer))
    stored = weights.unpack(file.read_bytes())
    net = Net(shape, 0)
    with torch.no_grad():
        for key, value in stored.items():
            net.weights[key.replace(".", "_")].copy_(torch.tensor(value))
    model = PocketModel("x", shape, stored, tokenizer)
    messages = (("system", "Solve this step."), ("user", "Step: 12*3"))
    first = model.generate([PocketRequest(messages, max_tokens=1)])[0]
    ids = torch.tensor([tokenizer.chat(messages)])
    with torch.no_grad():
        logits = net.logits(net.hidden(ids, torch.tensor([ids.shape[1] - 1])))
    best = float(torch.log_softmax(logits, -1).max())
    assert abs(best - first.logprobs[0]) < 1e-4
    assert np.isfinite(best)
