#include "reduce.cuh"

// x (G, R, C), mean and inv_std (G, C). gain and bias are (C,), or (R,) where `element` is set, and then C = 1.
struct Frame {
    const REAL *mean, *inv_std, *gain, *bias;
    Index element, bends;
    REAL slope;
    Index r, c;
    __device__ REAL xhat(Index group, Index column, REAL x) const {
        Index at = group * c + column;
        return (x - mean[at]) * inv_std[at];
    }
    __device__ REAL affine(Index row, Index column, REAL xhat) const {
        Index at = element ? row : column;
        return gain ? xhat * gain[at] + bias[at] : xhat;
    }
    // The gradient of what goes into the activation, if there is one.
    __device__ REAL unbent(Index row, Index column, REAL xhat, REAL dy) const {
        return bends ? dy * bend_slope(affine(row, column, xhat), slope) : dy;
    }
    // What a sum over a column must have in it, as it differs from row to row.
    __device__ REAL in_row(Index row, const REAL *weight) const { return element && weight ? weight[row] : REAL(1); }
};
#define FRAME const REAL *mean, const REAL *inv_std, const REAL *gain, const REAL *bias, Index element, Index bends, \
              double slope, Index groups, Index r, Index c
#define FRAME_OF {mean, inv_std, gain, bias, element, bends, REAL(slope), r, c}

// y = f(group, row, column, x...) for each place of (G, R, C).
template <class F, class... X>
__device__ inline void map_places(REAL *y, Index groups, Index r, Index c, F f, const X *...x) {
    Index n = groups * r * c;
    bool along = c % WIDE == 0, down = c == 1 && r % WIDE == 0;
    Index packs = (along || down) && (aligned(y) && ... && aligned(x)) ? n / WIDE : 0;
    EACH(i, packs) {
        Index m = quotient_of(i * WIDE, c), column = i * WIDE - m * c, group = groups == 1 ? 0 : quotient_of(m, r);
        Index row = m - group * r;
        Pack out;
        auto each = [&](auto... p) {
            for (int j = 0; j < WIDE; j++)
                out.v[j] = f(group, down ? row + j : row, down ? column : column + j, p.v[j]...);
        };
        each(load(x, i)...);
        store(y, i, out);
    }
    EACH(i, packs ? 0 : n) {
        Index m = quotient_of(i, c), group = groups == 1 ? 0 : quotient_of(m, r);
        y[i] = f(group, m - group * r, i - m * c, x[i]...);
    }
}

// One pass: sums of x - k and of its square, k the first of the column. As k is one of them, (k - mean)² is at most R
// variances, so little cancels.
extern "C" __global__ void statistics(Work *work, REAL *mean, REAL *var, const REAL *x, Index groups, Index r, Index c) {
    group_sums<2>(
        work, nullptr, groups, r, c,
        [=](Index group, Index, Index column, double(&v)[2], REAL value) {
            double off = (double)value - x[group * r * c + column];
            v[0] += off;
            v[1] += off * off;
            return value;
        },
        [=](Index group, Index column, double(&v)[2]) {
            double off = v[0] / r, found = v[1] / r - off * off;
            mean[group * c + column] = x[group * r * c + column] + off;
            var[group * c + column] = found < 0 ? 0 : found;
        },
        x);
}

// var in inv_std (n,) -> 1 / sqrt(var + eps), and running statistics where there are any: then n is their number
extern "C" __global__ void settle(REAL *inv_std, const REAL *mean, REAL *running_mean, REAL *running_var, double eps,
                                  double momentum, double unbiased, Index n) {
    REAL kept = 1 - momentum, added = momentum, added_var = momentum * unbiased, least = eps;
    EACH(i, n) {
        REAL var = inv_std[i];
        if (running_mean) {
            running_mean[i] = running_mean[i] * kept + added * mean[i];
            running_var[i] = running_var[i] * kept + added_var * var;
        }
        inv_std[i] = 1 / sqrt(var + least);
    }
}

extern "C" __global__ void normalize(REAL *y, const REAL *x, FRAME) {
    Frame f = FRAME_OF;
    map_places(
        y, groups, r, c,
        [=](Index group, Index row, Index column, REAL x) {
            REAL v = f.affine(row, column, f.xhat(group, column, x));
            return f.bends ? bend(v, f.slope) : v;
        },
        x);
}

// sums (2, G, C) of g and of xhat g, and where dgain is given (then G = 1) it and dbias (C,) from them
extern "C" __global__ void sums(Work *work, double *sums, REAL *dgain, REAL *dbias, const REAL *dy, const REAL *x,
                                Index accumulate, FRAME) {
    Frame f = FRAME_OF;
    group_sums<2>(
        work, nullptr, groups, r, c,
        [=](Index group, Index row, Index column, double(&v)[2], REAL dy, REAL x) {
            REAL xhat = f.xhat(group, column, x), g = f.unbent(row, column, xhat, dy) * f.in_row(row, f.gain);
            v[0] += g;
            v[1] += (double)g * xhat;
            return g;
        },
        [=](Index group, Index column, double(&v)[2]) {
            sums[group * c + column] = v[0];
            sums[(groups + group) * c + column] = v[1];
            if (!dgain) return;
            dbias[column] = accumulate ? dbias[column] + v[0] : v[0];
            dgain[column] = accumulate ? dgain[column] + v[1] : v[1];
        },
        dy, x);
}

// sums (2, G, C) -> dgain and dbias (C,)
extern "C" __global__ void weights(REAL *dgain, REAL *dbias, const double *sums, Index accumulate, Index groups,
                                   Index c) {
    EACH(i, c) {
        double first = 0, second = 0;
        for (Index g = 0; g < groups; g++) {
            first += sums[g * c + i];
            second += sums[(groups + g) * c + i];
        }
        dbias[i] = accumulate ? dbias[i] + first : first;
        dgain[i] = accumulate ? dgain[i] + second : second;
    }
}

// dgain and dbias (R,): sums over the groups, for gains of elements
extern "C" __global__ void element_weights(Work *work, REAL *dgain, REAL *dbias, const REAL *dy, const REAL *x,
                                           const REAL *mean, const REAL *inv_std, Index accumulate, Index groups,
                                           Index r) {
    group_sums<2>(
        work, nullptr, 1, groups, r,
        [=](Index, Index group, Index, double(&v)[2], REAL dy, REAL x) {
            v[0] += dy;
            v[1] += (double)dy * ((x - mean[group]) * inv_std[group]);
            return dy;
        },
        [=](Index, Index i, double(&v)[2]) {
            dbias[i] = accumulate ? dbias[i] + v[0] : v[0];
            dgain[i] = accumulate ? dgain[i] + v[1] : v[1];
        },
        dy, x);
}

// (The bounds here and below: more threads on a multiprocessor, as these wait for memory.)
extern "C" __global__ void __launch_bounds__(256, 4)
    inputs(REAL *dx, const double *sums, const REAL *dy, const REAL *x, Index constant, FRAME) {
    Frame f = FRAME_OF;
    double each = 1.0 / r;
    map_places(
        dx, groups, r, c,
        [=](Index group, Index row, Index column, REAL dy, REAL x) -> REAL {
            Index at = group * c + column;
            REAL xhat = f.xhat(group, column, x), s = f.inv_std[at], outside = s;
            REAL g = f.unbent(row, column, xhat, dy) * f.in_row(row, f.gain);
            if (f.gain && !f.element) outside = s * f.gain[column];
            if (constant) return g * outside;
            return (g - (sums[at] + xhat * sums[groups * c + at]) * each) * outside;
        },
        dy, x);
}

// sums (2, G, C) of rx and xhat rx; rgain and rbias are like gain
extern "C" __global__ void __launch_bounds__(256, 4)
    rnormalize(REAL *ry, const double *sums, const REAL *rx, const REAL *x, const REAL *rgain, const REAL *rbias,
               Index constant, FRAME) {
    Frame f = FRAME_OF;
    double each = 1.0 / r;
    map_places(
        ry, groups, r, c,
        [=](Index group, Index row, Index column, REAL rx, REAL x) -> REAL {
            Index at = group * c + column, weight = f.element ? row : column;
            REAL xhat = f.xhat(group, column, x), s = f.inv_std[at];
            REAL found = constant ? rx * s : (rx - (sums[at] + xhat * sums[groups * c + at]) * each) * s;
            if (f.gain) found *= f.gain[weight];
            return rgain ? found + xhat * rgain[weight] + rbias[weight] : found;
        },
        rx, x);
}

// Seven sums (7, G, C): of rx, xhat rx, g, xhat g, rg, xhat rg and rx g. For gains of elements g = gain dy and
// rg = gain rdy + rgain dy, else they are dy and rdy, as gain is the same for a whole column.
extern "C" __global__ void rsums(Work *work, double *sums, const REAL *rdy, const REAL *dy, const REAL *rx,
                                 const REAL *x, const REAL *rgain, FRAME) {
    Frame f = FRAME_OF;
    group_sums<7>(
        work, nullptr, groups, r, c,
        [=](Index group, Index row, Index column, double(&v)[7], REAL rdy, REAL dy, REAL rx, REAL x) {
            double xhat = f.xhat(group, column, x), gain = f.in_row(row, f.gain), g = dy * gain, rg = rdy * gain;
            if (f.element && rgain) rg += (double)dy * rgain[row];
            v[0] += rx;
            v[1] += xhat * rx;
            v[2] += g;
            v[3] += xhat * g;
            v[4] += rg;
            v[5] += xhat * rg;
            v[6] += rx * g;
            return rx;
        },
        [=](Index group, Index column, double(&v)[7]) {
            for (int k = 0; k < 7; k++) sums[(k * groups + group) * c + column] = v[k];
        },
        rdy, dy, rx, x);
}

// The sum of rxhat g, with rxhat = s (rx - avg(rx) - xhat avg(xhat rx)) written out.
__device__ inline double rxhat_g(const double *sums, Index all, Index at, double s, Index r, Index constant) {
    double found = sums[6 * all + at];
    if (!constant) found -= (sums[at] * sums[2 * all + at] + sums[all + at] * sums[3 * all + at]) / r;
    return s * found;
}

// sums (7, G, C) -> rdgain and rdbias (C,)
extern "C" __global__ void rweights(REAL *rdgain, REAL *rdbias, const double *sums, const REAL *inv_std, Index constant,
                                    Index accumulate, Index groups, Index r, Index c) {
    Index all = groups * c;
    EACH(i, c) {
        double first = 0, second = 0;
        for (Index g = 0; g < groups; g++) {
            Index at = g * c + i;
            first += sums[4 * all + at];
            second += sums[5 * all + at] + rxhat_g(sums, all, at, inv_std[at], r, constant);
        }
        rdbias[i] = accumulate ? rdbias[i] + first : first;
        rdgain[i] = accumulate ? rdgain[i] + second : second;
    }
}

// rdgain and rdbias (R,), for gains of elements; sums (7, G) as above
extern "C" __global__ void element_rweights(Work *work, REAL *rdgain, REAL *rdbias, const double *sums, const REAL *rdy,
                                            const REAL *dy, const REAL *rx, const REAL *x, const REAL *mean,
                                            const REAL *inv_std, Index constant, Index accumulate, Index groups,
                                            Index r) {
    group_sums<2>(
        work, nullptr, 1, groups, r,
        [=](Index, Index group, Index, double(&v)[2], REAL rdy, REAL dy, REAL rx, REAL x) {
            double s = inv_std[group], xhat = (x - mean[group]) * inv_std[group];
            double rxhat = s * (constant ? rx : rx - (sums[group] + xhat * sums[groups + group]) / r);
            v[0] += rdy;
            v[1] += xhat * rdy + rxhat * dy;
            return rdy;
        },
        [=](Index, Index i, double(&v)[2]) {
            rdbias[i] = accumulate ? rdbias[i] + v[0] : v[0];
            rdgain[i] = accumulate ? rdgain[i] + v[1] : v[1];
        },
        rdy, dy, rx, x);
}

// sums (7, G, C) -> factors (5, G, C) of rg, g, rx, x - mean and 1 in rdx:
// rdx = s (gain (rg - avg(rg) - rxhat avg(xhat g) - xhat avg(xhat rg + rxhat g))
//          + (rgain - gain s avg(xhat rx)) (g - avg(g) - xhat avg(xhat g))), rxhat and xhat written out.
extern "C" __global__ void rfactors(double *factors, const double *sums, const REAL *rgain, Index constant, FRAME) {
    Frame f = FRAME_OF;
    Index all = groups * c;
    EACH(at, all) {
        Index column = remainder_of(at, c);
        double s = f.inv_std[at], of_rg = f.gain && !f.element ? s * f.gain[column] : s;
        double of_g = rgain && !f.element ? s * rgain[column] : 0, of_rx = 0, of_x = 0, of_1 = 0;
        if (!constant) {
            double rx = sums[at] / r, xhat_rx = sums[all + at] / r, g = sums[2 * all + at] / r;
            double xhat_g = sums[3 * all + at] / r, rg = sums[4 * all + at] / r;
            double both = (sums[5 * all + at] + rxhat_g(sums, all, at, s, r, 0)) / r;
            of_g -= of_rg * s * xhat_rx;
            of_rx = -of_rg * s * xhat_g;
            of_x = -s * (of_rg * both + of_rx * xhat_rx + of_g * xhat_g);
            of_1 = -of_rg * rg - of_g * g - of_rx * rx;
        }
        factors[at] = of_rg;
        factors[all + at] = of_g;
        factors[2 * all + at] = of_rx;
        factors[3 * all + at] = of_x;
        factors[4 * all + at] = of_1;
    }
}

extern "C" __global__ void __launch_bounds__(256, 3)
    rinputs(REAL *rdx, const double *factors, const REAL *rdy, const REAL *dy, const REAL *rx, const REAL *x,
            const REAL *rgain, Index constant, FRAME) {
    Frame f = FRAME_OF;
    Index all = groups * c;
    map_places(
        rdx, groups, r, c,
        [=](Index group, Index row, Index column, REAL rdy, REAL dy, REAL rx, REAL x) -> REAL {
            Index at = group * c + column;
            double gain = f.in_row(row, f.gain), g = dy * gain, rg = rdy * gain;
            if (f.element && rgain) rg += (double)dy * rgain[row];
            double found = factors[at] * rg + factors[all + at] * g;
            if (constant) return found;
            double off = (double)x - f.mean[at];
            return found + factors[2 * all + at] * rx + factors[3 * all + at] * off + factors[4 * all + at];
        },
        rdy, dy, rx, x);
}
