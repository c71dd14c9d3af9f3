"""4×4 convolutions of stride 2 with 1.78 times fewer multiplications: polyphase, then Winograd's F(2×2, 2×2).

Split x into its four phases, x_p[i] = x[2i + p] along each axis, p in {0, 1}. With the kernel's index 2a + p,

    y[o] = Σ_p Σ_a x_p[o + a] w[2a + p],                 four convolutions of stride 1 with two taps an axis.

Two neighbouring outputs of a two-tap filter take three products instead of four (Winograd 1980; Lavin and Gray 2016):

    v = (d₀ - d₁, d₁, d₂ - d₁),   u = (g₀, g₀ + g₁, g₁),   m = u v,   y₀ = m₀ + m₁,   y₁ = m₁ + m₂

Nested in two dimensions: 9 products for 16, and the phases are summed inside the product. For each of the 9 points i

    M[i] (tiles, O) = V[i] (tiles, 4 I) · U[i] (4 I, O)

All coefficients are 0 and ±1, so the rounding error stays near that of direct convolution. Written V = Bᵀ d, U = G w,
y = Aᵀ M, the two gradients are the same algebra transposed:  dM = A dy,  dd = B (dM Uᵀ),  dw = Gᵀ (Vᵀ dM).

Each thread takes a few samples at a time, so that V and M stay in its cache; rows are padded, since planes a power of
two apart would fall into the same cache sets. One Inf in x becomes NaN in its whole tile: it stays visible.
"""

# mypy: disable-error-code="no-untyped-def"

from math import prod

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples, over_shares, thread_count
from npgan.kernels.conv.windows import Pads, Pair
from npgan.kernels.product import NO, YES, gemm

_ROWS = 384  # tiles in a product: enough to be fast, few enough for V and M to stay in the cache
_PADDING = 16  # elements at the end of a row
_LEAST = 16  # channels in and out: with fewer, transforming costs more than it saves


def suits(x: Shape, w: Shape, y: Shape, stride: Pair, dilation: Pair) -> bool:
    """Return whether this is the algorithm for it."""
    return w[:2] == (4, 4) and stride == (2, 2) and dilation == (1, 1) and min(w[2:]) >= _LEAST and min(y[1:3]) >= 2


@kernel
def _transform_weight(start, stop, u, w):
    # w (4, 4, I, O) -> u (9, 4 I, O), for the channels [start, stop)
    channels, o = w.shape[2], w.shape[3]
    for p in range(2):
        for q in range(2):
            for c in range(start, stop):
                k = (2 * p + q) * channels + c
                for j in range(o):
                    a, b, d, e = w[p, q, c, j], w[p, q + 2, c, j], w[p + 2, q, c, j], w[p + 2, q + 2, c, j]
                    u[0, k, j] = a
                    u[1, k, j] = a + b
                    u[2, k, j] = b
                    u[3, k, j] = a + d
                    u[4, k, j] = (a + b) + (d + e)
                    u[5, k, j] = b + e
                    u[6, k, j] = d
                    u[7, k, j] = d + e
                    u[8, k, j] = e


@kernel
def _weight_gradient(start, stop, dw, dus, accumulate):
    # dus (shares, 9, 4 I, O) -> dw (4, 4, I, O) = Gᵀ of their sum, for the channels [start, stop)
    channels, o = dw.shape[2], dw.shape[3]
    for p in range(2):
        for q in range(2):
            for c in range(start, stop):
                k = (2 * p + q) * channels + c
                for t in range(1, dus.shape[0]):
                    for i in range(9):
                        for j in range(o):
                            dus[0, i, k, j] += dus[t, i, k, j]
                u = dus[0]
                for j in range(o):
                    middle = u[4, k, j]
                    a = u[0, k, j] + u[1, k, j] + u[3, k, j] + middle
                    b = u[2, k, j] + u[1, k, j] + u[5, k, j] + middle
                    d = u[6, k, j] + u[3, k, j] + u[7, k, j] + middle
                    e = u[8, k, j] + u[5, k, j] + u[7, k, j] + middle
                    if accumulate:
                        dw[p, q, c, j] += a
                        dw[p, q + 2, c, j] += b
                        dw[p + 2, q, c, j] += d
                        dw[p + 2, q + 2, c, j] += e
                    else:
                        dw[p, q, c, j] = a
                        dw[p, q + 2, c, j] = b
                        dw[p + 2, q, c, j] = d
                        dw[p + 2, q + 2, c, j] = e


@kernel
def _pad(padded, x, top, left):
    # x (H, W, I) -> padded (4 TH + 2, 4 TW + 2, I), zeros around it
    height, width, channels = x.shape
    for h in range(padded.shape[0]):
        source = h - top
        if source < 0 or source >= height:
            padded[h] = 0
            continue
        there = min(width, padded.shape[1] - left)
        padded[h, :left] = 0
        padded[h, left + there :] = 0
        for w in range(there):
            for c in range(channels):
                padded[h, left + w, c] = x[source, w, c]


@kernel
def _crop(x, padded, top, left):
    # padded -> x (H, W, I)
    for h in range(x.shape[0]):
        for w in range(x.shape[1]):
            if h + top < padded.shape[0] and w + left < padded.shape[1]:
                for c in range(x.shape[2]):
                    x[h, w, c] = padded[h + top, w + left, c]
            else:
                x[h, w] = 0


@kernel
def _transform_input(v, row, padded, th, tw):
    # padded -> v (9, tiles, 4 I), from tile number `row` on
    channels = padded.shape[2]
    for t in range(th):
        for s in range(tw):
            r = row + t * tw + s
            for p in range(2):
                for q in range(2):
                    k, h, w = (2 * p + q) * channels, 4 * t + p, 4 * s + q
                    for c in range(channels):
                        d10, d11, d12 = padded[h + 2, w, c], padded[h + 2, w + 2, c], padded[h + 2, w + 4, c]
                        a0, a1, a2 = padded[h, w, c] - d10, padded[h, w + 2, c] - d11, padded[h, w + 4, c] - d12
                        b0 = padded[h + 4, w, c] - d10
                        b1 = padded[h + 4, w + 2, c] - d11
                        b2 = padded[h + 4, w + 4, c] - d12
                        v[0, r, k + c] = a0 - a1
                        v[1, r, k + c] = a1
                        v[2, r, k + c] = a2 - a1
                        v[3, r, k + c] = d10 - d11
                        v[4, r, k + c] = d11
                        v[5, r, k + c] = d12 - d11
                        v[6, r, k + c] = b0 - b1
                        v[7, r, k + c] = b1
                        v[8, r, k + c] = b2 - b1


@kernel
def _input_gradient(padded, v, row, th, tw):
    # the transpose of _transform_input: tiles overlap by a row and a column of each phase, so they are added
    channels = padded.shape[2]
    padded[:] = 0
    for t in range(th):
        for s in range(tw):
            r = row + t * tw + s
            for p in range(2):
                for q in range(2):
                    k, h, w = (2 * p + q) * channels, 4 * t + p, 4 * s + q
                    for c in range(channels):
                        a0, a2 = v[0, r, k + c], v[2, r, k + c]
                        m0, m2 = v[3, r, k + c], v[5, r, k + c]
                        b0, b2 = v[6, r, k + c], v[8, r, k + c]
                        a1 = v[1, r, k + c] - a0 - a2
                        m1 = v[4, r, k + c] - m0 - m2
                        b1 = v[7, r, k + c] - b0 - b2
                        padded[h, w, c] += a0
                        padded[h, w + 2, c] += a1
                        padded[h, w + 4, c] += a2
                        padded[h + 2, w, c] += m0 - a0 - b0
                        padded[h + 2, w + 2, c] += m1 - a1 - b1
                        padded[h + 2, w + 4, c] += m2 - a2 - b2
                        padded[h + 4, w, c] += b0
                        padded[h + 4, w + 2, c] += b1
                        padded[h + 4, w + 4, c] += b2


@kernel
def _transform_output(y, m, row, tw):
    # m (9, tiles, O) -> y (OH, OW, O); the last tiles may stick out
    for h in range(0, y.shape[0], 2):
        for w in range(0, y.shape[1], 2):
            r = row + h // 2 * tw + w // 2
            below, right = h + 1 < y.shape[0], w + 1 < y.shape[1]
            for o in range(y.shape[2]):
                e0, e1, e2 = m[0, r, o] + m[3, r, o], m[1, r, o] + m[4, r, o], m[2, r, o] + m[5, r, o]
                y[h, w, o] = e0 + e1
                if right:
                    y[h, w + 1, o] = e1 + e2
                if below:
                    f0, f1, f2 = m[6, r, o] + m[3, r, o], m[7, r, o] + m[4, r, o], m[8, r, o] + m[5, r, o]
                    y[h + 1, w, o] = f0 + f1
                    if right:
                        y[h + 1, w + 1, o] = f1 + f2


@kernel
def _output_gradient(m, row, dy, tw):
    # the transpose of _transform_output
    for h in range(0, dy.shape[0], 2):
        for w in range(0, dy.shape[1], 2):
            r = row + h // 2 * tw + w // 2
            below, right = h + 1 < dy.shape[0], w + 1 < dy.shape[1]
            for o in range(dy.shape[2]):
                a = dy[h, w, o]
                b = dy[h, w + 1, o] if right else 0 * a
                d = dy[h + 1, w, o] if below else 0 * a
                e = dy[h + 1, w + 1, o] if below and right else 0 * a
                m[0, r, o] = a
                m[1, r, o] = a + b
                m[2, r, o] = b
                m[3, r, o] = a + d
                m[4, r, o] = (a + b) + (d + e)
                m[5, r, o] = b + e
                m[6, r, o] = d
                m[7, r, o] = d + e
                m[8, r, o] = e


@kernel
def _forward(start, stop, share, y, padded, v, m, x, u, step, top, left):
    th, tw = (y.shape[1] + 1) // 2, (y.shape[2] + 1) // 2
    p, v, m, k, o = padded[share], v[share], m[share], u.shape[1], u.shape[2]
    for first in range(start, stop, step):
        last = min(first + step, stop)
        for n in range(first, last):
            _pad(p, x[n], top, left)
            _transform_input(v, (n - first) * th * tw, p, th, tw)
        for i in range(9):
            gemm(NO, NO, (last - first) * th * tw, o, k, v[i], v.shape[2], u[i], o, 0, m[i], m.shape[2])
        for n in range(first, last):
            _transform_output(y[n], m, (n - first) * th * tw, tw)


@kernel
def _backward_input(start, stop, share, dx, padded, v, m, dy, u, step, top, left):
    th, tw = (dy.shape[1] + 1) // 2, (dy.shape[2] + 1) // 2
    p, v, m, k, o = padded[share], v[share], m[share], u.shape[1], u.shape[2]
    for first in range(start, stop, step):
        last = min(first + step, stop)
        for n in range(first, last):
            _output_gradient(m, (n - first) * th * tw, dy[n], tw)
        for i in range(9):
            gemm(NO, YES, (last - first) * th * tw, k, o, m[i], m.shape[2], u[i], o, 0, v[i], v.shape[2])
        for n in range(first, last):
            _input_gradient(p, v, (n - first) * th * tw, th, tw)
            _crop(dx[n], p, top, left)


@kernel
def _backward_weight(start, stop, share, dus, padded, v, m, dy, x, step, top, left):
    th, tw = (dy.shape[1] + 1) // 2, (dy.shape[2] + 1) // 2
    p, v, m, k, o = padded[share], v[share], m[share], dus.shape[2], dus.shape[3]
    for first in range(start, stop, step):
        last = min(first + step, stop)
        for n in range(first, last):
            _pad(p, x[n], top, left)
            _transform_input(v, (n - first) * th * tw, p, th, tw)
            _output_gradient(m, (n - first) * th * tw, dy[n], tw)
        beta = 0 if first == start else 1
        for i in range(9):
            rows = (last - first) * th * tw
            gemm(YES, NO, k, o, rows, v[i], v.shape[2], m[i], m.shape[2], beta, dus[share, i], o)


def _shapes(n: int, w: Shape, y: Shape) -> tuple[int, list[Shape]]:
    """Return the samples of a chunk, and the shapes of padded, v, m and the transformed weights, for all threads."""
    th, tw = (y[1] + 1) // 2, (y[2] + 1) // 2
    step = min(-(-n // thread_count()), max(1, _ROWS // (th * tw)))
    rows = step * th * tw + 1
    return step, [
        (thread_count(), 4 * th + 2, 4 * tw + 2, w[2]),
        (thread_count(), 9, rows, 4 * w[2] + _PADDING),
        (thread_count(), 9, rows, w[3] + _PADDING),
        (thread_count(), 9, 4 * w[2], w[3]),
    ]


def workspace(x: Shape, w: Shape, y: Shape) -> int:
    """Elements of `scratch`."""
    return sum(map(prod, _shapes(x[0], w, y)[1]))


def _buffers(scratch: Array, n: int, w: Shape, y: Shape) -> tuple[int, list[Array]]:
    step, shapes = _shapes(n, w, y)
    arrays, start = [], 0
    for shape in shapes:
        arrays.append(scratch[start : start + prod(shape)].reshape(shape))
        start += prod(shape)
    return step, arrays


def forward(y: Array, scratch: Array, x: Array, w: Array, padding: Pads) -> None:
    """x (N, H, W, I), w (4, 4, I, O) -> y (N, OH, OW, O)."""
    step, (padded, v, m, us) = _buffers(scratch, len(x), w.shape, y.shape)
    over_samples(_transform_weight, w.shape[2], w.size, us[0], w)
    over_shares(_forward, len(x), y.size * 16, y, padded, v, m, x, us[0], step, padding[0][0], padding[1][0])


def backward_input(dx: Array, scratch: Array, dy: Array, w: Array, padding: Pads) -> None:
    """dy (N, OH, OW, O), w (4, 4, I, O) -> dx (N, H, W, I)."""
    step, (padded, v, m, us) = _buffers(scratch, len(dx), w.shape, dy.shape)
    over_samples(_transform_weight, w.shape[2], w.size, us[0], w)
    over_shares(_backward_input, len(dx), dy.size * 16, dx, padded, v, m, dy, us[0], step, padding[0][0], padding[1][0])


def backward_weight(dw: Array, scratch: Array, dy: Array, x: Array, padding: Pads, accumulate: bool) -> None:
    """dy (N, OH, OW, O), x (N, H, W, I) -> dw (4, 4, I, O), written or added to."""
    step, (padded, v, m, dus) = _buffers(scratch, len(x), dw.shape, dy.shape)
    top, left = padding[0][0], padding[1][0]
    count = over_shares(_backward_weight, len(x), dy.size * 16, dus, padded, v, m, dy, x, step, top, left)
    over_samples(_weight_gradient, dw.shape[2], dw.size, dw, dus[:count], accumulate)
