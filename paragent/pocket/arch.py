"""Shape of the pocket models, shared by the trainer and the NumPy engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a decoder: RMSNorm, RoPE, SwiGLU, tied embedding, one key/value head.

    The input of every attention layer goes through a causal depthwise convolution of ``conv``
    taps.  It lets one layer see "boss of Ann is" at once, without which no model of this size
    learned to look up a value by two keys.
    """

    vocab: int
    width: int
    layers: int
    heads: int
    ffn: int
    conv: int = 5
    rope_base: float = 10000.0
    context: int = 768

    @property
    def head(self) -> int:
        """Width of one attention head."""
        return self.width // self.heads

    @property
    def core_parameters(self) -> int:
        """Parameters without the embedding: what costs time per token."""
        per_layer = (
            self.width * (self.width + 2 * self.head)  # query of all heads, one key, one value
            + self.width * self.width
            + 3 * self.width * self.ffn
            + (self.conv + 2) * self.width
        )
        return self.layers * per_layer + self.width

    @property
    def parameters(self) -> int:
        """All parameters."""
        return self.core_parameters + self.vocab * self.width

    def matrices(self) -> dict[str, tuple[int, ...]]:
        """Return the name and shape (input, output) of every weight, in file order."""
        shapes: dict[str, tuple[int, ...]] = {"embedding": (self.vocab, self.width)}
        for i in range(self.layers):
            shapes[f"{i}.norm1"] = (self.width,)
            shapes[f"{i}.conv"] = (self.conv, self.width)
            shapes[f"{i}.qkv"] = (self.width, self.width + 2 * self.head)
            shapes[f"{i}.out"] = (self.width, self.width)
            shapes[f"{i}.norm2"] = (self.width,)
            shapes[f"{i}.up"] = (self.width, 2 * self.ffn)
            shapes[f"{i}.down"] = (self.ffn, self.width)
        shapes["norm"] = (self.width,)
        return shapes
