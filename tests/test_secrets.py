"""A planted key must not be found in anything that is written."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paragent.dev.fake_server import FakeConfig, FakeReply, FakeServer
from paragent.errors import CallFailure
from paragent.runtime import secrets
from paragent.runtime.client import close_clients
from paragent.runtime.endpoint import EndpointModel
from paragent.runtime.journal import Journal
from paragent.runtime.ledger import Ledger
from paragent.runtime.model import Message, Request
from paragent.runtime.models_file import ModelSpec
from paragent.runtime.retry import RetryPolicy
from paragent.runtime.session import Session

KEY = 'planted/KEY+with=odd"chars-7f3a9'


def test_a_planted_key_is_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A server that gives the key back in replies, errors and tool calls: no file, log, error or
    printed line has it."""
    monkeypatch.setenv("PLANTED_KEY", KEY)
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)

    def answer(body: Mapping[str, Any]) -> FakeReply:
        if body.get("temperature"):
            return FakeReply(f"refused because of {KEY}", finish="content_filter")
        return FakeReply(f"your key is {KEY}")

    async def main() -> list[str]:
        told: list[str] = []
        journal = Journal(tmp_path / "calls.db")
        session = Session(Ledger(), journal)

        async def call(server: FakeServer, text: str, temperature: float = 0.0) -> None:
            model = EndpointModel(
                ModelSpec(
                    "m",
                    server.url,
                    api_key_env="PLANTED_KEY",
                    headers={"X-Api-Key": "${PLANTED_KEY}"},
                ),
                RetryPolicy(attempts=2, first_wait_s=0.001),
            )
            request = Request((Message("user", text),), temperature=temperature)
            try:
                told.append((await session.call(model, request, "trial")).text)
            except CallFailure as failure:
                told.append(str(failure) + repr(failure) + traceback.format_exc())

        async with FakeServer(FakeConfig(key=KEY, answer=answer)) as server:
            await call(server, "good")
            await call(server, "refused", 1.0)
        async with FakeServer(FakeConfig(key="another one")) as server:
            await call(server, "wrong key")  # the error body names the key that was sent
        async with FakeServer(FakeConfig(fault_rate=1, faults=("close", "truncated"))) as server:
            await call(server, "broken")
        await close_clients()
        journal.close()
        return told

    try:
        told = asyncio.run(main())
    finally:
        root.removeHandler(handler)
        root.setLevel(before)
    assert told[0] == "your key is [redacted]"
    assert "auth" in told[2]
    printed = capfd.readouterr()
    everything = [*told, written.getvalue(), printed.out, printed.err]
    everything += [p.read_bytes().decode("latin-1") for p in tmp_path.rglob("*") if p.is_file()]
    assert len(written.getvalue()) > 100  # logs were really written
    assert any("good" in text or "your key is" in text for text in everything[4:])
    forms = (KEY, json.dumps(KEY)[1:-1], base64.b64encode(KEY.encode()).decode())
    for text in everything:
        for form in forms:
            assert form not in text


@given(
    st.text("abcXYZ019-_.+/=\"'\\ ü", min_size=8, max_size=30).filter(
        lambda s: len(s.strip()) >= 8
    ),
    st.text(max_size=20),
)
def test_remembered_values_go_in_every_form(value: str, around: str) -> None:
    """Raw, inside JSON, inside repr and as base64: nothing of the value is left."""
    secrets.forget()
    secrets.remember(value)
    value = value.strip()
    for form in (value, json.dumps(value), repr(value), base64.b64encode(value.encode()).decode()):
        assert form.strip("\"'") not in secrets.redact(f"{around} {form} {around}")
    secrets.forget()


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-proj-abcdefghijklmnop0123456789",
        "Authorization: Bearer abcdef0123456789",
        "key AIzaSyA1234567890abcdefghijklmnop",
        "gsk_0123456789abcdefghijABCDEFGHIJ",
    ],
)
def test_what_looks_like_a_key_goes_too(text: str) -> None:
    """Keys that nobody told us of, in the shapes of known providers."""
    assert "[redacted]" in secrets.redact(text)
    assert "0123456789" not in secrets.redact(text)
    assert "1234567890" not in secrets.redact(text)


@pytest.mark.parametrize("text", ["", "a risk-free ask-me-anything", "task-0123 at disk-0"])
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Words that resemble keys are no keys, and short placeholders of local servers are none."""
    secrets.remember("EMPTY")
    assert secrets.redact(text) == text
    assert secrets.redact("EMPTY") == "EMPTY"


def test_an_unset_variable_gives_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not set, empty and blank are the same: no key."""
    for value in ("", "  "):
        monkeypatch.setenv("SOME_KEY", value)
        assert secrets.read_key("SOME_KEY") is None
    monkeypatch.delenv("SOME_KEY")
    assert secrets.read_key("SOME_KEY") is None
