"""Models behind any OpenAI-compatible endpoint, through the `openai` package.

Messages are posted as plain data, past the client's typed transform, whose cost grows with every
message of a history.
Servers differ: what one rejects (a seed, log-probabilities, tools, ...) is left out from then on,
with one warning; what none of that explains is a typed `CallFailure`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from paragent.component import Price
from paragent.errors import CallFailure
from paragent.runtime.client import Place, client_of, leave
from paragent.runtime.limits import Limits
from paragent.runtime.model import Completion, Message, Request, ToolCall
from paragent.runtime.models_file import ModelSpec, expand
from paragent.runtime.retry import BilledFailure, RetryPolicy
from paragent.runtime.secrets import read_key, redact, redact_known, remember
from paragent.runtime.wire import failure_of, rejected_option, text_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI

log = logging.getLogger("paragent.runtime.endpoint")

#: Chat templates put a few tokens around each message and before the reply.
TOKENS_AROUND_MESSAGE = 12
TOKENS_AROUND_TOOL = 48
#: English text has about four characters per token; used for estimates, never for reservations.
CHARACTERS_PER_TOKEN = 4

#: What is lost when an option is left out, for the one warning.
_LOSS = {
    "seed": "draws cannot be repeated",
    "logprobs": "it gives no confidence",
    "tools": "tools are used by writing; set `tools: text` for it in models.yaml",
    "response_format": "JSON is asked for by words alone",
    "stop": "replies are cut here instead",
    "temperature": "it draws at its own temperature",
    "max_tokens": "max_completion_tokens is sent instead",
    "max_completion_tokens": "max_tokens is sent instead",
}


@dataclass
class Quirks:
    """What a server turned out not to take or give, for one model."""

    without: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)

    def warn(self, topic: str, text: str) -> None:
        """Once per topic."""
        if topic not in self.warned:
            self.warned.add(topic)
            log.warning("%s", redact(text))


_quirks: dict[tuple[str, str], Quirks] = {}


class EndpointModel:
    """One model of `models.yaml`. Instances are cheap and share client, limits and quirks."""

    def __init__(self, spec: ModelSpec, retry: RetryPolicy = RetryPolicy()) -> None:
        self.spec, self.retry = spec, retry
        self._place: Place | None = None
        self._endpoint = spec.endpoint

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def price(self) -> Price:
        return self.spec.price

    @property
    def endpoint(self) -> str:
        return self._endpoint

    @property
    def version(self) -> str:
        """What the server calls the model: a name may be pointed elsewhere (enters cache keys)."""
        return self.spec.model_id

    @property
    def limits(self) -> Limits:
        return self.spec.limits

    @property
    def quirks(self) -> Quirks:
        """What this model's server was found not to take; shared by all instances."""
        return _quirks.setdefault((self.spec.base_url, self.spec.model_id), Quirks())

    @property
    def tool_protocol(self) -> Literal["inline", "native", "text"]:
        return "text" if "tools" in self.quirks.without else self.spec.tools

    def worst_case(self, request: Request) -> tuple[int, int]:
        """A token is at least one byte of text, so bytes bound the prompt; and `max_tokens`."""
        bound = TOKENS_AROUND_MESSAGE
        for m in request.messages:
            bound += len(m.content.encode("utf-8", "replace")) + TOKENS_AROUND_MESSAGE
            for call in m.tool_calls:
                bound += len(call.name) + len(call.arguments.encode("utf-8", "replace"))
                bound += TOKENS_AROUND_TOOL
        if request.tools and self.tool_protocol == "native":
            for tool in request.tools:
                bound += len(json.dumps(_tool(tool))) + TOKENS_AROUND_TOOL
        if self.spec.context is not None:
            bound = min(bound, self.spec.context)
        return bound, request.max_tokens

    def likely_tokens(self, request: Request) -> int:
        """An estimate for limits in tokens per minute."""
        return _estimate(request) + request.max_tokens

    async def complete(self, request: Request) -> Completion:
        """One completion, with retries; for callers without a session. Raises CallFailure."""
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self.attempt(request)
            except CallFailure as failure:
                wait = self.retry.wait_s(failure, attempt, f"{self.name}:{request.seed}")
                if wait is None:
                    raise
                await asyncio.sleep(wait)

    async def attempt(self, request: Request) -> Completion:
        """One try. An option that the server rejects is left out and the call sent again."""
        client = self._client()
        while True:
            body = self._body(request)
            begin = time.perf_counter()
            try:
                async with asyncio.timeout(self.spec.timeout_s):
                    reply = await client.post("/chat/completions", cast_to=object, body=body)
            except TimeoutError:
                raise CallFailure(
                    "timeout", f"{self.name}: no reply within {self.spec.timeout_s:g} s"
                ) from None
            except Exception as error:
                option = rejected_option(error, body)
                if option is None or option in self.quirks.without:
                    failure = failure_of(error, self.name)
                    if failure is None:
                        raise
                    raise failure from None
                self._leave_out(option)
                continue
            return self._read(request, reply, time.perf_counter() - begin)

    async def aclose(self) -> None:
        """Leave the shared client; the last model to leave closes it."""
        if self._place is not None:
            await leave(self._place, self.name)

    # -- sending ----------------------------------------------------------------------------------

    def _client(self) -> AsyncOpenAI:
        spec = self.spec
        key = "none"
        if spec.api_key_env:
            found = read_key(spec.api_key_env)
            if found is None:
                raise CallFailure(
                    "auth",
                    f"model {spec.name!r} needs its key in the environment variable "
                    f"{spec.api_key_env}, which is not set",
                )
            key = found
        headers = {}
        for name, value in spec.headers.items():
            headers[name], missing = expand(value)
            if missing:
                raise CallFailure(
                    "auth",
                    f"model {spec.name!r}: its header {name} needs the environment variable "
                    f"{missing[0]}, which is not set",
                )
            if headers[name] != value:
                remember(headers[name])
        self._place = Place(spec.base_url, key, tuple(sorted(headers.items())))
        return client_of(self._place, self.name)

    def _body(self, request: Request) -> dict[str, Any]:
        without = self.quirks.without
        body: dict[str, Any] = {
            "model": self.spec.model_id,
            "messages": [_message(m) for m in request.messages],
            "temperature": request.temperature,
            "seed": request.seed,
        }
        official = self.spec.base_url.startswith("https://api.openai.com/")
        limit = "max_completion_tokens" if official else "max_tokens"
        if limit in without:
            limit = "max_tokens" if official else "max_completion_tokens"
        body[limit] = request.max_tokens
        if request.stop:
            body["stop"] = list(request.stop)
        if request.json_output:
            body["response_format"] = {"type": "json_object"}
        if self.spec.logprobs:
            body["logprobs"] = True
        if request.tools and self.tool_protocol == "native":
            body["tools"] = [_tool(tool) for tool in request.tools]
        for option in without - {"max_tokens", "max_completion_tokens"}:
            body.pop(option, None)
        return body

    def _leave_out(self, option: str) -> None:
        self.quirks.without.add(option)
        self.quirks.warn(
            option,
            f"{self.name} at {self.endpoint} rejects {option!r}: it is left out from now on "
            f"({_LOSS[option]})",
        )

    # -- reading ----------------------------------------------------------------------------------

    def _read(self, request: Request, reply: object, seconds: float) -> Completion:
        choice, message = self._choice(reply)
        assert isinstance(reply, Mapping)
        text = redact_known(text_of(message.get("content")))
        calls = _tool_calls(message.get("tool_calls"))
        finish = choice.get("finish_reason")
        finish = finish if isinstance(finish, str) and finish else "stop"
        confidence, drawn = _confidence(choice.get("logprobs"))
        prompt, completion, cached, estimated = self._usage(request, reply, text, drawn)
        refusal = message.get("refusal")
        if finish == "content_filter" or (isinstance(refusal, str) and refusal and not text):
            why = redact(refusal) if isinstance(refusal, str) and refusal else "content filter"
            raise BilledFailure("refused", f"{self.name}: {why}", prompt, completion, cached)
        if request.stop and "stop" in self.quirks.without:
            text = _cut(text, request.stop)
        if request.json_output and finish != "length" and not calls:
            text = _json_text(text)
            if not _is_json(text):
                why = f"{self.name}: asked for JSON, got {text[:60]!r}"
                raise BilledFailure("malformed", why, prompt, completion, cached)
        if not text.strip() and not calls:
            why = "no text before max_tokens" if finish == "length" else "a reply without text"
            raise BilledFailure("empty", f"{self.name}: {why}", prompt, completion, cached)
        return Completion(
            text=text,
            prompt_tokens=prompt,
            completion_tokens=completion,
            latency_s=seconds,
            cached_tokens=cached,
            confidence=confidence,
            tool_calls=calls,
            finish=finish,
            estimated=estimated,
        )

    def _choice(self, reply: object) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        choices = reply.get("choices") if isinstance(reply, Mapping) else None
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], Mapping):
            shown = redact(repr(reply)[:120])
            error = reply.get("error") if isinstance(reply, Mapping) else None
            if error:  # some proxies report failures with status 200
                raise CallFailure("server", f"{self.name}: {redact(str(error)[:200])}")
            why = f"{self.name}: a reply without choices: {shown}"
            usage = reply.get("usage") if isinstance(reply, Mapping) else None
            if isinstance(usage, Mapping):
                prompt, drawn = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
                if prompt is not None and drawn is not None:
                    raise BilledFailure("malformed", why, prompt, drawn)
            raise CallFailure("malformed", why)
        message = choices[0].get("message")
        if not isinstance(message, Mapping):
            raise CallFailure("malformed", f"{self.name}: a choice without a message")
        return choices[0], message

    def _usage(
        self, request: Request, reply: Mapping[str, Any], text: str, drawn: int
    ) -> tuple[int, int, int, bool]:
        """(prompt, completion, cached tokens, estimated)."""
        usage = reply.get("usage")
        usage = usage if isinstance(usage, Mapping) else {}
        prompt, completion = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
        if prompt is None or completion is None:
            self.quirks.warn(
                "usage",
                f"{self.name} at {self.endpoint} reports no valid usage: tokens and dollars are "
                "estimates",
            )
            completion = drawn or math.ceil(len(text) / CHARACTERS_PER_TOKEN)
            return _estimate(request), completion, 0, True
        details = usage.get("prompt_tokens_details")
        cached = _count(details, "cached_tokens") if isinstance(details, Mapping) else None
        return prompt, completion, min(cached or 0, prompt), False


def _message(m: Message) -> dict[str, Any]:
    data: dict[str, Any] = {"role": m.role, "content": m.content}
    if m.tool_calls:
        data["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in m.tool_calls
        ]
    if m.tool_call_id:
        data["tool_call_id"] = m.tool_call_id
    return data


def _tool(tool: Any) -> dict[str, Any]:
    schema = dict(tool.schema) or {
        "type": "object",
        "properties": {tool.argument: {"type": "string"}},
        "required": [tool.argument],
    }
    function = {"name": tool.name, "description": tool.description, "parameters": schema}
    return {"type": "function", "function": function}


def _estimate(request: Request) -> int:
    letters = sum(len(m.content) for m in request.messages)
    return math.ceil(letters / CHARACTERS_PER_TOKEN) + 4 * len(request.messages)


def _count(data: Mapping[str, Any], key: str) -> int | None:
    value = data.get(key)
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _confidence(logprobs: object) -> tuple[float | None, int]:
    """exp(mean token log-probability) in (0, 1], and how many tokens were given."""
    content = logprobs.get("content") if isinstance(logprobs, Mapping) else None
    if not isinstance(content, list) or not content:
        return None, 0
    values = [t.get("logprob") for t in content if isinstance(t, Mapping)]
    known = [float(v) for v in values if isinstance(v, int | float) and not math.isnan(v)]
    if len(known) != len(content):
        return None, len(content)
    # Some servers round 0 up, some give -inf or -9999 for tokens outside their top list.
    confidence = math.exp(min(0.0, sum(known) / len(known)))
    return (confidence if confidence > 0 else None), len(content)


def _tool_calls(given: object) -> tuple[ToolCall, ...]:
    found = []
    for i, call in enumerate(given if isinstance(given, list) else ()):
        function = call.get("function") if isinstance(call, Mapping) else None
        if isinstance(function, Mapping) and isinstance(function.get("name"), str):
            arguments = function.get("arguments")
            if not isinstance(arguments, str):  # some servers send the object itself
                arguments = json.dumps(arguments if arguments is not None else {})
            name = str(call.get("id") or f"call_{i}")
            found.append(ToolCall(name, function["name"], redact_known(arguments)))
    return tuple(found)


def _cut(text: str, stop: tuple[str, ...]) -> str:
    ends = [at for s in stop if s and (at := text.find(s)) >= 0]
    return text[: min(ends)] if ends else text


def _json_text(text: str) -> str:
    """The text without a code fence around it."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped[stripped.index("\n") + 1 : -3].strip()
    return stripped


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True
