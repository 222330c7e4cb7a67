"""A server on loopback that speaks the OpenAI protocol, answers by rule, and fails on purpose.

    paragent dev fake-server --latency-ms 50 --fault-rate 0.2 --port 8123

It serves POST …/chat/completions, GET …/models, GET …/stats (totals) and GET …/requests (how often
each was asked and billed), on plain asyncio. Which request fails, and how, depends on the seed, the
request and how often it came before, never on timing. "Billed" are complete, usable replies; they
are counted by request, so a test can prove that nothing was paid twice.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from paragent.arithmetic import ArithmeticFault, evaluate
from paragent.dev.advising import advice

#: name -> what the caller sees.
FAULTS: dict[str, str] = {
    "429": "rate limit, without Retry-After",
    "429-after": "rate limit, with Retry-After",
    "500": "internal error",
    "hang": "no reply at all",
    "close": "the line closes in the middle of the body",
    "truncated": "a complete body that is half a JSON document",
    "usage": "a good reply whose usage is nonsense",
    "empty": "a reply without choices",
    "drip": "a good reply, byte by byte over `drip_s` seconds",
}
#: Faults after which the reply is still usable, hence billed.
USABLE = ("usage", "drip")

_EXPRESSION = re.compile(r"[-+]?\d[\d\s.,]*(?:[-+*/×÷]\s*\(?\s*[-+]?\d[\d.,]*\)?\s*)+")


@dataclass(frozen=True)
class FakeReply:
    """What the server answers: a text, or a wish to call a tool: its name, and the text of its
    first argument or all of them as a JSON object."""

    text: str = ""
    tool: tuple[str, str] | None = None
    logprob: float = -0.1  # mean per token
    finish: str = ""  # "" decides between stop, length and tool_calls


Answerer = Callable[[Mapping[str, Any]], FakeReply]


def by_rule(body: Mapping[str, Any]) -> FakeReply:
    """Arithmetic in the last turn is worked out (through a tool where one is offered); a search's
    question for advice is answered; all else is echoed, with the draw's seed at a temperature
    above 0."""
    last = body["messages"][-1]
    text = str(last.get("content") or "")
    if said := advice(text):
        return FakeReply(said)
    if last.get("role") == "tool":
        return FakeReply(f"Answer: {text}")
    found = _EXPRESSION.findall(text)
    if found:
        expression = found[-1].strip()
        if body.get("tools"):
            return FakeReply(tool=(body["tools"][0]["function"]["name"], expression))
        with contextlib.suppress(ArithmeticFault, ZeroDivisionError):
            return FakeReply(f"Answer: {evaluate(expression)}", logprob=-0.02)
    if body.get("response_format"):
        return FakeReply(json.dumps({"echo": text}))
    draw = f" (draw {body.get('seed')})" if body.get("temperature") else ""
    return FakeReply(f"Answer: {text}{draw}")


@dataclass(frozen=True)
class FakeConfig:
    """How the server behaves. `faults` are drawn evenly at `fault_rate` in [0, 1] of requests.

    `rejects` names body options answered with 400; `key` is the only key accepted ("" takes any);
    `context` is the longest prompt in tokens; `usage` False leaves usage out.
    """

    latency_s: float = 0.0
    fault_rate: float = 0.0
    faults: tuple[str, ...] = tuple(FAULTS)
    seed: int = 0
    answer: Answerer = by_rule
    models: tuple[str, ...] = ("fake-small", "fake-large")
    rejects: tuple[str, ...] = ()
    key: str = ""
    context: int | None = None
    usage: bool = True
    retry_after_s: float = 0.05
    drip_s: float = 0.3


@dataclass
class Stats:
    """What was asked and answered. `asked` and `billed` count by request (a hash of its body)."""

    asked: Counter[str] = field(default_factory=Counter)
    billed: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    in_flight: int = 0
    most_in_flight: int = 0

    def to_data(self) -> dict[str, Any]:
        """Plain data, as GET /stats gives it."""
        return {
            "requests": self.asked.total(),
            "different": len(self.asked),
            "billed": self.billed.total(),
            "billed_twice": sum(n - 1 for n in self.billed.values()),
            "faults": dict(sorted(self.faults.items())),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
        }

    def by_request(self) -> dict[str, dict[str, int]]:
        """Request (a hash of its body) -> {"asked": n, "billed": n}, as GET /requests gives it."""
        return {key: {"asked": n, "billed": self.billed[key]} for key, n in self.asked.items()}


class FakeServer:
    """`async with FakeServer(FakeConfig()) as server:` listens on a free port; see `url`."""

    def __init__(self, config: FakeConfig = FakeConfig(), port: int = 0) -> None:
        unknown = set(config.faults) - set(FAULTS)
        if unknown:
            raise ValueError(f"unknown faults {sorted(unknown)}; known: {', '.join(FAULTS)}")
        self.config, self.port = config, port
        self.stats = Stats()
        self.lines: set[_Line] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> FakeServer:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: _Line(self), "127.0.0.1", self.port, backlog=2048
        )
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for line in list(self.lines):
            line.abort()
        await self._server.wait_closed()

    def fault(self, key: str) -> str:
        """The fault of this coming of a request, "" for none; the same in every process."""
        config = self.config
        if not config.fault_rate or not config.faults:
            return ""
        text = f"{config.seed}:{key}:{self.stats.asked[key]}"
        number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") / 2**64
        if number >= config.fault_rate:
            return ""
        return config.faults[int(number / config.fault_rate * len(config.faults))]


class _Line(asyncio.Protocol):
    """One keep-alive connection; requests on it are answered one after the other."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._busy = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.server.lines.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.server.lines.discard(self)
        if self._busy:  # the caller gave up: whatever was to be answered is not billed
            self._busy = False
            self.server.stats.in_flight -= 1
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self._next()

    def _next(self) -> None:
        while not self._busy:
            head, mark, rest = self._buffer.partition(b"\r\n\r\n")
            if not mark:
                return
            lines = head.decode("latin-1").split("\r\n")
            headers = {
                k.strip().lower(): v.strip() for k, _, v in (x.partition(":") for x in lines[1:])
            }
            length = int(headers.get("content-length") or 0)
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            method, path, *_ = (*lines[0].split(" "), "", "")
            self._answer(method, path.partition("?")[0], headers, rest[:length])

    def _answer(self, method: str, path: str, headers: Mapping[str, str], raw: bytes) -> None:
        config = self.server.config
        given = headers.get("authorization", "").removeprefix("Bearer ")
        wrong = bool(config.key) and given != config.key
        listing = method == "GET" and path.endswith("/models")
        if listing and not wrong:
            data = [{"id": m, "object": "model", "owned_by": "fake"} for m in config.models]
            return self._send(200, {"object": "list", "data": data})
        if method == "GET" and path.endswith("/stats"):
            return self._send(200, self.server.stats.to_data())
        if method == "GET" and path.endswith("/requests"):
            return self._send(200, self.server.stats.by_request())
        if not listing and (method != "POST" or not path.endswith("/chat/completions")):
            return self._error(404, f"no such path: {path}")
        if wrong:
            return self._error(401, f"Incorrect API key provided: {given}", code="invalid_api_key")
        try:
            body = json.loads(raw)
            messages = body["messages"]
            assert isinstance(messages, list) and messages
        except (ValueError, KeyError, TypeError, AssertionError):
            return self._error(400, "the body has no list of messages")
        for option in config.rejects:
            if body.get(option) is not None:
                return self._error(400, f"Unsupported parameter: '{option}'", param=option)
        prompt = prompt_tokens(body)
        if config.context is not None and prompt > config.context:
            return self._error(
                400,
                f"This model's maximum context length is {config.context} tokens, got {prompt}",
                code="context_length_exceeded",
            )
        self._chat(body, prompt)

    def _chat(self, body: Mapping[str, Any], prompt: int) -> None:
        server = self.server
        stats = server.stats
        key = request_key(body)
        fault = server.fault(key)
        stats.asked[key] += 1
        if fault:
            stats.faults[fault] += 1
        self._busy = True
        stats.in_flight += 1
        stats.most_in_flight = max(stats.most_in_flight, stats.in_flight)
        if fault != "hang":
            self._later(server.config.latency_s, lambda: self._finish(key, fault, body, prompt))

    def _later(self, seconds: float, do: Callable[[], None]) -> None:
        if seconds <= 0:
            return do()
        handle: asyncio.TimerHandle

        def run() -> None:
            self._timers.discard(handle)
            do()

        handle = asyncio.get_running_loop().call_later(seconds, run)
        self._timers.add(handle)

    def _finish(self, key: str, fault: str, body: Mapping[str, Any], prompt: int) -> None:
        config, stats = self.server.config, self.server.stats
        if fault in ("429", "429-after"):
            wait = {"Retry-After": f"{config.retry_after_s:g}"} if fault == "429-after" else {}
            self._done()
            return self._error(429, "Rate limit reached", code="rate_limit_exceeded", extra=wait)
        if fault == "500":
            self._done()
            return self._error(500, "The server had an error")
        reply = config.answer(body)
        data, completion = completion_data(body, reply, prompt)
        if fault == "empty":
            data["choices"] = []
        if fault == "usage":
            data["usage"] = {"prompt_tokens": -5, "completion_tokens": "many"}
        elif not config.usage:
            del data["usage"]
        text = json.dumps(data).encode()
        if fault == "truncated":
            text = text[: len(text) // 2]
        whole = _http(200, text)
        if fault == "close":
            assert self._transport is not None
            self._transport.write(whole[: len(whole) - len(text) // 2])
            self._transport.close()
            return None
        if not fault or fault in USABLE:
            stats.billed[key] += 1
            stats.prompt_tokens += prompt
            stats.completion_tokens += completion
        if fault == "drip":
            return self._drip(whole, config.drip_s / 20)
        self._done()
        assert self._transport is not None
        self._transport.write(whole)
        return self._next()

    def _drip(self, rest: bytes, pause: float) -> None:
        assert self._transport is not None
        step = max(1, math.ceil(len(rest) / 20))
        self._transport.write(rest[:step])
        if len(rest) <= step:
            self._done()
            return self._next()
        return self._later(pause, lambda: self._drip(rest[step:], pause))

    def _done(self) -> None:
        if self._busy:
            self._busy = False
            self.server.stats.in_flight -= 1

    def _send(
        self, status: int, data: Mapping[str, Any], extra: Mapping[str, str] | None = None
    ) -> None:
        assert self._transport is not None
        self._transport.write(_http(status, json.dumps(data).encode(), extra))
        self._next()

    def _error(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        error = {"message": message, "type": "error", "code": code, "param": param}
        self._send(status, {"error": error}, extra)


def request_key(body: Mapping[str, Any]) -> str:
    """What makes two requests the same: 16 hex digits of a hash of the body."""
    text = json.dumps(body, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def prompt_tokens(body: Mapping[str, Any]) -> int:
    """The server's own token count: four characters a token, three tokens around a message."""
    texts = [str(m.get("content") or "") for m in body["messages"]]
    return sum(math.ceil(len(t) / 4) + 3 for t in texts)


def completion_data(
    body: Mapping[str, Any], reply: FakeReply, prompt: int
) -> tuple[dict[str, Any], int]:
    """The JSON of a reply, and its completion tokens (words)."""
    text = reply.text
    for stop in body.get("stop") or ():
        text = text.partition(stop)[0]
    words = re.findall(r"\s*\S+\s*?", text)
    most = body.get("max_tokens") or body.get("max_completion_tokens") or math.inf
    finish = reply.finish or ("tool_calls" if reply.tool else "stop")
    if len(words) > most:
        words, finish = words[: int(most)], "length"
        text = "".join(words)
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if reply.tool:
        name, argument = reply.tool
        schema = next(t["function"] for t in body["tools"] if t["function"]["name"] == name)
        key = next(iter(schema.get("parameters", {}).get("properties") or {"expression": {}}))
        whole = argument.startswith("{")  # all the arguments, as JSON
        arguments = argument if whole else json.dumps({key: argument})
        function = {"name": name, "arguments": arguments}
        message["content"] = None
        message["tool_calls"] = [{"id": "call_0", "type": "function", "function": function}]
    choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish}
    if body.get("logprobs"):
        content = [{"token": w, "logprob": reply.logprob, "top_logprobs": []} for w in words]
        choice["logprobs"] = {"content": content}
    completion = max(1, len(words))
    data = {
        "id": "chatcmpl-fake",
        "object": "chat.completion",
        "created": 0,
        "model": body.get("model"),
        "choices": [choice],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }
    return data, completion


_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found"}


def _http(status: int, body: bytes, extra: Mapping[str, str] | None = None) -> bytes:
    more = "".join(f"{k}: {v}\r\n" for k, v in (extra or {}).items())
    head = (
        f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode() + body


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `paragent dev fake-server`."""
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one and prints it")
    parser.add_argument("--latency-ms", type=float, default=0.0, metavar="MS")
    parser.add_argument("--fault-rate", type=float, default=0.0, metavar="SHARE", help="0 to 1")
    parser.add_argument(
        "--faults", default=",".join(FAULTS), metavar="LIST", help=f"of {', '.join(FAULTS)}"
    )
    parser.add_argument("--seed", type=int, default=0, help="which requests fail, and how")
    parser.add_argument("--key", default="", help="the only key accepted; by default any is")
    parser.add_argument(
        "--rejects",
        default="",
        metavar="LIST",
        help="options answered with 400, e.g. seed,logprobs",
    )


def main(args: argparse.Namespace) -> int:
    """Serve until interrupted; prints one JSON line with the URL first."""
    from paragent.errors import UsageError

    faults = tuple(f for f in args.faults.split(",") if f)
    unknown = sorted(set(faults) - set(FAULTS))
    if unknown:
        raise UsageError(f"unknown faults: {', '.join(unknown)}. Known: {', '.join(FAULTS)}")
    if not 0 <= args.fault_rate <= 1:
        raise UsageError(f"--fault-rate must be in [0, 1], got {args.fault_rate:g}")
    if not 0 <= args.latency_ms < math.inf:
        raise UsageError(f"--latency-ms must be a number from 0 up, got {args.latency_ms:g}")
    if not 0 <= args.port <= 65535:
        raise UsageError(f"--port must be in [0, 65535], got {args.port}")
    config = FakeConfig(
        latency_s=args.latency_ms / 1000,
        fault_rate=args.fault_rate,
        faults=faults,
        seed=args.seed,
        key=args.key,
        rejects=tuple(r for r in args.rejects.split(",") if r),
    )

    async def serve() -> None:
        async with FakeServer(config, args.port) as server:
            print(json.dumps({"url": server.url, "port": server.port}), flush=True)
            await asyncio.Event().wait()

    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve())
    except OSError as error:
        raise UsageError(f"port {args.port} cannot be used: {error.strerror}") from None
    return 0


if __name__ == "__main__":
    _parser = argparse.ArgumentParser(prog="python -m paragent.dev.fake_server")
    add_arguments(_parser)
    raise SystemExit(main(_parser.parse_args()))
