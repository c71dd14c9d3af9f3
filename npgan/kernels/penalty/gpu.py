"""What a gradient penalty charges, in CUDA. See the reference for what it is; the value is an array of shape ()."""

from __future__ import annotations

import math
from typing import Any

from npgan.backend.base import Array
from npgan.backend.cuda import block_sums, blocks, kernel, launch, scalar


def charge(v: Array, scratch: Array, g: Array, weight: float, target: float, norm: float, one_sided: bool) -> Any:
    """Gradients g (N, F) -> P = weight / N sum (n - target)^2 and v (N, F) = dP/dg, n a row's Lp norm, p = `norm`."""
    rows, features = g.shape
    out, squares = scalar(), norm == 2.0 and target == 0.0
    numbers = (float(weight), float(target), 0.0 if math.isinf(norm) else float(norm), bool(one_sided), squares)
    charging = kernel("penalty", "charge", g.dtype)
    launch(charging, rows, 256, block_sums(0), out, v, scratch, g, *numbers, rows, features)
    return out


def between(out: Array, shares: Array, real: Array, fake: Array) -> None:
    """Real and fake (N, ...), shares (N,) -> out (N, ...), fake + share (real - fake)."""
    each = out.size // len(out)
    launch(kernel("penalty", "between", out.dtype), blocks(out.size), 256, out, shares, real, fake, out.size, each)
