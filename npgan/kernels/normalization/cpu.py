"""Normalisation, compiled. See the reference for what it is; x is (G, R, C).

Two loop orders. With channels, rows (G R, C) are read one after the other and the inner loop runs along C. With
C = 1 (layer normalisation) a group is one row of R. Every sum is made in float64, by one thread and in a fixed
order, so that it does not depend on the number of threads. Rows are sliced before the inner loops: an index that
the compiler knows to begin at 0 is one that it can vectorise.
"""

from __future__ import annotations

from npgan.backend.base import Array, Shape
from npgan.backend.compile import kernel
from npgan.backend.threads import over_samples


def workspace(x: Shape) -> int:
    """Float64 elements of `scratch` for x (G, R, C): two sums for each channel of a group, or element of a row."""
    g, r, c = x
    return 2 * max(g * c, r if c == 1 else 0)


# ---------------------------------------------------------------- channels: x (M, C), M = G R


@kernel
def _channel_statistics(start, stop, mean, var, sums, x):  # type: ignore[no-untyped-def]
    groups, channels = mean.shape  # [start, stop) of groups * channels
    r = x.shape[0] // groups
    for g in range(start // channels, (stop - 1) // channels + 1):
        low, high = max(start - g * channels, 0), min(stop - g * channels, channels)
        first, second = sums[0, g, low:high], sums[1, g, low:high]
        first[:] = 0
        second[:] = 0
        for m in range(g * r, (g + 1) * r):
            row = x[m, low:high]
            for c in range(row.size):
                first[c] += row[c]
        for c in range(first.size):
            first[c] /= r
        for m in range(g * r, (g + 1) * r):
            row = x[m, low:high]
            for c in range(row.size):
                difference = row[c] - first[c]
                second[c] += difference * difference
        for c in range(first.size):
            mean[g, low + c] = first[c]
            var[g, low + c] = second[c] / r


@kernel
def _channel_normalize(start, stop, y, x, mean, inv_std, gain, bias):  # type: ignore[no-untyped-def]
    r = x.shape[0] // mean.shape[0]
    for m in range(start, stop):
        out, row, centre, scale = y[m], x[m], mean[m // r], inv_std[m // r]
        for c in range(row.size):
            xhat = (row[c] - centre[c]) * scale[c]
            out[c] = xhat if gain is None else xhat * gain[0, c] + bias[0, c]


@kernel
def _channel_sums(start, stop, sums, dy, x, mean, inv_std):  # type: ignore[no-untyped-def]
    groups, channels = mean.shape  # [start, stop) of groups * channels
    r = x.shape[0] // groups
    for g in range(start // channels, (stop - 1) // channels + 1):
        low, high = max(start - g * channels, 0), min(stop - g * channels, channels)
        first, second = sums[0, g, low:high], sums[1, g, low:high]
        centre, scale = mean[g, low:high], inv_std[g, low:high]
        first[:] = 0
        second[:] = 0
        for m in range(g * r, (g + 1) * r):
            row, gradient = x[m, low:high], dy[m, low:high]
            for c in range(row.size):
                first[c] += gradient[c]
                second[c] += gradient[c] * ((row[c] - centre[c]) * scale[c])


@kernel
def _channel_weights(start, stop, dgain, dbias, sums, accumulate):  # type: ignore[no-untyped-def]
    for c in range(start, stop):
        first, second = 0.0, 0.0
        for g in range(sums.shape[1]):
            first += sums[0, g, c]
            second += sums[1, g, c]
        dbias[0, c] = dbias[0, c] + first if accumulate else first
        dgain[0, c] = dgain[0, c] + second if accumulate else second


@kernel
def _channel_input(start, stop, dx, sums, dy, x, mean, inv_std, gain, constant):  # type: ignore[no-untyped-def]
    r = x.shape[0] // mean.shape[0]
    for m in range(start, stop):
        out, gradient, row, centre, scale = dx[m], dy[m], x[m], mean[m // r], inv_std[m // r]
        first, second = sums[0, m // r], sums[1, m // r]
        for c in range(row.size):
            factor = scale[c] if gain is None else scale[c] * gain[0, c]
            if constant:
                out[c] = gradient[c] * factor
            else:
                xhat = (row[c] - centre[c]) * scale[c]
                out[c] = (gradient[c] - (first[c] + xhat * second[c]) / r) * factor


# ---------------------------------------------------------------- one row a group: x (G, R)


@kernel
def _row_statistics(start, stop, mean, var, x):  # type: ignore[no-untyped-def]
    for g in range(start, stop):
        row = x[g]
        first = 0.0
        for r in range(row.size):
            first += row[r]
        first /= row.size
        second = 0.0
        for r in range(row.size):
            difference = row[r] - first
            second += difference * difference
        mean[g, 0] = first
        var[g, 0] = second / row.size


@kernel
def _row_normalize(start, stop, y, x, mean, inv_std, gain, bias):  # type: ignore[no-untyped-def]
    for g in range(start, stop):
        out, row, centre, scale = y[g], x[g], mean[g, 0], inv_std[g, 0]
        for r in range(row.size):
            xhat = (row[r] - centre) * scale
            out[r] = xhat if gain is None else xhat * gain[r, 0] + bias[r, 0]


@kernel
def _row_weights(start, stop, dgain, dbias, sums, dy, x, mean, inv_std, accumulate):  # type: ignore[no-untyped-def]
    first, second = sums[0, start:stop], sums[1, start:stop]
    first[:] = 0
    second[:] = 0
    for g in range(x.shape[0]):
        row, gradient, centre, scale = x[g, start:stop], dy[g, start:stop], mean[g, 0], inv_std[g, 0]
        for r in range(row.size):
            first[r] += gradient[r]
            second[r] += gradient[r] * ((row[r] - centre) * scale)
    for r in range(first.size):
        dbias[start + r, 0] = dbias[start + r, 0] + first[r] if accumulate else first[r]
        dgain[start + r, 0] = dgain[start + r, 0] + second[r] if accumulate else second[r]


@kernel
def _row_input(start, stop, dx, dy, x, mean, inv_std, gain, constant):  # type: ignore[no-untyped-def]
    for g in range(start, stop):
        out, gradient, row, centre, scale = dx[g], dy[g], x[g], mean[g, 0], inv_std[g, 0]
        first, second = 0.0, 0.0
        if not constant:
            for r in range(row.size):
                dxhat = gradient[r] if gain is None else gradient[r] * gain[r, 0]
                first += dxhat
                second += dxhat * ((row[r] - centre) * scale)
        first, second = first / row.size, second / row.size
        for r in range(row.size):
            dxhat = gradient[r] if gain is None else gradient[r] * gain[r, 0]
            out[r] = (dxhat - (first + (row[r] - centre) * scale * second)) * scale


# ---------------------------------------------------------------- the operation


def _is_row(x: Array, gain: Array | None) -> bool:
    """Whether a group is one row, with a gain for each of its elements."""
    return x.shape[2] == 1 and (gain is None or gain.shape[0] == x.shape[1])


def statistics(mean: Array, var: Array, scratch: Array, x: Array) -> None:
    """x (G, R, C) -> mean (G, C), var (G, C), the biased variance."""
    if _is_row(x, None):
        over_samples(_row_statistics, x.shape[0], 2 * x.size, mean, var, x.reshape(x.shape[:2]))
    else:
        sums = scratch[: 2 * mean.size].reshape(2, *mean.shape)
        over_samples(_channel_statistics, mean.size, 2 * x.size, mean, var, sums, x.reshape(-1, x.shape[2]))


def normalize(y: Array, x: Array, mean: Array, inv_std: Array, gain: Array | None, bias: Array | None) -> None:
    """x (G, R, C), mean and inv_std (G, C), gain and bias (P, C) -> y (G, R, C)."""
    row = _is_row(x, gain)
    shape = x.shape[:2] if row else (-1, x.shape[2])
    y, x = y.reshape(shape), x.reshape(shape)
    over_samples(_row_normalize if row else _channel_normalize, len(x), x.size, y, x, mean, inv_std, gain, bias)


def backward(
    dx: Array | None,
    dgain: Array | None,
    dbias: Array | None,
    scratch: Array,
    dy: Array,
    x: Array,
    mean: Array,
    inv_std: Array,
    gain: Array | None,
    constant: bool,
    accumulate: bool,
) -> None:
    """dy, x (G, R, C), mean and inv_std (G, C), gain (P, C) -> dx (G, R, C), dgain and dbias (P, C)."""
    saved = (mean, inv_std)
    if _is_row(x, gain):
        shape = x.shape[:2]
        dy, x = dy.reshape(shape), x.reshape(shape)
        if dgain is not None:
            r = shape[1]
            sums = scratch[: 2 * r].reshape(2, r)
            over_samples(_row_weights, r, 2 * x.size, dgain, dbias, sums, dy, x, *saved, accumulate)
        if dx is not None:
            over_samples(_row_input, len(x), 2 * x.size, dx.reshape(shape), dy, x, *saved, gain, constant)
        return
    sums = scratch[: 2 * mean.size].reshape(2, *mean.shape)
    dy, x = dy.reshape(-1, x.shape[2]), x.reshape(-1, x.shape[2])
    if dgain is not None or not constant:
        over_samples(_channel_sums, mean.size, 2 * x.size, sums, dy, x, *saved)
    if dgain is not None:
        over_samples(_channel_weights, mean.shape[1], mean.size, dgain, dbias, sums, accumulate)
    if dx is not None:
        over_samples(_channel_input, len(x), x.size, dx.reshape(x.shape), sums, dy, x, *saved, gain, constant)
