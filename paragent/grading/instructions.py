"""Checkers for instructions that can be checked: 25 kinds of IFEval, written anew.

What each kind means follows Zhou et al. 2023, table 1, and the official code
(google-research/instruction_following_eval, `instructions.py`). Two of its helpers are other
packages: sentences are divided here by punctuation instead of nltk's punkt, and languages are told
by script and by common words instead of langdetect, so single tasks may be judged otherwise.
Every check takes time linear in the text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

#: Responses are read up to here; no instruction asks for as much.
MOST_CHARACTERS = 50_000

Options = Mapping[str, Any]


def follows(kind: str, options: Options, text: str) -> bool:
    """Whether `text` follows one instruction. Raises KeyError for a kind that is not known."""
    check = CHECKS[kind]
    given = {key: value for key, value in options.items() if value is not None}
    return bool(text.strip()) and check(text[:MOST_CHARACTERS], given)


def all_followed(kinds: Sequence[str], options: Sequence[Options], text: str) -> float:
    """1.0 where every instruction is followed (prompt-level, strict), else 0.0."""
    return float(all(follows(k, o, text) for k, o in zip(kinds, options, strict=True)))


def _compare(count: int, relation: str, wanted: int) -> bool:
    return count < wanted if relation == "less than" else count >= wanted


# -- words and letters ----------------------------------------------------------------------------


def _has(word: str, text: str) -> bool:
    return word.lower() in text.lower()


def _existence(text: str, o: Options) -> bool:
    return all(_has(word, text) for word in o["keywords"])


def _frequency(text: str, o: Options) -> bool:
    return _compare(text.lower().count(o["keyword"].lower()), o["relation"], o["frequency"])


def _forbidden(text: str, o: Options) -> bool:
    return not any(
        re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in o["forbidden_words"]
    )


def _letters(text: str, o: Options) -> bool:
    count = text.lower().count(o["letter"].lower())
    return _compare(count, o["let_relation"], o["let_frequency"])


def _words(text: str, o: Options) -> bool:
    return _compare(len(re.findall(r"\w+", text)), o["relation"], o["num_words"])


def sentences(text: str) -> int:
    """How many sentences: runs of text that end in . ! ? or a blank line, abbreviations apart."""
    text = re.sub(r"\b(Mr|Mrs|Ms|Dr|St|Prof|vs|etc|e\.g|i\.e|No)\.", r"\1", text)
    text = re.sub(r"(?<=[0-9])\.(?=[0-9])", "", text)
    text = re.sub(r"\b([A-Za-z])\.(?=[A-Za-z]\.|\s[a-z])", r"\1", text)
    parts = re.split(r"[.!?]+[\"'”’)\]]*(?:\s+|$)|\n\s*\n", text)
    return sum(bool(re.search(r"\w", part)) for part in parts)


def _sentences(text: str, o: Options) -> bool:
    return _compare(sentences(text), o["relation"], o["num_sentences"])


def _capital_words(text: str, o: Options) -> bool:
    words = re.findall(r"[^\W_]+(?:[-'’.&][^\W_]+)*", text)
    count = sum(word.isupper() for word in words)
    return _compare(count, o["capital_relation"], o["capital_frequency"])


# -- layout ---------------------------------------------------------------------------------------


def _paragraphs(text: str, o: Options) -> bool:
    parts = [part.strip() for part in text.split("***")]
    inner, ends = parts[1:-1], [parts[0], parts[-1]] if len(parts) > 1 else parts
    if not all(inner):
        return False
    return bool(len(inner) + sum(map(bool, ends)) == o["num_paragraphs"])


def _nth_paragraph(text: str, o: Options) -> bool:
    parts = text.split("\n\n")
    if sum(bool(part.strip()) for part in parts) != o["num_paragraphs"]:
        return False
    nth = o["nth_paragraph"]
    if nth > len(parts) or not parts[nth - 1].strip():
        return False
    word = parts[nth - 1].split()[0].lstrip("'\"")
    return bool(re.split(r"[.,?!'\"]", word)[0].lower() == o["first_word"].lower())


def _placeholders(text: str, o: Options) -> bool:
    return bool(sum(_pairs(line) for line in text.split("\n")) >= o["num_placeholders"])


def _pairs(line: str) -> int:
    """How many [ ] a line holds, from left to right."""
    count, place = 0, line.find("[")
    while place >= 0 and (end := line.find("]", place)) >= 0:
        count, place = count + 1, line.find("[", end)
    return count


def _postscript(text: str, o: Options) -> bool:
    marker = o["postscript_marker"]
    if marker == "P.P.S":
        pattern = r"p\.\s?p\.\s?s"
    elif marker == "P.S.":
        pattern = r"p\.\s?s\."
    else:
        pattern = re.escape(marker.lower())
    return bool(re.search(pattern, text.lower()))


def _bullets(text: str, o: Options) -> bool:
    found = re.findall(r"^[ \t]*(?:\*[^*\n]|-)", text, re.MULTILINE)
    return bool(len(found) == o["num_bullets"])


def _constrained(text: str, o: Options) -> bool:
    return any(f"My answer is {word}." in text for word in ("yes", "no", "maybe"))


def _highlights(text: str, o: Options) -> bool:
    single = [m for m in re.findall(r"\*[^\n*]*\*", text) if m.strip("*").strip()]
    double = [m for m in re.findall(r"\*\*[^\n*]*\*\*", text) if m[2:-2].strip()]
    return bool(len(single) + len(double) >= o["num_highlights"])


def _sections(text: str, o: Options) -> bool:
    marks = re.findall(rf"{re.escape(o['section_spliter'])}\s?[0-9]+", text)
    return bool(len(marks) >= o["num_sections"])


def _json(text: str, o: Options) -> bool:
    text = re.sub(r"^```(?:json|JSON|Json)?", "", text.strip()).removesuffix("```").strip()
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _title(text: str, o: Options) -> bool:
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start < end and line[start:end].strip("<> "):
            return True
    return False


def _two_responses(text: str, o: Options) -> bool:
    parts = text.split("******")
    kept = [part.strip() for part in parts if part.strip()]
    if any(not part.strip() for part in parts[1:-1]):
        return False
    return len(kept) == 2 and kept[0] != kept[1]


def _repeats(text: str, o: Options) -> bool:
    return text.strip().lower().startswith(o["prompt_to_repeat"].strip().lower())


def _ends(text: str, o: Options) -> bool:
    return text.strip().strip('"').lower().endswith(o["end_phrase"].strip().lower())


def _quoted(text: str, o: Options) -> bool:
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


# -- languages ------------------------------------------------------------------------------------

_SCRIPTS = {
    "hi": "\u0900-\u097f", "mr": "\u0900-\u097f", "ne": "\u0900-\u097f", "bn": "\u0980-\u09ff",
    "pa": "\u0a00-\u0a7f", "gu": "\u0a80-\u0aff", "ta": "\u0b80-\u0bff", "te": "\u0c00-\u0c7f",
    "kn": "\u0c80-\u0cff", "th": "\u0e00-\u0e7f", "ar": "\u0600-\u06ff", "fa": "\u0600-\u06ff",
    "ur": "\u0600-\u06ff", "ru": "\u0400-\u04ff", "bg": "\u0400-\u04ff", "ko": "\uac00-\ud7af",
    "ja": "\u3040-\u30ff", "zh": "\u4e00-\u9fff", "el": "\u0370-\u03ff", "he": "\u0590-\u05ff",
}  # fmt: skip

_LATIN = "a-zA-Z\u00c0-\u024f\u1e00-\u1eff"

#: Common words that tell languages of one script apart.
_COMMON = {
    "en": "the and of to in is that for it with as was on are be this you not have",
    "de": "der die und das ist nicht ein eine zu mit den von für auf sich auch es ich",
    "it": "il la di che e è un una per non con del sono della gli le si come",
    "pt": "o a de que e do da em um uma para com não os as se por mais como é",
    "es": "el la de que y en los las un una por con no para es del se",
    "fr": "le la les de des et en un une est que pour dans pas vous qui du",
    "vi": "và của là có không được một cho trong các với người này những để",
    "fi": "ja on ei se että hän ovat olla mutta niin kun oli myös joka tai kuin",
    "sw": "na ya wa kwa ni katika za la kuwa hii cha yake lakini sana au mimi",
    "hi": "है और के में की का को से यह हैं पर ने कि नहीं एक",
    "mr": "आहे आणि च्या मध्ये ते हे एक तो ही आहेत नाही करण्यासाठी या का",
    "ne": "छ र को मा हो यो गर्न पनि छन् भएको लागि एक हुन्छ तपाईं",
    "ar": "في من على أن هذا التي إلى و لا ما هو كان مع",
    "fa": "است و در از به که این را با برای آن می های",
    "ur": "ہے اور کے میں کی کا کو سے یہ ہیں پر نے کہ نہیں ایک",
    "ru": "и в не на что я с он как это по но они мы все",
    "bg": "и на да е в се за от не с са че това по",
}


def is_language(code: str, text: str) -> bool:
    """Whether a text may well be in the language of that ISO code.

    A script of its own decides; where several languages share it, the one with most common words.
    """
    letters = [c for c in text if c.isalpha()]
    if not letters:
        return True  # nothing speaks against it, as in the official checker
    script = _SCRIPTS.get(code)
    inside = (
        re.compile(f"[{script}]") if script else re.compile(r"[a-zA-Z\u00c0-\u024f\u1e00-\u1eff]")
    )
    if sum(bool(inside.match(c)) for c in letters) < len(letters) / 2:
        return False
    rivals = [k for k in _COMMON if _SCRIPTS.get(k) == script]
    if code not in rivals or len(rivals) == 1:
        return True
    words = re.findall(r"[^\s.,;:!?()\"'।،؟]+", text.lower())
    scores = {
        k: sum(w in known for w in words) for k in rivals if (known := set(_COMMON[k].split()))
    }
    return scores[code] == max(scores.values())


def _language(text: str, o: Options) -> bool:
    return is_language(o["language"], text)


CHECKS: Mapping[str, Callable[[str, Options], bool]] = {
    "keywords:existence": _existence,
    "keywords:frequency": _frequency,
    "keywords:forbidden_words": _forbidden,
    "keywords:letter_frequency": _letters,
    "language:response_language": _language,
    "length_constraints:number_sentences": _sentences,
    "length_constraints:number_paragraphs": _paragraphs,
    "length_constraints:number_words": _words,
    "length_constraints:nth_paragraph_first_word": _nth_paragraph,
    "detectable_content:number_placeholders": _placeholders,
    "detectable_content:postscript": _postscript,
    "detectable_format:number_bullet_lists": _bullets,
    "detectable_format:constrained_response": _constrained,
    "detectable_format:number_highlighted_sections": _highlights,
    "detectable_format:multiple_sections": _sections,
    "detectable_format:json_format": _json,
    "detectable_format:title": _title,
    "combination:two_responses": _two_responses,
    "combination:repeat_prompt": _repeats,
    "startend:end_checker": _ends,
    "startend:quotation": _quoted,
    "change_case:capital_word_frequency": _capital_words,
    "change_case:english_capital": lambda text, o: text.isupper() and is_language("en", text),
    "change_case:english_lowercase": lambda text, o: text.islower() and is_language("en", text),
    "punctuation:no_comma": lambda text, o: "," not in text,
}
