"""Winograd's convolution with fewer multiplications, of stride 1 or, in phases, of stride 2 (Lavin and Gray 2016).

At stride s, split x into its phases, x_p[i] = x[s i + p] along each axis, p in {0 ... s - 1}. With the kernel's index
s a + p and r taps a phase, r = ⌈K / s⌉:

    y[o] = Σ_p Σ_a x_p[o + a] w[s a + p],                 a sum of convolutions of stride 1 with r taps an axis.

Each is a minimal filter F(m, r) (see `toom_cook`), nested in two dimensions: n² products for m² r², n = m + r - 1, as 9
for 16 by F(2, 2), 25 for 64 by F(4, 2), 36 for 144 by F(4, 3). The phases are summed inside the product: for each of
the n² points i

    M[i] (tiles, O) = V[i] (tiles, s² I) · U[i] (s² I, O),      V = Bᵀ x B,   U = G w Gᵀ,   y = Aᵀ M A   of each tile

and the two gradients are the same algebra transposed:

    dM = A dy Aᵀ,   dx = B (dM Uᵀ) Bᵀ, where tiles overlap added,   dw = Gᵀ (Vᵀ dM) G, summed over tiles

At stride 1, dx is rather the convolution of dy with the taps in opposite order, which rounds less.
Where s does not divide K, the phases that have a tap less get a 0 for it.

`blocks` has V and M in the cache and U in memory, `panels`, for large weights and for dw, the other way round. All
points of a tile lie together, and are padded, since streams a power of two apart would fall into the same cache sets.
One Inf in x becomes NaN in its whole tile: it stays visible.
"""

from typing import Any

from npgan.backend.base import Array, Shape
from npgan.kernels.after import After
from npgan.kernels.conv import blocks, panels
from npgan.kernels.conv.scratch import elements
from npgan.kernels.conv.tiles import Scheme, turned_padding, turned_shape
from npgan.kernels.conv.windows import Pads


def workspace(scheme: Scheme, x: Shape, w: Shape, y: Shape) -> int:
    """Elements of `scratch`."""
    of_dx = (turned_shape(w), x) if scheme.stride == 1 else (w, y)
    return max(
        _elements(scheme, x[0], w, y),
        _elements(_less_rounding(scheme), x[0], *of_dx),
        elements(panels.shapes(scheme, x[0], w, y)),
    )


def _elements(scheme: Scheme, n: int, w: Shape, y: Shape) -> int:
    return elements(_way(scheme, w).shapes(scheme, n, w, y))


def _way(scheme: Scheme, w: Shape) -> Any:
    return blocks if blocks.suits(scheme, w) else panels


def _less_rounding(scheme: Scheme) -> Scheme:
    """Return the scheme of dx: columns' dx is a sum of short sums, and F(4, 3) rounds five times as much as that."""
    return Scheme(3, 3, scheme.stride) if (scheme.m, scheme.r) == (4, 3) else scheme


def forward(
    scheme: Scheme,
    y: Array,
    scratch: Array,
    x: Array,
    w: Array,
    padding: Pads,
    after: After,
) -> None:
    """x (N, H, W, I), w (K, K, I, O) -> y (N, OH, OW, O)."""
    _way(scheme, w.shape).convolve(scheme, y, scratch, x, w, padding, False, False, after)


def backward_input(
    scheme: Scheme,
    dx: Array,
    scratch: Array,
    dy: Array,
    w: Array,
    padding: Pads,
    after: After,
) -> None:
    """dy (N, OH, OW, O), w (K, K, I, O) -> dx (N, H, W, I)."""
    scheme, turned = _less_rounding(scheme), scheme.stride == 1
    if turned:
        padding = turned_padding(w.shape, padding)
    like = turned_shape(w.shape) if turned else w.shape
    _way(scheme, like).convolve(scheme, dx, scratch, dy, w, padding, turned, not turned, after)


def backward_weight(
    scheme: Scheme, dw: Array, scratch: Array, dy: Array, x: Array, padding: Pads, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (K, K, I, O), written or added to."""
    panels.correlate(scheme, dw, scratch, dy, x, padding, accumulate)
