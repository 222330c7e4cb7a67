"""The trainable form of the pocket models (PyTorch) and their optimiser (Muon + Adam)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from paragent.pocket.arch import Shape

_NS = (3.4445, -4.7750, 2.0315)
"""Newton-Schulz coefficients of Muon (Jordan et al. 2024, kellerjordan.github.io/posts/muon)."""


class Net(nn.Module):  # type: ignore[misc]  # torch is absent where types are checked
    """Decoder; ``bf16`` matrix products pay only on processors with AVX512-BF16 or AMX."""

    def __init__(self, shape: Shape, seed: int, *, bf16: bool = False) -> None:
        super().__init__()
        self.shape = shape
        self.dtype = torch.bfloat16 if bf16 else torch.float32
        generator = torch.Generator().manual_seed(seed)
        self.weights = nn.ParameterDict()
        for name, size in shape.matrices().items():
            kind = name.rsplit(".", 1)[-1]
            if kind.startswith("norm"):
                value = torch.ones(size)
            elif kind == "conv":
                value = torch.zeros(size)
                value[0] = 1.0
                value += 0.1 * torch.randn(size, generator=generator)
            else:
                std = 0.05 if kind == "embedding" else 0.7 / math.sqrt(size[0])
                if kind in ("out", "down"):
                    std /= math.sqrt(2 * shape.layers)
                value = std * torch.randn(size, generator=generator)
            self.weights[name.replace(".", "_")] = nn.Parameter(value)
        half = shape.head // 2
        frequency = shape.rope_base ** (-torch.arange(half) / half)
        angle = torch.arange(shape.context)[:, None] * frequency
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def _w(self, name: str) -> Tensor:
        weight: Tensor = self.weights[name.replace(".", "_")]
        return weight

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self._w(name)

    def _rope(self, x: Tensor) -> Tensor:
        """Rotate ``x`` [batch, time, heads, head]."""
        length, half = x.shape[1], self.shape.head // 2
        cos = self.cos[:length, None].to(x.dtype)
        sin = self.sin[:length, None].to(x.dtype)
        a, b = x[..., :half], x[..., half:]
        return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)

    def hidden(self, ids: Tensor, where: Tensor) -> Tensor:
        """Return the final normalised states [n, width] at flat positions ``where`` [n].

        ``ids`` is [batch, time].  The last layer's projections run at those positions only: the
        rest of its output would feed nothing.
        """
        s = self.shape
        batch, length = ids.shape
        x = nn.functional.embedding(ids, self._w("embedding"))
        for i in range(s.layers):
            h = self._norm(x, f"{i}.norm1")
            taps = self._w(f"{i}.conv")
            padded = nn.functional.pad(h, (0, 0, s.conv - 1, 0))
            mixed = h * taps[0]
            for k in range(1, s.conv):
                mixed = mixed + padded[:, s.conv - 1 - k : s.conv - 1 - k + length] * taps[k]
            qkv = mixed.to(self.dtype) @ self._w(f"{i}.qkv").to(self.dtype)
            q = self._rope(qkv[..., : s.width].view(batch, length, s.heads, s.head))
            k_ = self._rope(qkv[..., s.width : s.width + s.head].unsqueeze(2)).squeeze(2)
            v = qkv[..., s.width + s.head :]
            keys = k_.unsqueeze(1).expand(-1, s.heads, -1, -1)
            values = v.unsqueeze(1).expand(-1, s.heads, -1, -1)
            mixed_v = nn.functional.scaled_dot_product_attention(
                q.transpose(1, 2), keys, values, is_causal=True
            )
            heads = mixed_v.transpose(1, 2)
            flat = heads.reshape(batch, length, s.width)
            if i == s.layers - 1:
                x, flat = x.flatten(0, 1)[where], flat.flatten(0, 1)[where]
            out = flat @ self._w(f"{i}.out").to(self.dtype)
            x = x + out.float()
            h = self._norm(x, f"{i}.norm2").to(self.dtype)
            gate, up = (h @ self._w(f"{i}.up").to(self.dtype)).chunk(2, -1)
            down = nn.functional.silu(gate) * up
            x = x + (down @ self._w(f"{i}.down").to(self.dtype)).float()
        return self._norm(x, "norm")

    def logits(self, hidden: Tensor) -> Tensor:
        """Return fp32 logits [..., vocabulary] of ``hidden`` [..., width]."""
        product = hidden.to(self.dtype) @ self._w("embedding").to(self.dtype).T
        return product.float()


def orthogonalise(matrices: Tensor) -> Tensor:
    """Return the nearest semi-orthogonal matrices of a stack [n, rows, columns] (5 iterations)."""
    a, b, c = _NS
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    flip = x.shape[1] > x.shape[2]
    if flip:
        x = x.transpose(1, 2)
    for _ in range(5):
        gram = x @ x.transpose(1, 2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.transpose(1, 2) if flip else x


class Muon:
    """Muon for the matrices, Adam for embedding, norms and convolutions.

    One object, so that its whole state is saved and restored at once.
    """

    def __init__(self, net: Net, lr: float, adam_lr: float, momentum: float = 0.95) -> None:
        self.lr, self.momentum = lr, momentum
        named = list(net.named_parameters())
        matrix = [(n, p) for n, p in named if n.endswith(("qkv", "out", "up", "down"))]
        self.groups: dict[tuple[int, ...], list[nn.Parameter]] = {}
        for _, p in matrix:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.buffers = {size: torch.zeros(len(group), *size) for size, group in self.groups.items()}
        rest = [p for n, p in named if n not in {m for m, _ in matrix}]
        self.adam_lr = adam_lr
        self.adam = torch.optim.Adam(rest, lr=adam_lr, betas=(0.9, 0.98), fused=True)

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, scale: float) -> None:
        """Apply one update at ``scale`` times the learning rates, then clear the gradients."""
        for group in self.adam.param_groups:
            group["lr"] = self.adam_lr * scale
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        for size, params in self.groups.items():
            gradient = torch.stack([p.grad for p in params if p.grad is not None])
            buffer = self.buffers[size]
            buffer.lerp_(gradient, 1 - self.momentum)
            update = orthogonalise(gradient.lerp(buffer, self.momentum))
            rate = self.lr * scale * max(1.0, size[1] / size[0]) ** 0.5
            for p, u in zip(params, update, strict=True):
                p.mul_(1 - 0.02 * rate).add_(u, alpha=-rate)
                p.grad = None

    def state(self) -> dict[str, object]:
        """Return everything a resumed run needs."""
        buffers = {",".join(map(str, size)): b for size, b in self.buffers.items()}
        return {"adam": self.adam.state_dict(), "muon": buffers}

    def restore(self, state: Mapping[str, object]) -> None:
        """Take over a state returned by ``state``."""
        self.adam.load_state_dict(state["adam"])
        saved: Mapping[str, Tensor] = state["muon"]  # type: ignore[assignment]
        for size in self.buffers:
            self.buffers[size].copy_(saved[",".join(map(str, size))])
