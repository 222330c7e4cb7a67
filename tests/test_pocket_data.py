"""Tokenizer and training data: lossless, only train problems, right masks, real corruptions."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.pocket import data, problems, wordings
from paragent.pocket.tasks import is_correct, split_of, tasks
from paragent.pocket.tokenizer import ASSISTANT, END, SYSTEM, USER, Tokenizer, default_tokenizer

TOKENIZER = default_tokenizer()
ascii_text = st.text(alphabet=[*map(chr, range(32, 127)), "\n"])


@given(ascii_text)
def test_text_survives_the_tokenizer(text: str) -> None:
    """Any printable ASCII comes back as it went in."""
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


def test_digits_are_stored_backwards_with_the_space_on_the_first() -> None:
    """123 is 3, 2, 1 inside, and a leading space sits on the digit stored first."""
    assert [TOKENIZER.pieces[i] for i in TOKENIZER.encode("a 123+45")] == [
        "a", " 3", "2", "1", "+", "5", "4",
    ]  # fmt: skip


def test_other_alphabets_become_question_marks() -> None:
    """Nothing outside ASCII was trained on; it must not stop an evaluation either."""
    assert TOKENIZER.decode(TOKENIZER.encode("naïve 東")) == "na?ve ?"


def test_chat_markers() -> None:
    """A reply in the history is closed; the prompt ends with an open one."""
    ids = TOKENIZER.chat([("system", "a"), ("user", "b"), ("assistant", "c"), ("user", "d")])
    a, b, c, d = (TOKENIZER.encode(x)[0] for x in "abcd")
    assert ids == [SYSTEM, a, USER, b, ASSISTANT, c, END, USER, d, ASSISTANT]
    with pytest.raises(ValueError, match="tool"):
        TOKENIZER.chat([("tool", "x")])


def test_benchmark_words_are_single_tokens() -> None:
    """A word in pieces would cost context and was never trained on."""
    texts = [t.question for split in ("dev", "test") for t in tasks(split)]
    texts += [w for forms in wordings.SYSTEM.values() for w in forms]
    for text in texts:
        words = [w for w in text.replace("'s", "").split(" ") if w.isalpha()]
        assert all(len(TOKENIZER.encode(" " + w)) == 1 for w in words), text


@given(st.integers(0, 10**6))
def test_samples_round_trip_and_stay_in_the_train_split(index: int) -> None:
    """What is trained on decodes to its text and shares no question with dev or test."""
    sample = data.sample(data.Mix(), 5, index)
    assert sample == data.sample(data.Mix(), 5, index)
    for _, content in sample.turns:
        assert TOKENIZER.decode(TOKENIZER.encode(content)) == content
    if sample.mode in ("direct", "cot", "calc", "plan"):
        question = sample.turns[1][1].rsplit("\n\n", 1)[-1]
        assert split_of(question) == "train"


@given(st.integers(0, 10**6))
def test_only_replies_are_learned(index: int) -> None:
    """The learned tokens are the replies with their end mark, less the calculator's results."""
    sample = data.sample(data.Mix(), 6, index)
    ids, learned = data.encode(TOKENIZER, sample)
    assert len(ids) == len(learned)
    text = "".join(
        TOKENIZER.decode([i]) if i != END else "|"
        for i, yes in zip(ids, learned, strict=True)
        if yes
    )
    replies = [content for role, content in sample.turns if role == "assistant"]
    assert text.count("|") == len(replies)
    if sample.calculator:
        assert ">>=" not in text
    assert ids[-1] == END
    assert learned[-1]


def test_the_prompt_of_training_is_the_prompt_of_use() -> None:
    """Engine and trainer must see the very same token ids before a reply."""
    rng = random.Random(0)
    problem = data.train_problem(rng, "lists", 3)
    sample = data.conversation(rng, problem, "cot")
    ids, learned = data.encode(TOKENIZER, sample)
    assert ids[: learned.index(True)] == TOKENIZER.chat(sample.turns[:2])


@given(st.integers(0, 10**6), st.sampled_from(problems.FAMILIES))
def test_corruption_changes_the_solution(seed: int, family: str) -> None:
    """A corrupted draft is never the right solution word for word."""
    rng = random.Random(seed)
    problem = data.train_problem(rng, family)
    draft = data.corrupt(rng, problem)
    assert draft != problem.solution(calculator=False)


def test_corruption_mostly_changes_the_answer() -> None:
    """A slip is carried on to the end of the draft."""
    rng = random.Random(1)
    wrong = 0
    for _ in range(300):
        problem = data.train_problem(rng, rng.choice(problems.FAMILIES))
        wrong += not is_correct(problem.answer, data.corrupt(rng, problem))
    assert wrong > 150


@given(st.integers(0, 10**6), st.sampled_from(["facts", "schedule"]))
def test_further_questions_stay_within_the_context(seed: int, family: str) -> None:
    """Another question over the same facts or jobs has the same text before it, and its own plan
    and look-ups come from that text."""
    rng = random.Random(seed)
    first = data.train_problem(rng, family)
    again = (problems.another_facts if family == "facts" else problems.another_schedule)(rng, first)
    mark = " Who is " if family == "facts" else " At what "
    told = first.question[: first.question.rindex(mark)]
    assert again.question.startswith(told + mark)
    assert set(again.drills) == set(first.drills)
    known = dict(again.drills)
    for step, result in zip(again.filled_plan(), again.plan_results, strict=True):
        assert known.get(step, result) == result
    assert is_correct(again.answer, again.solution(calculator=True))


def test_every_mode_and_family_is_in_the_mix() -> None:
    """No mode may silently drop out of the stream."""
    seen = {(s.mode, s.family) for s in (data.sample(data.Mix(), 0, i) for i in range(3000))}
    assert {m for m, _ in seen} == set(data.MODES)
    assert {f for _, f in seen} == set(problems.FAMILIES)


def test_wordings_helpers() -> None:
    """The user turns that components build."""
    assert wordings.system("direct", "units").startswith("You are the units agent. Answer with")
    assert wordings.with_notes("Q?", ["a", "b"]) == "Notes:\na\nb\n\nQ?"
    assert wordings.with_notes("Q?", []) == wordings.with_examples("Q?", []) == "Q?"
    assert wordings.with_examples("Q?", [("a", "b")]) == "Examples:\nQ: a\nA: b\n\nQ?"
    assert wordings.route_user("Q?", ["x", "y"]) == "Agents: x, y\nQuestion: Q?"
    assert wordings.step_user("Q?", "1+1") == "Q?\nStep: 1+1"
    assert wordings.fix_user("Q?", "d") == "Q?\nDraft: d"


def test_a_vocabulary_can_be_rebuilt() -> None:
    """``Tokenizer`` works on any vocabulary that has digits and ASCII."""
    from paragent.pocket.tokenizer import build_pieces

    tiny = Tokenizer(build_pieces(["some words"]))
    assert tiny.decode(tiny.encode("some other words 12")) == "some other words 12"
