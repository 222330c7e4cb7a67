"""The contract that stands between components and every model: endpoint, pocket model or replay."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from paragent.component import Price, Tool

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to call a tool (native tool calling)."""

    id: str
    name: str
    arguments: str  # JSON text as the model wrote it


@dataclass(frozen=True, slots=True)
class Message:
    """One turn. `tool_calls` on assistant turns, `tool_call_id` on tool turns."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


@dataclass(frozen=True)
class Request:
    """One call. `sample` tells draws of the same request apart (it enters the cache key);
    `seed` is what the draw starts from, derived from the run's seed and `sample`."""

    messages: tuple[Message, ...]
    max_tokens: int = 512
    temperature: float = 0.0
    seed: int = 0
    sample: str = ""
    stop: tuple[str, ...] = ()
    tools: tuple[Tool, ...] = ()
    json_output: bool = False


@dataclass(frozen=True)
class Completion:
    """What came back. `confidence` is exp(mean token log-probability) in (0, 1], None where the
    model gives none; `latency_s` is the model's time without waiting for limits; token counts are
    those the server reported, or an estimate where `estimated`."""

    text: str
    prompt_tokens: int
    completion_tokens: int
    latency_s: float
    cached_tokens: int = 0
    confidence: float | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
    estimated: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)


class LanguageModel(Protocol):
    """One model behind one door.

    `tool_protocol`: "inline" (the model's engine runs tools while decoding), "native" (tool calls
    come back and are answered by turns) or "text" (tools are written as `<<…>>` and answered by
    turns). `complete` raises `CallFailure` for a call that failed for good.
    """

    @property
    def name(self) -> str: ...
    @property
    def price(self) -> Price: ...
    @property
    def endpoint(self) -> str:
        """Where it runs: a base URL without credentials, or "pocket"; enters the cache key."""

    @property
    def tool_protocol(self) -> Literal["inline", "native", "text"]: ...

    async def complete(self, request: Request) -> Completion: ...

    def worst_case(self, request: Request) -> tuple[int, int]:
        """Upper bounds of prompt and completion tokens, used to reserve budget."""

    async def aclose(self) -> None: ...
