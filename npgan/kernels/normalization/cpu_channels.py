"""Normalisation of channels, compiled: x (M, C), M = G R, its elements read one after the other.

What is done to each element is v (x - mean) + w, and factors are laid out for as many elements of a group as an inner
loop runs along (`npgan.kernels.width`), by `spread`.
"""

import numpy as np

from npgan.backend.compile import exact, kernel
from npgan.kernels.bend import bend, bend_slope
from npgan.kernels.moments import BLOCK, measure_block

FACTORS = 5
"""Of each channel: mean, what x - mean is multiplied by in y, and what is added; the same two for x - mean in dx."""


@kernel
def measure_blocks(start, stop, moments, x):  # type: ignore[no-untyped-def]
    """x (G, R, C) -> moments (2, G, blocks, C), as in `npgan.kernels.moments`; the blocks [start, stop) of all."""
    each = moments.shape[2]
    for block in range(start, stop):
        measure_block(moments, block // each, block % each, x[block // each])


@kernel
def statistics(start, stop, mean, var, moments, r):  # type: ignore[no-untyped-def]
    """Put blocks together (Chan, Golub and LeVeque 1983, equation 2.1): moments (2, runs, blocks, C) -> mean and var.

    A run is r rows, and each group the same number of runs. The first block's moments are overwritten.
    """
    groups, channels = mean.shape  # [start, stop) of groups * channels
    runs = moments.shape[1] // groups
    for g in range(start // channels, (stop - 1) // channels + 1):
        low, high = max(start - g * channels, 0), min(stop - g * channels, channels)
        m, squares = moments[0, g * runs, 0, low:high], moments[1, g * runs, 0, low:high]
        count = min(BLOCK, r)
        for b in range(1, runs * moments.shape[2]):
            run, block = g * runs + b // moments.shape[2], b % moments.shape[2]
            other, its_squares = moments[0, run, block, low:high], moments[1, run, block, low:high]
            size = min(BLOCK, r - block * BLOCK)
            share, between = size / (count + size), count * size / (count + size)
            for i in range(m.size):
                off = other[i] - m[i]
                squares[i] += its_squares[i] + off * off * between
                m[i] += off * share
            count += size
        centre, spread = mean[g, low:high], var[g, low:high]
        for i in range(m.size):
            centre[i] = m[i]
            spread[i] = squares[i] / count


@kernel
def spread(start, stop, factors, mean, inv_std, gain, bias, sums, r):  # type: ignore[no-untyped-def]
    """mean, inv_std (G, C), sums (2, G, C) of dy and xhat dy -> factors (5, G, width), again and again.

    y = (x - mean) v + w, with the gradient dy of it: dx = v dy + (x - mean) v' + w'.
    """
    channels = mean.shape[1]  # [start, stop) of groups * channels
    for i in range(start, stop):
        g, c = i // channels, i % channels
        scale, shift = inv_std[g, c], type(inv_std[g, c])(0)
        if gain is not None:
            scale *= gain[0, c]
        if bias is not None:
            shift = bias[0, c]
        for at in range(c, factors.shape[2], channels):
            factors[0, g, at], factors[1, g, at], factors[2, g, at] = mean[g, c], scale, shift
            if sums is not None:
                factors[3, g, at] = -scale * inv_std[g, c] * sums[1, g, c] / r
                factors[4, g, at] = -scale * sums[0, g, c] / r


@kernel
def normalize(start, stop, y, x, factors, slope):  # type: ignore[no-untyped-def]
    """x (G R C), factors (5, G, width) -> y (G R C), the pieces [start, stop) of such a width."""
    size, groups = factors.shape[2], factors.shape[1]
    each = x.size // groups
    pieces = (each + size - 1) // size
    bent = y.dtype.type(1.0 if slope is None else slope)
    for piece in range(start, stop):
        g = piece // pieces
        begin = g * each + piece % pieces * size
        end = min(begin + size, (g + 1) * each)
        out, row, centre, scale, shift = y[begin:end], x[begin:end], factors[0, g], factors[1, g], factors[2, g]
        for i in range(out.size):
            v = (row[i] - centre[i]) * scale[i] + shift[i]
            out[i] = v if slope is None else bend(v, bent)


@kernel
def block_sums(start, stop, parts, dy, x, mean, inv_std, gain, bias, slope):  # type: ignore[no-untyped-def]
    """dy, x (M, C) -> parts (2, blocks, C): sums of dy and xhat dy; or of rx, or rdy. With a slope, dy is φ's."""
    r = x.shape[0] // mean.shape[0]
    each = -(-r // BLOCK)
    bent = x.dtype.type(1.0 if slope is None else slope)
    for block in range(start, stop):
        group = block // each
        begin = group * r + block % each * BLOCK
        end = min(begin + BLOCK, (group + 1) * r)
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
                v = xhat if bias is None else (row[c] - centre[c]) * (scale[c] * gain[0, c]) + bias[0, c]
                v2 = xhat2 if bias is None else (row2[c] - centre[c]) * (scale[c] * gain[0, c]) + bias[0, c]
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
def inputs(start, stop, dx, dy, x, factors, constant, slope):  # type: ignore[no-untyped-def]
    """dy, x (G R C), factors (5, G, width) -> dx (G R C), or where dy is; with a slope, dy is the activation's."""
    size, groups = factors.shape[2], factors.shape[1]
    each = x.size // groups
    pieces = (each + size - 1) // size
    bent = dy.dtype.type(1.0 if slope is None else slope)
    for piece in range(start, stop):
        g = piece // pieces
        begin = g * each + piece % pieces * size
        end = min(begin + size, (g + 1) * each)
        gradient, row = dy[begin:end], x[begin:end]
        out = gradient if dx is None else dx[begin:end]
        centre, scale, shift, of_x, of_1 = factors[0, g], factors[1, g], factors[2, g], factors[3, g], factors[4, g]
        for i in range(out.size):
            off = row[i] - centre[i]
            d = gradient[i] if slope is None else gradient[i] * bend_slope(off * scale[i] + shift[i], bent)
            out[i] = d * scale[i] if constant else d * scale[i] + (off * of_x[i] + of_1[i])


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


@exact
def settle(start, stop, inv_std, mean, eps, running_mean, running_var, momentum, unbiased):  # type: ignore[no-untyped-def]
    """Variance in inv_std (G, C) -> 1 / sqrt(var + eps), and running statistics of the first group."""
    groups_of = mean.shape[1]  # [start, stop) of groups * channels
    keep, weight = mean.dtype.type(1.0 - momentum), mean.dtype.type(momentum)
    weight_of_var = mean.dtype.type(momentum * unbiased)
    small, one = mean.dtype.type(eps), mean.dtype.type(1)
    for i in range(start, stop):
        g, c = i // groups_of, i % groups_of
        if running_mean is not None and g == 0:
            running_mean[c] = running_mean[c] * keep + weight * mean[g, c]
            running_var[c] = running_var[c] * keep + weight_of_var * inv_std[g, c]
        inv_std[g, c] = one / np.sqrt(inv_std[g, c] + small)
