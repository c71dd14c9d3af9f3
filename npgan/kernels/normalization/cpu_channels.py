"""Normalisation of channels, compiled: x (M, C), M = G R, rows read one after the other, the inner loop along C."""

import numpy as np

from npgan.backend.compile import kernel
from npgan.kernels.bend import bend, bend_slope

_BLOCK = 256  # rows that are summed on their own: they stay in the cache, and whoever sums them, the bits are the same


def blocks(x_rows: int, groups: int) -> int:
    """Return into how many blocks the rows of each group are divided."""
    return -(-(x_rows // groups) // _BLOCK)


@kernel
def _sum_rows(total, x, begin, end):  # type: ignore[no-untyped-def]
    # Four rows at once: their sum is in registers, and the total is read and written once for them.
    total[:] = 0
    m = begin
    while m + 3 < end:
        a, b, c, d = x[m], x[m + 1], x[m + 2], x[m + 3]
        for i in range(total.size):
            total[i] += (np.float64(a[i]) + b[i]) + (np.float64(c[i]) + d[i])
        m += 4
    while m < end:
        a = x[m]
        for i in range(total.size):
            total[i] += a[i]
        m += 1


@kernel
def block_statistics(start, stop, parts, x, groups):  # type: ignore[no-untyped-def]
    """x (M, C) -> parts (2, blocks, C): the mean of each block, and the sum of squares about it."""
    r = x.shape[0] // groups
    each = -(-r // _BLOCK)
    for block in range(start, stop):
        begin = block // each * r + block % each * _BLOCK
        end = min(begin + _BLOCK, (block // each + 1) * r)
        first, second = parts[0, block], parts[1, block]
        _sum_rows(first, x, begin, end)
        for i in range(first.size):
            first[i] /= end - begin
        second[:] = 0
        for m in range(begin, end):
            row = x[m]
            for i in range(second.size):
                difference = row[i] - first[i]
                second[i] += difference * difference


@kernel
def statistics(start, stop, mean, var, parts, r):  # type: ignore[no-untyped-def]
    """Put the blocks of each group together (Chan, Golub and LeVeque 1983, equation 2.1) -> mean and var (G, C)."""
    groups, channels = mean.shape  # [start, stop) of groups * channels
    each = parts.shape[1] // groups
    for i in range(start, stop):
        g, c = i // channels, i % channels
        m, squares, count = 0.0, 0.0, 0
        for b in range(each):
            size = min(_BLOCK, r - b * _BLOCK)
            off = parts[0, g * each + b, c] - m
            count += size
            m += off * size / count
            squares += parts[1, g * each + b, c] + off * off * size * (count - size) / count
        mean[g, c] = m
        var[g, c] = squares / r


@kernel
def normalize(start, stop, y, x, mean, inv_std, gain, bias, slope):  # type: ignore[no-untyped-def]
    """x (M, C), mean and inv_std (G, C) -> y (M, C)."""
    r = x.shape[0] // mean.shape[0]
    bent = y.dtype.type(1.0 if slope is None else slope)
    for m in range(start, stop):
        out, row, centre, scale = y[m], x[m], mean[m // r], inv_std[m // r]
        for c in range(row.size):
            xhat = (row[c] - centre[c]) * scale[c]
            v = xhat if bias is None else xhat * gain[0, c] + bias[0, c]
            out[c] = v if slope is None else bend(v, bent)


@kernel
def block_sums(start, stop, parts, dy, x, mean, inv_std, gain, bias, slope):  # type: ignore[no-untyped-def]
    """dy, x (M, C) -> parts (2, blocks, C): sums of dy and xhat dy; or of rx, or rdy. With a slope, dy is φ's."""
    r = x.shape[0] // mean.shape[0]
    each = -(-r // _BLOCK)
    bent = x.dtype.type(1.0 if slope is None else slope)
    for block in range(start, stop):
        group = block // each
        begin = group * r + block % each * _BLOCK
        end = min(begin + _BLOCK, (group + 1) * r)
        first, second, centre, scale = parts[0, block], parts[1, block], mean[group], inv_std[group]
        first[:] = 0
        second[:] = 0
        m = begin
        while m < end:
            # Two rows at once, as in _sum_rows; of an odd one, the second is the first, times 0.
            other = m + 1 if m + 1 < end else m
            there = x.dtype.type(other - m)
            row, gradient, row2, gradient2 = x[m], dy[m], x[other], dy[other]
            for c in range(first.size):
                xhat = (row[c] - centre[c]) * scale[c]
                xhat2 = (row2[c] - centre[c]) * scale[c]
                v = xhat if bias is None else xhat * gain[0, c] + bias[0, c]
                v2 = xhat2 if bias is None else xhat2 * gain[0, c] + bias[0, c]
                g = gradient[c] if slope is None else gradient[c] * bend_slope(v, bent)
                g2 = there * (gradient2[c] if slope is None else gradient2[c] * bend_slope(v2, bent))
                first[c] += np.float64(g) + g2
                second[c] += np.float64(g * xhat) + g2 * xhat2
            m += 2


@kernel
def sums(start, stop, sums, parts):  # type: ignore[no-untyped-def]
    """Put the blocks of each group together -> sums (2, G, C)."""
    groups, channels = sums.shape[1], sums.shape[2]  # [start, stop) of groups * channels
    each = parts.shape[1] // groups
    for i in range(start, stop):
        g, c = i // channels, i % channels
        first, second = 0.0, 0.0
        for b in range(g * each, (g + 1) * each):
            first += parts[0, b, c]
            second += parts[1, b, c]
        sums[0, g, c] = first
        sums[1, g, c] = second


@kernel
def weights(start, stop, dgain, dbias, sums, accumulate):  # type: ignore[no-untyped-def]
    """From sums (2, G, C) to dgain and dbias (1, C)."""
    for c in range(start, stop):
        first, second = 0.0, 0.0
        for g in range(sums.shape[1]):
            first += sums[0, g, c]
            second += sums[1, g, c]
        dbias[0, c] = dbias[0, c] + first if accumulate else first
        dgain[0, c] = dgain[0, c] + second if accumulate else second


@kernel
def inputs(start, stop, dx, sums, dy, x, mean, inv_std, gain, bias, constant, slope):  # type: ignore[no-untyped-def]
    """dy, x (M, C), sums (2, G, C) -> dx (M, C). With a slope, dy is the activation's."""
    r = x.shape[0] // mean.shape[0]
    bent = dx.dtype.type(1.0 if slope is None else slope)
    for m in range(start, stop):
        out, gradient, row, centre, scale = dx[m], dy[m], x[m], mean[m // r], inv_std[m // r]
        first, second = sums[0, m // r], sums[1, m // r]
        for c in range(row.size):
            factor = scale[c] if gain is None else scale[c] * gain[0, c]
            xhat = (row[c] - centre[c]) * scale[c]
            v = xhat if bias is None else xhat * gain[0, c] + bias[0, c]
            g = gradient[c] if slope is None else gradient[c] * bend_slope(v, bent)
            out[c] = g * factor if constant else (g - (first[c] + xhat * second[c]) / r) * factor


@kernel
def rnormalize(start, stop, ry, sums, rx, x, mean, inv_std, gain, rgain, rbias, constant):  # type: ignore[no-untyped-def]
    """rx, x (M, C), sums (2, G, C) of rx and xhat rx -> ry (M, C)."""
    r = x.shape[0] // mean.shape[0]
    for m in range(start, stop):
        out, change, row, centre, scale = ry[m], rx[m], x[m], mean[m // r], inv_std[m // r]
        first, second = sums[0, m // r], sums[1, m // r]
        for c in range(row.size):
            xhat = (row[c] - centre[c]) * scale[c]
            rxhat = (change[c] if constant else change[c] - (first[c] + xhat * second[c]) / r) * scale[c]
            if gain is not None:
                rxhat *= gain[0, c]
            out[c] = rxhat if rgain is None else rxhat + xhat * rgain[0, c] + rbias[0, c]


@kernel
def add_rsums(start, stop, sums, dy, rx, x, mean, inv_std, constant):  # type: ignore[no-untyped-def]
    """dy, rx, x (M, C), sums[:2] of rx and xhat rx -> rxhat dy, summed, is added to sums[5] (G, C)."""
    groups, channels = mean.shape  # [start, stop) of groups * channels
    r = x.shape[0] // groups
    for g in range(start // channels, (stop - 1) // channels + 1):
        low, high = max(start - g * channels, 0), min(stop - g * channels, channels)
        first, second, total = sums[0, g, low:high], sums[1, g, low:high], sums[5, g, low:high]
        centre, scale = mean[g, low:high], inv_std[g, low:high]
        for m in range(g * r, (g + 1) * r):
            row, change, gradient = x[m, low:high], rx[m, low:high], dy[m, low:high]
            for c in range(row.size):
                xhat = (row[c] - centre[c]) * scale[c]
                rxhat = (change[c] if constant else change[c] - (first[c] + xhat * second[c]) / r) * scale[c]
                total[c] += gradient[c] * rxhat


@kernel
def rfactors(start, stop, factors, sums, r, inv_std, gain, rgain, constant):  # type: ignore[no-untyped-def]
    """From sums (6, G, C) to factors (5, G, C) of rdy, dy, rx, x - mean and 1 in rdx.

    rdx = s (gain (rdy - avg(rdy) - rxhat avg(xhat dy) - xhat avg(xhat rdy + rxhat dy))
             + (rgain - gain s avg(xhat rx)) (dy - avg(dy) - xhat avg(xhat dy))), rxhat and xhat written out.
    """
    channels = inv_std.shape[1]
    for i in range(start, stop):
        g, c = i // channels, i % channels
        s = np.float64(inv_std[g, c])
        of_rdy = s if gain is None else s * gain[0, c]
        of_dy = 0.0 if rgain is None else s * rgain[0, c]
        if not constant:
            rx, xhat_rx, dy, xhat_dy, rdy, both = sums[:, g, c] / r
            of_dy -= of_rdy * s * xhat_rx
            of_rx = -of_rdy * s * xhat_dy
            factors[2, g, c] = of_rx
            factors[3, g, c] = -s * (of_rdy * both + of_rx * xhat_rx + of_dy * xhat_dy)
            factors[4, g, c] = -of_rdy * rdy - of_dy * dy - of_rx * rx
        factors[0, g, c] = of_rdy
        factors[1, g, c] = of_dy


@kernel
def rinputs(start, stop, rdx, factors, rdy, dy, rx, x, mean, constant):  # type: ignore[no-untyped-def]
    """rdy, dy, rx, x (M, C), factors (5, G, C) -> rdx (M, C)."""
    r = x.shape[0] // mean.shape[0]
    for m in range(start, stop):
        g = m // r
        out, rgradient, gradient, change, row, centre = rdx[m], rdy[m], dy[m], rx[m], x[m], mean[g]
        of_rdy, of_dy, of_rx, of_x, of_1 = factors[0, g], factors[1, g], factors[2, g], factors[3, g], factors[4, g]
        for c in range(out.size):
            total = of_rdy[c] * rgradient[c] + of_dy[c] * gradient[c]
            if not constant:
                total += of_rx[c] * change[c] + of_x[c] * (row[c] - centre[c]) + of_1[c]
            out[c] = total
