"""Winograd's convolution with fewer multiplications, of stride 1 or, in phases, of stride 2 (Lavin and Gray 2016).

At stride s, split x into its phases, x_p[i] = x[s i + p] along each axis, p in {0 ... s - 1}. With the kernel's index
s a + p and r taps a phase, r = K / s:

    y[o] = Σ_p Σ_a x_p[o + a] w[s a + p],                 a sum of convolutions of stride 1 with r taps an axis.

Each is a minimal filter F(m, r) (see `toom_cook`), nested in two dimensions: n² products for m² r², n = m + r - 1, as 9
for 16 by F(2, 2), 25 for 64 by F(4, 2), 36 for 144 by F(4, 3). The phases are summed inside the product: for each of
the n² points i

    M[i] (tiles, O) = V[i] (tiles, s² I) · U[i] (s² I, O),      V = Bᵀ x B,   U = G w Gᵀ,   y = Aᵀ M A   of each tile

and the two gradients are the same algebra transposed:

    dM = A dy Aᵀ,   dx = B (dM Uᵀ) Bᵀ, where tiles overlap added,   dw = Gᵀ (Vᵀ dM) G, summed over tiles

At stride 1, dx is rather the convolution of dy with the taps in opposite order, which rounds less.

Each thread takes a few samples at a time, so that V and M stay in its cache; all points of a tile lie together, and are
padded, since streams a power of two apart would fall into the same cache sets. One Inf in x becomes NaN in its whole
tile: it stays visible.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"

from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares, thread_count
from npgan.kernels.conv.scratch import arrays, elements
from npgan.kernels.conv.separable import separable
from npgan.kernels.conv.windows import Pads, Pair
from npgan.kernels.product import NO, YES, gemm

_ROWS = 192  # tiles in a product: enough to be fast, few enough for V and M to stay in the cache
_PADDING = 16  # elements between points


@dataclass(frozen=True)
class Scheme:
    """F(m, r) for square kernels of s r taps an axis at stride s."""

    m: int
    r: int
    stride: int

    @property
    def n(self) -> int:
        """Points along an axis."""
        return self.m + self.r - 1

    def tiles(self, y: Shape) -> Pair:
        """Return how many tiles cover y, along both axes."""
        return -(-y[1] // self.m), -(-y[2] // self.m)


@lru_cache(maxsize=64)
def _tables(scheme: Scheme, x: Shape, w: Shape, y: Shape, padding: Pads) -> dict[str, Any]:
    """Return the offsets that `separable` reads, of an image without its batch, and whether tiles cover all of x."""
    m, n, s = scheme.m, scheme.n, scheme.stride
    channels, o = w[2:]

    def along(count: int, size: int, step: int, offset: int, inputs: int) -> Any:
        # (tiles, phases, inputs): the pixel along one axis, or -1
        tile, phase, i = np.ogrid[:count, :step, :inputs]
        at = step * (m * tile + i) + phase - offset
        return np.where((at >= 0) & (at < size), at, -1)

    def pixels(rows: Any, columns: Any, width: int, channels: int) -> Any:
        # (tiles, tiles, phases, phases, inputs, inputs)
        h, w = rows[:, None, :, None, :, None], columns[None, :, None, :, None, :]
        return np.where((h >= 0) & (w >= 0), (h * width + w) * channels, -1)

    th, tw = scheme.tiles((0, *y))
    (top, _), (left, _) = padding
    into = pixels(along(th, x[0], s, top, n), along(tw, x[1], s, left, n), x[1], channels)
    t, u, _, _, i, j = np.ogrid[:th, :tw, :s, :s, :n, :n]
    seen = ((t > 0) & (i < n - m)) | ((u > 0) & (j < n - m))  # by the tile above or to the left
    out = pixels(along(th, y[0], 1, 0, m), along(tw, y[1], 1, 0, m), y[1], o)
    a, b = np.ogrid[: scheme.r, : scheme.r]
    p, q = np.ogrid[:s, :s]
    taps = ((s * a + p[..., None, None]) * w[1] + s * b + q[..., None, None]) * channels * o
    point, phase = np.arange(n * n), np.arange(s * s)[:, None]
    k = s * s * channels

    def flat(table: Any, *lead: int) -> Any:
        return np.ascontiguousarray(table.reshape(*lead, -1), np.int64)

    return {
        "x": flat(into, th * tw, s * s),
        "seen": flat(np.where(seen, into, -1), th * tw, s * s),
        "y": flat(out, th * tw),
        "v": flat(point * (k + _PADDING) + phase * channels, s * s),
        "m": flat(point * (o + _PADDING)),
        "w": flat(taps, s * s),
        "turned": flat(taps[..., ::-1, ::-1], s * s),
        "u": flat(point * (k * o + _PADDING) + phase * channels * o, s * s),
        "none": np.full((s * s, scheme.r**2), -1, np.int64),
        "covered": len(np.unique(into[into >= 0])) == x[0] * x[1],
    }


@lru_cache(maxsize=8)
def _kernels(m: int, r: int) -> Any:
    """Compile the transforms and products of F(m, r)."""
    A, G, B = f"A{m}{r}", f"G{m}{r}", f"B{m}{r}"
    At, Gt, Bt = f"{A}t", f"{G}t", f"{B}t"
    points = (m + r - 1) ** 2

    @kernel
    def transform_weight(start, stop, u, w, places, taps):
        # w (K, K, I, O) -> u (points, s² I, O), for the channels [start, stop)
        o = w.shape[3]
        for phase in range(taps.shape[0]):
            for c in range(start, stop):
                separable(G, o, u, c * o, places[phase], None, w, c * o, taps[phase])

    @kernel
    def weight_gradient(start, stop, dw, dus, places, taps, nothing, accumulate):
        # dus (shares, ...) -> dw (K, K, I, O) = Gᵀ of their sum, for the channels [start, stop)
        o = dw.shape[3]
        for phase in range(taps.shape[0]):
            for c in range(start, stop):
                for t in range(dus.shape[0]):
                    before = taps[phase] if t or accumulate else nothing[phase]
                    separable(Gt, o, dw, c * o, taps[phase], before, dus[t], c * o, places[phase])

    @kernel
    def forward(start, stop, share, y, vs, ms, x, u, step, pixels, to, places, middle, op):
        # u[i] is (s² I, O), or its transpose where `op` is YES
        # y (N, OH OW O), vs and ms (shares, ...), x (N, H W, I), pixels (tiles, phases, points), to (tiles, outputs)
        tiles, phases, channels, o = pixels.shape[0], pixels.shape[1], x.shape[2], y.shape[2]
        k, v, m = phases * channels, vs[share], ms[share]
        vp, mp, up, line = places[0, 1], middle[1], k * o + _PADDING, o if op == NO else k
        for first in range(start, stop, step):
            rows = (min(first + step, stop) - first) * tiles
            for row in range(rows):
                n, t = first + row // tiles, row % tiles
                for phase in range(phases):
                    separable(B, channels, v, row * points * vp, places[phase], None, x[n], 0, pixels[t, phase])
            for i in range(points):
                gemm(NO, op, rows, o, k, v[i * vp :], points * vp, u[i * up :], line, 0, m[i * mp :], points * mp)
            for row in range(rows):
                n, t = first + row // tiles, row % tiles
                separable(At, o, y[n], 0, to[t], None, m, row * points * mp, middle)

    @kernel
    def backward(start, stop, share, dx, dus, vs, ms, dy, x, u, step, pixels, seen, to, places, middle, which):
        # which: wanted are dx, dw, and zeros for the pixels of dx that are in no tile
        tiles, phases, channels, o = pixels.shape[0], pixels.shape[1], x.shape[2], dy.shape[2]
        k, v, m = phases * channels, vs[share], ms[share]
        vp, mp, up = places[0, 1], middle[1], k * o + _PADDING
        for first in range(start, stop, step):
            rows = (min(first + step, stop) - first) * tiles
            for row in range(rows):
                n, t = first + row // tiles, row % tiles
                separable(A, o, m, row * points * mp, middle, None, dy[n], 0, to[t])
            if which[1]:
                for row in range(rows):
                    n, t = first + row // tiles, row % tiles
                    for phase in range(phases):
                        separable(B, channels, v, row * points * vp, places[phase], None, x[n], 0, pixels[t, phase])
                beta, du = 0 if first == start else 1, dus[share]
                for i in range(points):
                    gemm(YES, NO, k, o, rows, v[i * vp :], points * vp, m[i * mp :], points * mp, beta, du[i * up :], o)
            if which[0]:
                for i in range(points):
                    gemm(NO, YES, rows, k, o, m[i * mp :], points * mp, u[i * up :], o, 0, v[i * vp :], points * vp)
                for row in range(rows):
                    n, t = first + row // tiles, row % tiles
                    if which[2] and t == 0:
                        dx[n] = 0
                    for phase in range(phases):
                        at, to_x = row * points * vp, pixels[t, phase]
                        separable(Bt, channels, dx[n], 0, to_x, seen[t, phase], v, at, places[phase])

    return transform_weight, weight_gradient, forward, backward


def _shapes(scheme: Scheme, n: int, w: Shape, y: Shape) -> tuple[int, list[Shape]]:
    """Return the samples of a chunk, and the shapes of v, m, u and du."""
    tiles, k, points, threads = prod(scheme.tiles(y)), scheme.stride**2 * w[2], scheme.n**2, thread_count()
    step = min(-(-n // threads), max(1, _ROWS // tiles))
    rows, plane = step * tiles * points, points * (k * w[3] + _PADDING)
    return step, [(threads, rows * (k + _PADDING)), (threads, rows * (w[3] + _PADDING)), (plane,), (threads, plane)]


def workspace(scheme: Scheme, x: Shape, w: Shape, y: Shape) -> int:
    """Elements of `scratch`."""
    found = elements(_shapes(scheme, x[0], w, y)[1])
    if scheme.stride > 1:
        return found
    return max(found, elements(_shapes(_less_rounding(scheme), x[0], _turned(w), x)[1]))


def _less_rounding(scheme: Scheme) -> Scheme:
    """Return the scheme of dx: columns' dx is a sum of short sums, and F(4, 3) rounds five times as much as that."""
    return Scheme(3, 3, 1) if (scheme.m, scheme.r) == (4, 3) else scheme


def _turned(w: Shape) -> Shape:
    return *w[:2], w[3], w[2]


def _turned_padding(w: Shape, padding: Pads) -> Pads:
    (top, bottom), (left, right) = padding
    return (w[0] - 1 - top, w[0] - 1 - bottom), (w[1] - 1 - left, w[1] - 1 - right)


def forward(scheme: Scheme, y: Array, scratch: Array, x: Array, w: Array, padding: Pads) -> None:
    """x (N, H, W, I), w (K, K, I, O) -> y (N, OH, OW, O)."""
    _forward(scheme, y, scratch, x, w, w.shape, padding, NO)


def _forward(scheme: Scheme, y: Array, scratch: Array, x: Array, w: Array, like: Shape, padding: Pads, op: int) -> None:
    """Convolve by w, of shape `like`; or, where op is YES, by w turned round, its channels and its taps."""
    transform_weight, _, product, _ = _kernels(scheme.m, scheme.r)
    at = _tables(scheme, x.shape[1:], like, y.shape[1:], padding)
    step, shapes = _shapes(scheme, len(x), like, y.shape)
    v, m, u, _ = arrays(scratch, shapes)
    over_samples(transform_weight, w.shape[2], w.size, u, w, at["u"], at["w" if op == NO else "turned"])
    images, result = x.reshape(len(x), -1, x.shape[3]), y.reshape(len(x), -1, y.shape[3])
    over_shares(product, len(x), y.size * 16, result, v, m, images, u, step, at["x"], at["y"], at["v"], at["m"], op)


def backward_input(scheme: Scheme, dx: Array, scratch: Array, dy: Array, w: Array, padding: Pads) -> None:
    """dy (N, OH, OW, O), w (K, K, I, O) -> dx (N, H, W, I)."""
    if scheme.stride == 1:
        scheme = _less_rounding(scheme)
        _forward(scheme, dx, scratch, dy, w, _turned(w.shape), _turned_padding(w.shape, padding), YES)
        return
    _backward(scheme, dx, w, (True, False), scratch, dy, dx, w, padding, False)


def backward_weight(
    scheme: Scheme, dw: Array, scratch: Array, dy: Array, x: Array, padding: Pads, accumulate: bool
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (K, K, I, O), written or added to."""
    _backward(scheme, x, dw, (False, True), scratch, dy, x, dw, padding, accumulate)


def backward(
    scheme: Scheme,
    dx: Array,
    dw: Array,
    scratch: Array,
    dy: Array,
    x: Array,
    w: Array,
    padding: Pads,
    accumulate: bool,
) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I), w (K, K, I, O) -> dx (N, H, W, I) and dw (K, K, I, O)."""
    if scheme.stride == 1:
        backward_weight(scheme, dw, scratch, dy, x, padding, accumulate)
        backward_input(scheme, dx, scratch, dy, w, padding)
        return
    _backward(scheme, dx, dw, (True, True), scratch, dy, x, w, padding, accumulate)


def _backward(
    scheme: Scheme,
    dx: Array,
    dw: Array,
    wanted: tuple[bool, bool],
    scratch: Array,
    dy: Array,
    x: Array,
    w: Array,
    padding: Pads,
    accumulate: bool,
) -> None:
    """Write the gradients that are `wanted`, dx and dw; the other one's array is not touched."""
    transform_weight, weight_gradient, _, products = _kernels(scheme.m, scheme.r)
    n, channels, o = len(dy), w.shape[2], w.shape[3]
    at = _tables(scheme, x.shape[1:], w.shape, dy.shape[1:], padding)
    step, shapes = _shapes(scheme, n, w.shape, dy.shape)
    v, m, u, dus = arrays(scratch, shapes)
    if wanted[0]:
        over_samples(transform_weight, channels, w.size, u, w, at["u"], at["w"])
    count = over_shares(
        products,
        n,
        dy.size * 16,
        dx.reshape(n, -1, channels),
        dus,
        v,
        m,
        dy.reshape(n, -1, o),
        x.reshape(n, -1, channels),
        u,
        step,
        at["x"],
        at["seen"],
        at["y"],
        at["v"],
        at["m"],
        (*wanted, not at["covered"]),
    )
    if wanted[1]:
        over_samples(weight_gradient, channels, w.size, dw, dus[:count], at["u"], at["w"], at["none"], accumulate)
