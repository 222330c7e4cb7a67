"""The NumPy engine: independence of the batch, chat rules, limits, weight files."""

from __future__ import annotations

import dataclasses
import json
import random
from pathlib import Path

import numpy as np
import pytest

from paragent.pocket import engine, weights, wordings
from paragent.pocket.arch import Shape
from paragent.pocket.engine import (
    ContextOverflow,
    PocketModel,
    PocketReply,
    PocketRequest,
    catalog,
)
from paragent.pocket.tasks import notes, tasks
from paragent.pocket.tokenizer import default_tokenizer


@pytest.fixture(scope="module")
def model() -> PocketModel:
    """The small generalist."""
    return PocketModel.load("pocket-s")


@pytest.fixture(scope="module")
def random_model() -> PocketModel:
    """An untrained model: its near-ties and rambling replies are the hard case for batching."""
    shape = Shape(len(default_tokenizer()), 32, 2, 2, 48)
    rng = np.random.default_rng(0)
    drawn = {
        name: (0.3 * rng.standard_normal(size)).astype(np.float32)
        for name, size in shape.matrices().items()
    }
    return PocketModel("random", shape, drawn, default_tokenizer())


def _requests(count: int, temperature: float, seed: int) -> list[PocketRequest]:
    """Mixed modes, lengths, stops and seeds."""
    rng = random.Random(seed)
    found: list[PocketRequest] = []
    for task in tasks("dev")[seed * 100 : seed * 100 + count]:
        mode = rng.choice(("direct", "cot", "calc", "plan"))
        user = wordings.with_notes(task.question, rng.sample(notes(), rng.randint(0, 8)))
        found.append(
            PocketRequest(
                (("system", wordings.system(mode)), ("user", user)),
                max_tokens=rng.choice((5, 40, 90)),
                temperature=temperature,
                seed=rng.randint(0, 3),
                stop=rng.choice(((), ("Answer",), ("\n\n", "zzz"))),
                calculator=mode == "calc",
            )
        )
    return found


def _same(one: PocketReply, other: PocketReply) -> None:
    assert dataclasses.replace(one, logprobs=()) == dataclasses.replace(other, logprobs=())
    np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("which", ["model", "random_model"])
def test_a_reply_does_not_depend_on_its_neighbours(
    which: str, temperature: float, request: pytest.FixtureRequest
) -> None:
    """Alone, in a batch of 7, of 64, or shuffled among copies and strangers: the same reply."""
    engine_ = request.getfixturevalue(which)
    asked = _requests(64, temperature, seed=1)
    together = engine_.generate(asked)
    for i in (0, 9, 33, 63):
        _same(engine_.generate([asked[i]])[0], together[i])
    for start in (0, 21, 57):
        for got, expected in zip(
            engine_.generate(asked[start : start + 7]), together[start:], strict=False
        ):
            _same(got, expected)
    order = list(range(64))
    random.Random(3).shuffle(order)
    strangers = _requests(40, temperature, seed=2)
    mixed = engine_.generate([*strangers, *(asked[i] for i in order), *asked[:5]])
    for position, i in enumerate([*order, *range(5)]):
        _same(mixed[len(strangers) + position], together[i])


def test_samples_differ_by_seed_and_repeat_by_seed(random_model: PocketModel) -> None:
    """Equal prompts share their prefill and still draw their own numbers."""
    base = PocketRequest((("user", "Who is Ann?"),), max_tokens=20, temperature=1.0)
    asked = [dataclasses.replace(base, seed=i % 6) for i in range(12)]
    texts = [r.text for r in random_model.generate(asked)]
    assert texts[:6] == texts[6:]
    assert len(set(texts[:6])) == 6


def test_sampling_follows_the_distribution(random_model: PocketModel) -> None:
    """The first token's frequency over 2,000 seeds is near its probability."""
    asked = [
        PocketRequest((("user", "Who?"),), max_tokens=1, temperature=1.0, seed=i)
        for i in range(2000)
    ]
    replies = random_model.generate(asked)
    by_text: dict[tuple[str, str], list[float]] = {}
    for reply in replies:
        by_text.setdefault((reply.text, reply.finish), []).append(reply.logprobs[0])
    for found in by_text.values():
        p = float(np.exp(found[0]))
        assert abs(len(found) / 2000 - p) < 5 * (p * (1 - p) / 2000) ** 0.5 + 1e-3


def test_logprobs_match_a_fresh_prefill(model: PocketModel) -> None:
    """Cached decoding agrees with running the longer prompt from scratch.

    The reply's tokens are put into the prompt one by one: the greedy next token must be the same
    and have the same log-probability.
    """
    tokenizer = default_tokenizer()
    task = tasks("dev")[0]
    asked = PocketRequest(
        (("system", wordings.system("cot")), ("user", task.question)), max_tokens=24
    )
    reply = model.generate([asked])[0]
    written = tokenizer.encode(reply.text)
    prompt = tokenizer.chat(asked.messages)
    for at in (1, 7, 15):
        row = engine._Row(0, asked, (*prompt, *written[:at]), b"")
        padded = -(-len(row.prompt) // engine.PAD_TO) * engine.PAD_TO
        logits, _ = model._prefill([row], padded)
        logps = logits[0] - np.log(np.exp(logits[0] - logits[0].max()).sum()) - logits[0].max()
        assert int(logps.argmax()) == written[at]
        assert abs(float(logps.max()) - reply.logprobs[at]) < 1e-3


def test_counts_and_finish(random_model: PocketModel) -> None:
    """Tokens are counted as stated, and a reply at its limit says so."""
    messages = (("system", "Solve this step."), ("user", "Step: 1+1"))
    reply = random_model.generate([PocketRequest(messages, max_tokens=9)])[0]
    assert reply.prompt_tokens == random_model.count_tokens(messages)
    assert reply.completion_tokens == len(reply.logprobs) == 9
    assert reply.finish == "length"
    assert all(p <= 0.0 for p in reply.logprobs)


def test_stop_string_is_cut_off(model: PocketModel) -> None:
    """The text ends before the first stop string."""
    messages = (("system", wordings.system("direct")), ("user", tasks("dev")[3].question))
    full, cut = model.generate(
        [PocketRequest(messages), PocketRequest(messages, stop=("swer", "Ans"))]
    )
    assert full.text.startswith("Answer: ")
    assert cut.text == ""
    assert cut.finish == "stop"


def test_calculator_inserts_results_in_the_text(
    random_model: PocketModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``=54`` follows ``<<3*18>>`` at once, costs no completion tokens, and only when asked for.

    The reply is dictated: the draw is replaced by the tokens of a calculation that sits after a
    space, where a search for token ids would miss it.
    """
    tokenizer = default_tokenizer()
    told = [*tokenizer.encode("so <<3*18>>"), *tokenizer.encode("!"), 4]

    def dictated(asked: PocketRequest) -> PocketReply:
        script = iter(told)
        monkeypatch.setattr(engine, "_draw", lambda *_: next(script))
        return random_model.generate([asked])[0]

    asked = PocketRequest((("user", "x"),), temperature=1.0, calculator=True)
    reply = dictated(asked)
    assert reply.text == "so <<3*18>>=54!"
    assert reply.completion_tokens == len(told)
    assert reply.prompt_tokens == random_model.count_tokens(asked.messages) + 3
    assert dictated(dataclasses.replace(asked, calculator=False)).text == "so <<3*18>>!"
    told[:] = [*tokenizer.encode("<<7/0>>"), 4]
    assert dictated(asked).text == "<<7/0>>"


def test_a_full_context_is_an_error_of_its_own(model: PocketModel) -> None:
    """The message tells both numbers."""
    with pytest.raises(ContextOverflow, match="768"):
        model.generate([PocketRequest((("user", "1 " * 900),))])


@pytest.mark.parametrize(
    ("asked", "match"),
    [
        (PocketRequest(()), "message"),
        (PocketRequest((("user", "x"),), max_tokens=0), "max_tokens"),
        (PocketRequest((("user", "x"),), temperature=-1.0), "temperature"),
        (PocketRequest((("user", "x"),), temperature=float("nan")), "temperature"),
        (PocketRequest((("robot", "x"),)), "robot"),
    ],
)
def test_bad_requests_are_refused(model: PocketModel, asked: PocketRequest, match: str) -> None:
    """A clear reason each."""
    with pytest.raises(ValueError, match=match):
        model.generate([asked])


def test_nothing_asked_nothing_done(model: PocketModel) -> None:
    """An empty list is fine."""
    assert model.generate([]) == []


def test_catalog_lists_the_family_with_growing_prices() -> None:
    """Four models; the medium one costs more; the files stay small."""
    listed = catalog()
    assert list(listed) == ["pocket-s", "pocket-s-math", "pocket-s-text", "pocket-m"]
    assert listed["pocket-m"].usd_per_mtok_out > listed["pocket-s"].usd_per_mtok_out > 0
    folder = Path(weights.__file__).parent / "weights"
    assert sum((folder / info.file).stat().st_size for info in listed.values()) < 12e6
    assert len({info.sha256 for info in listed.values()}) == 4


def test_every_shipped_model_loads_and_answers() -> None:
    """Hashes fit, and a reply in the trained form comes out of each."""
    asked = PocketRequest((("system", wordings.system("step")), ("user", "Step: 2*3")))
    for name, info in catalog().items():
        loaded = PocketModel.load(name)
        assert loaded.name == name
        assert loaded.shape.parameters == info.parameters
        assert loaded is PocketModel.load(name)
        assert loaded.generate([asked])[0].text.startswith("Answer: ")


def test_unknown_model_names_the_known_ones() -> None:
    """A typing slip is told apart from a missing file."""
    with pytest.raises(KeyError, match="pocket-s-math"):
        PocketModel.load("pocket-xl")


def test_damaged_weights_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One flipped byte or a missing file stops the model, with path and hash."""
    folder = tmp_path / "weights"
    folder.mkdir()
    source = Path(weights.__file__).parent / "weights"
    (folder / "catalog.json").write_bytes((source / "catalog.json").read_bytes())
    monkeypatch.setattr(weights, "files", lambda _: tmp_path)
    with pytest.raises(weights.WeightsError, match="missing"):
        weights.read("pocket-s")
    content = bytearray((source / "pocket-s.npz").read_bytes())
    content[1000] ^= 1
    (folder / "pocket-s.npz").write_bytes(content)
    with pytest.raises(weights.WeightsError, match="sha256"):
        weights.read("pocket-s")


def test_int8_keeps_weights_close() -> None:
    """Rounding errs by at most half a step of the largest weight in a row."""
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((20, 30)).astype(np.float32)
    vector = rng.standard_normal(20).astype(np.float32)
    back = weights.unpack(weights.pack({"0.out": matrix, "norm": vector}))
    assert np.array_equal(back["norm"], vector)
    step = np.abs(matrix).max(axis=0) / 127
    assert (np.abs(back["0.out"] - matrix) <= step / 2 + 1e-7).all()


def test_catalog_file_names_training() -> None:
    """Seed, minutes and tokens stand beside each model."""
    path = Path(weights.__file__).parent / "weights" / "catalog.json"
    for entry in json.loads(path.read_text()).values():
        assert {"seed", "minutes", "tokens"} <= set(entry["training"])
