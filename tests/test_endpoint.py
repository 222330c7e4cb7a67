"""Endpoint models against a real server on loopback that fails on purpose."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest

from paragent.component import Price, Tool
from paragent.dev.fake_server import FAULTS, FakeConfig, FakeReply, FakeServer
from paragent.errors import CallFailure
from paragent.runtime.client import close_clients
from paragent.runtime.endpoint import EndpointModel
from paragent.runtime.journal import Journal
from paragent.runtime.ledger import Caps, Ledger
from paragent.runtime.limits import Limits
from paragent.runtime.model import Completion, Message, Request, ToolCall
from paragent.runtime.models_file import ModelSpec
from paragent.runtime.reach import reachable, unreached
from paragent.runtime.retry import BilledFailure, RetryPolicy
from paragent.runtime.session import Session
from paragent.runtime.wire import retry_after_s

T = TypeVar("T")
QUICK = RetryPolicy(attempts=5, first_wait_s=0.005, longest_wait_s=0.02)
PRICE = Price(1.0, 2.0)


def ask(text: str, **options: Any) -> Request:
    return Request((Message("user", text),), **options)


def serve(
    config: FakeConfig, work: Callable[[FakeServer, EndpointModel], Awaitable[T]], **spec: Any
) -> T:
    """Run `work` against a server of this config; the client is closed after it."""

    async def main() -> T:
        async with FakeServer(config) as server:
            options: dict[str, Any] = {"price": PRICE, "timeout_s": 1.0} | spec
            model = EndpointModel(ModelSpec("fake", server.url, **options), QUICK)
            try:
                return await work(server, model)
            finally:
                await close_clients()

    return asyncio.run(main())


def fixed(reply: FakeReply) -> Callable[[Mapping[str, Any]], FakeReply]:
    return lambda body: reply


def completion(config: FakeConfig, request: Request, **spec: Any) -> Completion:
    async def work(server: FakeServer, model: EndpointModel) -> Completion:
        return await model.attempt(request)

    return serve(config, work, **spec)


def failure(config: FakeConfig, request: Request, **spec: Any) -> CallFailure:
    with pytest.raises(CallFailure) as told:
        completion(config, request, **spec)
    assert "\n" not in str(told.value)
    return told.value


def test_a_plain_call() -> None:
    """Text, usage as the server counts it, confidence exp(mean log-probability), a latency."""
    got = completion(FakeConfig(latency_s=0.02), ask("What is 3 + 4 * 2?"))
    assert got.text == "Answer: 11"
    # 18 characters are 5 tokens of 4, and 3 around the message.
    assert (got.prompt_tokens, got.completion_tokens, got.estimated) == (8, 2, False)
    assert got.confidence == pytest.approx(0.9802, abs=1e-4)
    assert 0.02 <= got.latency_s < 1.0


def test_what_is_sent_is_what_was_asked() -> None:
    """Seed, temperature, stops, limits, tools and whole histories reach the server as given."""
    seen: list[Mapping[str, Any]] = []

    def answer(body: Mapping[str, Any]) -> FakeReply:
        seen.append(body)
        return FakeReply("one\ntwo")

    request = Request(
        messages=(
            Message("system", "s"),
            Message("user", "u"),
            Message("assistant", "", (ToolCall("id7", "calc", '{"x": 1}'),)),
            Message("tool", "2", (), "id7"),
        ),
        max_tokens=77,
        temperature=0.5,
        seed=12345,
        stop=("\n",),
        json_output=False,
    )
    got = completion(FakeConfig(answer=answer), request, model="org/model-7b")
    assert got.text == "one"
    assert seen == [
        {
            "model": "org/model-7b",
            "messages": [
                {"role": "system", "content": "s"},
                {"role": "user", "content": "u"},
                {
                    "role": "assistant",
                    "content": "",
                    "tool_calls": [
                        {
                            "id": "id7",
                            "type": "function",
                            "function": {"name": "calc", "arguments": '{"x": 1}'},
                        }
                    ],
                },
                {"role": "tool", "content": "2", "tool_call_id": "id7"},
            ],
            "max_tokens": 77,
            "temperature": 0.5,
            "seed": 12345,
            "stop": ["\n"],
            "logprobs": True,
        }
    ]


CALCULATOR = Tool(
    "calculator",
    "works out an expression",
    lambda text: text,
    "",
    "",
    {"type": "object", "properties": {"expression": {"type": "string"}}},
)


def test_native_tools() -> None:
    """A tool's schema goes out, the model's wish comes back with its JSON arguments."""
    got = completion(FakeConfig(), ask("2 + 3", tools=(CALCULATOR,)))
    assert got.finish == "tool_calls"
    assert [(c.name, json.loads(c.arguments)) for c in got.tool_calls] == [
        ("calculator", {"expression": "2 + 3"})
    ]


def test_json_output() -> None:
    """JSON is asked for; a fence around it goes; what is no JSON is malformed, and charged."""
    request = ask("x", json_output=True)
    assert json.loads(completion(FakeConfig(), request).text) == {"echo": "x"}
    fenced = FakeConfig(answer=fixed(FakeReply('```json\n{"a": 1}\n```')))
    assert completion(fenced, request).text == '{"a": 1}'
    broken = failure(FakeConfig(answer=fixed(FakeReply('{"a": '))), request)
    assert isinstance(broken, BilledFailure)
    assert (broken.kind, broken.prompt_tokens) == ("malformed", 4)


def test_temperature_draws_differ_by_seed() -> None:
    """Five samples of one question are five different texts from the server."""

    async def work(server: FakeServer, model: EndpointModel) -> set[str]:
        calls = (
            model.attempt(ask("hello", temperature=1.0, seed=seed, sample=str(seed)))
            for seed in range(5)
        )
        return {c.text for c in await asyncio.gather(*calls)}

    assert len(serve(FakeConfig(), work)) == 5


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (FakeConfig(fault_rate=1, faults=("429",)), "rate-limit"),
        (FakeConfig(fault_rate=1, faults=("500",)), "server"),
        (FakeConfig(fault_rate=1, faults=("hang",)), "timeout"),
        (FakeConfig(fault_rate=1, faults=("close",)), "connection"),
        (FakeConfig(fault_rate=1, faults=("truncated",)), "malformed"),
        (FakeConfig(fault_rate=1, faults=("empty",)), "malformed"),
        (FakeConfig(fault_rate=1, faults=("drip",), drip_s=5.0), "timeout"),
        (FakeConfig(answer=fixed(FakeReply("", finish="content_filter"))), "refused"),
        (FakeConfig(answer=fixed(FakeReply(" "))), "empty"),
        (FakeConfig(context=2), "context-overflow"),
        (FakeConfig(key="right"), "auth"),
        (FakeConfig(rejects=("messages",)), "bad-request"),
    ],
)
def test_each_fault_has_its_kind(config: FakeConfig, kind: str) -> None:
    """Every way to fail is its own word, and none takes longer than the time-out."""
    begin = time.monotonic()
    assert failure(config, ask("hello there"), timeout_s=0.3).kind == kind
    assert time.monotonic() - begin < 20.0


def test_retry_after_is_read() -> None:
    """The server's wish reaches the retry policy, in its three spellings."""
    told = failure(FakeConfig(fault_rate=1, faults=("429-after",), retry_after_s=7.5), ask("x"))
    assert told.retry_after_s == 7.5
    assert retry_after_s({"retry-after-ms": "250"}) == 0.25
    ahead = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 60))
    assert retry_after_s({"retry-after": ahead}) == pytest.approx(60, abs=2)
    assert retry_after_s({"retry-after": "soon"}) is None
    assert retry_after_s({}) is None


def test_nobody_listens() -> None:
    """A closed port is a connection failure, and surely nothing was billed."""

    async def work(server: FakeServer, model: EndpointModel) -> tuple[str, int]:
        dead = EndpointModel(ModelSpec("dead", "http://127.0.0.1:9/v1"), QUICK)
        ledger = Ledger()
        with pytest.raises(CallFailure) as told:
            await Session(ledger, None).call(dead, ask("x"), "trial")
        return told.value.kind, ledger.spent().unsure_calls

    assert serve(FakeConfig(), work) == ("connection", 0)


def test_a_missing_key_is_told_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """No request leaves without its key; the line names the variable to set."""
    monkeypatch.delenv("SOME_KEY", raising=False)
    told = failure(FakeConfig(), ask("x"), api_key_env="SOME_KEY")
    assert told.kind == "auth"
    assert "SOME_KEY, which is not set" in str(told)


def test_the_key_and_headers_reach_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable's value is the bearer token; a header may come from the environment."""
    monkeypatch.setenv("SOME_KEY", "planted-key-0123456789")
    monkeypatch.setenv("TEAM", "team-secret-42")
    got = completion(
        FakeConfig(key="planted-key-0123456789"),
        ask("hi"),
        api_key_env="SOME_KEY",
        headers={"X-Team": "${TEAM}"},
    )
    assert got.text == "Answer: hi"


def test_missing_usage_is_estimated_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Four characters a token for the prompt, log-probabilities counted for the reply."""

    async def work(server: FakeServer, model: EndpointModel) -> list[Completion]:
        return [await model.attempt(ask("x" * 40 + str(i))) for i in range(3)]

    with caplog.at_level(logging.WARNING):
        found = serve(FakeConfig(usage=False), work)
    assert [(c.estimated, c.prompt_tokens, c.completion_tokens) for c in found] == [
        (True, 15, 2)
    ] * 3
    assert len([r for r in caplog.records if "estimates" in r.getMessage()]) == 1


def test_nonsense_usage_is_not_believed() -> None:
    """Negative or written-out token counts are no counts."""
    got = completion(FakeConfig(fault_rate=1, faults=("usage",)), ask("hello"))
    assert got.estimated and got.prompt_tokens > 0


@pytest.mark.parametrize("option", ["seed", "logprobs", "tools", "stop", "max_tokens"])
def test_a_rejected_option_is_left_out_once_and_for_all(
    option: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One 400, one warning, and from then on calls pass at the first try."""

    async def work(server: FakeServer, model: EndpointModel) -> tuple[list[str], str]:
        texts = []
        for i in range(3):
            request = ask(f"word{i} END tail", stop=("END",), tools=(CALCULATOR,))
            texts.append((await model.attempt(request)).text)
        assert server.stats.asked.total() == 3  # chats that were served
        return texts, model.tool_protocol

    with caplog.at_level(logging.WARNING):
        texts, protocol = serve(FakeConfig(rejects=(option,)), work)
    # Where the server knows no stops, the reply is cut here.
    assert [t.strip() for t in texts] == ["Answer: word0", "Answer: word1", "Answer: word2"]
    assert protocol == ("text" if option == "tools" else "native")
    assert len([r for r in caplog.records if "left out" in r.getMessage()]) == 1


def test_without_logprobs_there_is_no_confidence() -> None:
    """None where the model gives none; nothing is made up."""
    assert completion(FakeConfig(rejects=("logprobs",)), ask("x")).confidence is None
    assert completion(FakeConfig(), ask("x"), logprobs=False).confidence is None


def test_worst_case_bounds_what_the_server_counts() -> None:
    """The reservation is never below the server's own count, for long and short texts."""

    async def work(server: FakeServer, model: EndpointModel) -> None:
        for text in ("a", "hello " * 50, "äöü€" * 20, "😀" * 9):
            request = ask(text, max_tokens=4)
            prompt, most = model.worst_case(request)
            got = await model.attempt(request)
            assert got.prompt_tokens <= prompt
            assert got.completion_tokens <= most == 4

    serve(FakeConfig(), work)


def test_worst_case_is_within_the_context() -> None:
    """A known context bounds the prompt."""
    model = EndpointModel(ModelSpec("m", "http://x", context=100))
    assert model.worst_case(ask("y" * 1000)) == (100, 512)


def test_instances_share_one_client_and_the_last_closes_it() -> None:
    """A hundred compiled designs do not open a hundred pools."""

    async def work(server: FakeServer, model: EndpointModel) -> tuple[int, int]:
        other = replace(model.spec, name="other")
        models = [EndpointModel(s, QUICK) for s in (model.spec, other) for _ in range(50)]
        clients = {id(m._client()) for m in models}
        await models[0].aclose()
        kept = models[-1]._client()
        assert not kept.is_closed()
        await models[-1].aclose()
        return len(clients), int(kept.is_closed())

    assert serve(FakeConfig(), work) == (1, 1)


def test_reachable() -> None:
    """True for a server that answers, False for a closed port, None without the key."""

    async def work(server: FakeServer, model: EndpointModel) -> list[bool | None]:
        dead = replace(model.spec, base_url="http://127.0.0.1:9/v1")
        keyless = replace(model.spec, api_key_env="NO_SUCH_VARIABLE_HERE")
        return [await reachable(s, 2.0) for s in (model.spec, dead, keyless)]

    assert serve(FakeConfig(), work) == [True, False, None]


def test_only_a_server_that_is_not_there_is_unreached() -> None:
    """A closed port and an unknown host, by model, with the reason; not an answer of any kind (a
    wrong key here), a missing key or a slow server."""

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def work(server: FakeServer, model: EndpointModel) -> dict[str, str]:
        slow = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = slow.sockets[0].getsockname()[1]
        places = {
            "dead": "http://127.0.0.1:9/v1",
            "dead too": "http://127.0.0.1:9/v1",
            "nowhere": "http://no-such-host.invalid/v1",
            "slow": f"http://127.0.0.1:{port}/v1",
        }
        specs = [replace(model.spec, name=n, base_url=url) for n, url in places.items()]
        keyless = replace(model.spec, name="keyless", api_key_env="NO_SUCH_VARIABLE_HERE")
        async with slow:
            return await unreached([model.spec, keyless, *specs], 0.5)

    found = serve(FakeConfig(key="another"), work)
    assert found.keys() == {"dead", "dead too", "nowhere"}
    assert "127.0.0.1:9" in found["dead"]


def test_chaos_pays_exactly_what_the_server_billed(tmp_path: Path) -> None:
    """300 calls with 30 % faults of every kind: same answers, exact bills, no call lost."""
    config = FakeConfig(fault_rate=0.3, drip_s=0.05, retry_after_s=0.01, seed=3)

    async def work(server: FakeServer, model: EndpointModel) -> None:
        journal = Journal(tmp_path / "calls.db")
        ledger = Ledger(Caps(usd=1.0))
        session = Session(ledger, journal)

        async def one(i: int) -> str:
            try:
                return (await session.call(model, ask(f"{i} + {i}", max_tokens=16), "label")).text
            except CallFailure as told:
                return told.kind

        texts = await asyncio.gather(*map(one, range(300)))
        resumed = Ledger(Caps(), journal.entries()).spent()
        spent, stats = ledger.spent(), server.stats.to_data()
        await session.aclose()
        journal.close()
        assert set(stats["faults"]) == set(FAULTS)
        # Each call has the calm run's answer, or says why it has none.
        differing = {text for i, text in enumerate(texts) if text != f"Answer: {2 * i}"}
        assert differing <= {"rate-limit", "server", "timeout", "connection", "malformed"}
        assert sum(text.startswith("Answer") for text in texts) > 270
        # What the server billed was settled, but for replies that came after the time-out; those
        # and the broken replies are the calls whose bill is unsure.
        late = spent.unsure_calls - sum(stats["faults"][f] for f in ("hang", "close", "truncated"))
        assert late >= 0
        assert spent.calls == stats["billed"] + stats["faults"]["empty"] - late
        assert stats["billed_twice"] <= late
        assert (spent.calls, spent.usd) == (resumed.calls, resumed.usd)
        assert spent.unsure_calls == resumed.unsure_calls

    serve(config, work, timeout_s=1.0, limits=Limits(concurrency=64))


@pytest.fixture
def server() -> Iterator[str]:
    """The fake server in a process of its own."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "paragent.dev.fake_server", "--latency-ms", "5"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
        process.terminate()


RUN = """
import asyncio, sys
from paragent.runtime.endpoint import EndpointModel
from paragent.runtime.journal import Journal
from paragent.runtime.ledger import Caps, Ledger
from paragent.runtime.limits import Limits
from paragent.runtime.model import Message, Request
from paragent.runtime.models_file import ModelSpec
from paragent.runtime.session import Session

async def main(url, path):
    model = EndpointModel(ModelSpec("fake", url, limits=Limits(concurrency=16)))
    journal = Journal(path)
    session = Session(Ledger(Caps(), journal.entries()), journal)
    async def one(i):
        await session.call(model, Request((Message("user", f"task {i}"),)), "search-eval")
        print("done", flush=True)
    await asyncio.gather(*(one(i) for i in range(400)))
    print("cached", session.counts.cached, flush=True)
    await session.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


def test_kill_minus_nine_and_resume_pay_for_nothing_twice(server: str, tmp_path: Path) -> None:
    """Killed in mid-run and run again: the server counts no call twice, but for those in flight."""
    path = tmp_path / "calls.db"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", RUN, server, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=env) as process:
        assert process.stdout is not None
        for _ in range(120):
            assert process.stdout.readline() == b"done\n"
        process.send_signal(signal.SIGKILL)
    journal = Journal(path)
    first = list(journal.entries())
    journal.close()
    settled = sum(e.calls for e in first if not e.unsure)
    in_flight = sum(e.calls for e in first if e.unsure)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True)
    cached = int(done.stdout.split()[-1])
    with urllib.request.urlopen(f"{server}/stats") as reply:
        stats = json.load(reply)
    assert 120 <= settled < 400
    assert cached == settled
    assert in_flight <= 16
    # Twice only what had been answered into a dead process's pocket: known as unsure, and counted.
    assert stats["different"] == 400
    assert stats["billed_twice"] <= in_flight
