"""Guards, worked by hand on a model that answers from a script; and how verdicts are read."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from asking import answer, by_order, guarded, lines, sure, user
from hypothesis import given
from hypothesis import strategies as st
from scripted import ScriptedModel

from paragent.verdicts import numbered, score, verdict

Make = Callable[..., ScriptedModel]


@pytest.mark.parametrize(
    ("said", "form", "found"),
    [
        ("The final answer is **42**.", "short", "42"),
        (r"\boxed{7}", "number", "7"),
        ("$1,250", "number", "1250"),
        ("about 12.5 km", "number", "12.5"),
        ("answer = -3", "number", "-3"),
        ("3/4", "number", "3/4"),
        ("+5", "number", "5"),
        ("Paris", "short", "Paris"),
        ("between 3 and 4", "number", None),
        ("none", "number", None),
        ("a " * 13, "short", None),
        ("", "short", None),
    ],
)
def test_forms_are_reached_by_rule_where_that_is_safe(
    said: str, form: str, found: str | None
) -> None:
    """Marks, boxes, currencies and units go; two numbers or a long text need the model."""
    from paragent.components.answer_repair import shaped

    assert shaped(said, form) == found


def test_an_answer_in_form_costs_no_repair(scripted: Make) -> None:
    """One call; the thousands comma goes without a model."""
    model = scripted(lines("Answer: 1,250 coins"))
    assert answer(guarded("answer_repair", form="number")).text == "1250"
    assert len(model.seen) == 1


def test_an_answer_out_of_form_is_asked_for_once(scripted: Make) -> None:
    """Two numbers in the answer: the repair call names the form, and its number stands."""
    model = scripted(lines("Answer: 3 of 4 boxes", "3"))
    assert answer(guarded("answer_repair", form="number")).text == "3"
    assert "as a plain number in digits" in model.seen[1].messages[0].content


def test_a_repair_without_form_leaves_the_answer(scripted: Make) -> None:
    """The repair talks on: the first answer stands."""
    scripted(lines("Answer: 3 of 4 boxes", "It is 3 of 4."))
    assert answer(guarded("answer_repair", form="number")).text == "3 of 4 boxes"


def test_the_gate_lets_a_right_verdict_pass(scripted: Make) -> None:
    """Two calls; the verifier sees question and solution, not the tools or a score."""
    model = scripted(lines("so Answer: 4", "Verdict: right"))
    assert answer(guarded("verifier_gate", retries=1)).text == "4"
    assert user(model.seen[1]) == "Question: Q?\n\nGiven solution:\nso Answer: 4"


def test_the_gate_has_a_wrong_answer_solved_again(scripted: Make) -> None:
    """What the verifier found stands in the second question."""
    model = scripted(lines("Answer: 4", "2+3 is 5.\nVerdict: wrong", "Answer: 5", "Verdict: right"))
    assert answer(guarded("verifier_gate", retries=1)).text == "5"
    assert user(model.seen[2]).startswith("Q?\n\nAn earlier solution was found wrong:\n2+3 is 5.")


def test_what_never_passes_is_trusted_half(scripted: Make) -> None:
    """Both tries are wrong: the last one stands, its confidence of 0.5 halved."""
    scripted(by_order(("Given solution", "Verdict: wrong"), ("", "Answer: 4")))
    found = answer(guarded("verifier_gate", retries=1))
    assert (found.text, found.confidence) == ("4", 0.25)


def test_the_confidence_gate_draws_again_only_where_unsure(scripted: Make) -> None:
    """0.95 passes at 0.9; 0.6 draws once more, and the surer 0.8 stands, though it is below."""
    model = scripted(lines(sure("Answer: 1", 0.95)))
    assert answer(guarded("confidence_gate", threshold=0.9, draws=1)).text == "1"
    assert len(model.seen) == 1
    model.script = lines(sure("Answer: 1", 0.6), sure("Answer: 2", 0.8))
    assert answer(guarded("confidence_gate", threshold=0.9, draws=1)).text == "2"
    assert model.seen[-1].temperature == 0.5


def test_the_confidence_gate_passes_what_has_no_confidence(scripted: Make) -> None:
    """Without log-probabilities there is nothing to gate by: one call."""
    model = scripted(lines(sure("Answer: 1", None)))
    assert answer(guarded("confidence_gate")).text == "1"
    assert len(model.seen) == 1


CLEAN = "Evidence: none\nFlawed: no\nSuggestion: none\nImpact: no"
FLAWED = "Evidence: 2+3=6\nFlawed: yes\nSuggestion: 2+3 is 5\nImpact: yes"


def test_a_clean_message_passes_all_indicators(scripted: Make) -> None:
    """One solution and two audits, each of one kind of failure."""
    model = scripted(by_order(("Kind of failure", CLEAN), ("", "Answer: 4")))
    assert answer(guarded("rectify_or_reject", k=2, retries=1)).text == "4"
    assert len(model.seen) == 3
    assert len({user(r).rpartition("Kind of failure: ")[2] for r in model.seen[1:]}) == 2


def test_a_flaw_is_rectified(scripted: Make) -> None:
    """The suggestion stands in the second question, and the mended message passes."""
    model = scripted(
        by_order(
            ("Message:\nAnswer: 6", FLAWED),
            ("Message:\nAnswer: 5", CLEAN),
            ("2+3 is 5", "Answer: 5"),
            ("", "Answer: 6"),
        )
    )
    assert answer(guarded("rectify_or_reject", k=2, retries=1)).text == "5"
    assert "- 2+3 is 5" in user(model.seen[3])


@pytest.mark.parametrize(("fallback", "text"), [("keep", "6"), ("drop", "")])
def test_what_stays_flawed_is_rejected(scripted: Make, fallback: str, text: str) -> None:
    """The fallback decides: the first answer at half its confidence, or none."""
    model = scripted(by_order(("Kind of failure", FLAWED), ("", "Answer: 6")))
    found = answer(guarded("rectify_or_reject", k=2, retries=1, fallback=fallback))
    assert (found.text, found.confidence) == (text, 0.25)
    assert len(model.seen) == 2 * (1 + 2)


@pytest.mark.parametrize(
    ("text", "counts"),
    [
        (FLAWED, "2+3 is 5"),
        (CLEAN, ""),
        (FLAWED.replace("Impact: yes", "Impact: no"), ""),
        (FLAWED.replace("2+3 is 5", "none"), ""),
        (FLAWED.replace("Flawed: yes", "Flawed: no"), ""),
        ("**Flawed:** Yes\n**Suggestion:** use km\n**Impact:** yes, it does", "use km"),
        ("I think it is fine.", ""),
    ],
)
def test_a_flaw_counts_only_with_suggestion_and_impact(text: str, counts: str) -> None:
    """The rule of the source's audit."""
    from paragent.components.rectify_or_reject import flaw

    assert flaw(text) == counts


def test_the_nearest_indicators_are_audited() -> None:
    """A question of units is audited for units among others; garbage gets the first of the pool."""
    from paragent.components.rectify_or_reject import INDICATORS, nearest

    names = [i.name for i in nearest("How many minutes are 3 hours? convert hours to minutes", 2)]
    assert "Unit mixed up" in names
    assert nearest("\x00", 2) == list(INDICATORS[:2])


def test_the_judge_accepts_by_its_second_thought(scripted: Make) -> None:
    """Bad at first, good after reflection: the answer stands. Calls: 1 + 3."""
    model = scripted(lines("Answer: 4", "Be exact.", "Verdict: bad", "Verdict: good"))
    assert answer(guarded("principled_judge", reflect=True)).text == "4"
    assert "Principles:\nBe exact.\n\nAnswer:\nAnswer: 4" in user(model.seen[2])
    assert "Judgement:\nVerdict: bad" in user(model.seen[3])


def test_the_judge_has_a_bad_answer_revised(scripted: Make) -> None:
    """Without reflection the first verdict counts; the revision sees the judgement."""
    model = scripted(lines("Answer: 4", "Be exact.", "Too vague.\nVerdict: bad", "Answer: 4.5"))
    assert answer(guarded("principled_judge", reflect=False)).text == "4.5"
    assert "A judge found:\nToo vague." in user(model.seen[3])


def test_a_revision_that_says_nothing_loses(scripted: Make) -> None:
    """An empty revision leaves the first answer."""
    scripted(lines("Answer: 4", "Be exact.", "Verdict: bad", ""))
    assert answer(guarded("principled_judge", reflect=False)).text == "4"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("fine so far\nVerdict: right", True),
        ("**Verdict: Wrong**", False),
        ("verdict - incorrect", False),
        ("Verdict: right\nno wait\nVerdict: wrong", False),
        ("All steps hold.\nCorrect.", True),
        ("no", False),
        ("That is not right", None),
        ("Verdict: unclear", None),
        ("", None),
    ],
)
def test_verdicts_are_read_not_guessed(text: str, found: bool | None) -> None:
    """The word after the last mark, or a last line that is such a word alone."""
    assert verdict(text) is found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Good.\nScore: 7", 0.7),
        ("**Score:** 7.5/10", 0.75),
        ("Score: 3\nScore: 9", 0.9),
        ("8", 0.8),
        ("8/10", 0.8),
        ("Score: 11", None),
        ("Score: high", None),
        ("it deserves 8", None),
        ("nan", None),
        ("", None),
    ],
)
def test_scores_are_shares_of_the_top(text: str, found: float | None) -> None:
    """0 to 10 becomes 0 to 1; what lies outside is no score."""
    assert score(text) == (None if found is None else pytest.approx(found))


def test_numbered_lines_end_where_the_numbers_do() -> None:
    """Talk around them is passed over; a gap ends the list; at most so many."""
    text = "Sure:\n1: a\n\n- 2) **b**\nStep 3. c\n5: e"
    assert numbered(text, 9) == ["a", "b", "c"]
    assert numbered(text, 2) == ["a", "b"]
    assert numbered("2: b", 9) == []


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    """Nothing a model says raises, and a score stays in [0, 1]."""
    found = score(text)
    assert found is None or 0 <= found <= 1
    assert verdict(text) in (True, False, None)
    assert len(numbered(text, 3)) <= 3
