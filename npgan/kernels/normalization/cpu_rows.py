"""Normalisation of one row a group, compiled: x (G, R)."""

from npgan.backend.compile import kernel
from npgan.kernels.bend import bend


@kernel
def statistics(start, stop, mean, var, x):  # type: ignore[no-untyped-def]
    """x (G, R) -> mean and var (G, 1)."""
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
def normalize(start, stop, y, x, mean, inv_std, gain, bias, slope):  # type: ignore[no-untyped-def]
    """x (G, R), mean and inv_std (G, 1) -> y (G, R)."""
    bent = y.dtype.type(1.0 if slope is None else slope)
    for g in range(start, stop):
        out, row, centre, scale = y[g], x[g], mean[g, 0], inv_std[g, 0]
        for r in range(row.size):
            xhat = (row[r] - centre) * scale
            v = xhat if gain is None else xhat * gain[r, 0] + bias[r, 0]
            out[r] = v if slope is None else bend(v, bent)


@kernel
def weights(start, stop, dgain, dbias, sums, dy, x, mean, inv_std, accumulate):  # type: ignore[no-untyped-def]
    """dy, x (G, R) -> dgain and dbias (R, 1); the sums are made in (2, R)."""
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
def inputs(start, stop, dx, dy, x, mean, inv_std, gain, constant):  # type: ignore[no-untyped-def]
    """dy, x (G, R) -> dx (G, R)."""
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


@kernel
def sums(start, stop, sums, rx, x, mean, inv_std):  # type: ignore[no-untyped-def]
    """rx, x (G, R) -> sums (2, G, 1) of rx and xhat rx."""
    for g in range(start, stop):
        row, change, centre, scale = x[g], rx[g], mean[g, 0], inv_std[g, 0]
        first, second = 0.0, 0.0
        for r in range(row.size):
            first += change[r]
            second += change[r] * ((row[r] - centre) * scale)
        sums[0, g, 0] = first
        sums[1, g, 0] = second


@kernel
def rnormalize(start, stop, ry, sums, rx, x, mean, inv_std, gain, rgain, rbias, constant):  # type: ignore[no-untyped-def]
    """rx, x (G, R), sums (2, G, 1) -> ry (G, R)."""
    for g in range(start, stop):
        out, change, row, centre, scale = ry[g], rx[g], x[g], mean[g, 0], inv_std[g, 0]
        first, second = sums[0, g, 0] / row.size, sums[1, g, 0] / row.size
        for r in range(row.size):
            xhat = (row[r] - centre) * scale
            rxhat = (change[r] if constant else change[r] - first - xhat * second) * scale
            if gain is not None:
                rxhat *= gain[r, 0]
            out[r] = rxhat if rgain is None else rxhat + xhat * rgain[r, 0] + rbias[r, 0]


@kernel
def rweights(start, stop, rdgain, rdbias, totals, sums, rdy, dy, rx, x, mean, inv_std, constant, accumulate):  # type: ignore[no-untyped-def]
    """rdy, dy, rx, x (G, R), sums (2, G, 1) -> rdgain and rdbias (R, 1); totals are made in (2, R)."""
    of_gain, of_bias = totals[0, start:stop], totals[1, start:stop]
    of_gain[:] = 0
    of_bias[:] = 0
    for g in range(x.shape[0]):
        row, change, gradient, rgradient = x[g, start:stop], rx[g, start:stop], dy[g, start:stop], rdy[g, start:stop]
        centre, scale, first, second = mean[g, 0], inv_std[g, 0], sums[0, g, 0] / x.shape[1], sums[1, g, 0] / x.shape[1]
        for r in range(row.size):
            xhat = (row[r] - centre) * scale
            rxhat = (change[r] if constant else change[r] - first - xhat * second) * scale
            of_gain[r] += rgradient[r] * xhat + gradient[r] * rxhat
            of_bias[r] += rgradient[r]
    for r in range(of_gain.size):
        rdgain[start + r, 0] = rdgain[start + r, 0] + of_gain[r] if accumulate else of_gain[r]
        rdbias[start + r, 0] = rdbias[start + r, 0] + of_bias[r] if accumulate else of_bias[r]


@kernel
def rinputs(start, stop, rdx, sums, rdy, dy, rx, x, mean, inv_std, gain, rgain, constant):  # type: ignore[no-untyped-def]
    """rdy, dy, rx, x (G, R), sums (2, G, 1) -> rdx (G, R)."""
    for g in range(start, stop):
        out, rgradient, gradient, change, row = rdx[g], rdy[g], dy[g], rx[g], x[g]
        centre, scale, first, second = mean[g, 0], inv_std[g, 0], sums[0, g, 0] / row.size, sums[1, g, 0] / row.size
        # Averages of u = dy gain and xhat u, and their R-derivatives.
        avg, along, ravg, ralong = 0.0, 0.0, 0.0, 0.0
        if not constant:
            for r in range(row.size):
                xhat = (row[r] - centre) * scale
                rxhat = (change[r] - first - xhat * second) * scale
                u = gradient[r] if gain is None else gradient[r] * gain[r, 0]
                ru = rgradient[r] if gain is None else rgradient[r] * gain[r, 0]
                if rgain is not None:
                    ru += gradient[r] * rgain[r, 0]
                avg += u
                along += xhat * u
                ravg += ru
                ralong += xhat * ru + rxhat * u
        avg, along, ravg, ralong = avg / row.size, along / row.size, ravg / row.size, ralong / row.size
        for r in range(row.size):
            ru = rgradient[r] if gain is None else rgradient[r] * gain[r, 0]
            if rgain is not None:
                ru += gradient[r] * rgain[r, 0]
            if not constant:
                xhat = (row[r] - centre) * scale
                rxhat = (change[r] - first - xhat * second) * scale
                u = gradient[r] if gain is None else gradient[r] * gain[r, 0]
                ru -= ravg + rxhat * along + xhat * ralong + scale * second * (u - avg - xhat * along)
            out[r] = ru * scale
