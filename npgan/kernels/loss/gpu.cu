#include "reduce.cuh"

// Logits are few, so all is computed in double. t (N, each): weights (N,) or none; l is the value of an element, d its
// slope, both without the factor.
#define LOSS(name, ...)                                                                                           \
    extern "C" __global__ void name(Work *work, double *out, REAL *slope, const REAL *logits,                     \
                                    const REAL *weights, double factor, double option, Index n, Index each) {     \
        double v[1] = {0};                                                                                        \
        EACH(i, n) {                                                                                              \
            double t = logits[i], l, d, scale = weights ? factor * weights[quotient_of(i, each)] : factor;        \
            __VA_ARGS__;                                                                                          \
            slope[i] = scale * d;                                                                                 \
            v[0] += scale * l;                                                                                    \
        }                                                                                                         \
        launch_sum(work, v, [=](double(&v)[1]) { *out = v[0]; });                                                 \
    }

__device__ inline double small_exp(double t) { return exp(t > 0 ? -t : t); }

LOSS(cross_entropy, {
    double e = small_exp(t), p = option;
    l = log1p(e) + (t > 0 ? (1 - p) * t : -p * t);
    d = (t > 0 ? (1 - p) - p * e : (1 - p) * e - p) / (1 + e);
})
LOSS(squared, {
    l = (t - option) * (t - option);
    d = 2 * (t - option);
})
LOSS(linear, {
    (void)option;
    l = t;
    d = 1;
})
LOSS(hinge, {
    double margin = 1 - option * t, step = margin > 0 ? 1 : (margin <= 0 ? 0 : margin);
    l = margin * step;
    d = -option * step;
})

// The second derivative; `kind` is 0 where it is 0, 1 where it is 2, 2 for the cross-entropy.
extern "C" __global__ void curvature(REAL *out, const REAL *logits, const REAL *weights, double factor, Index kind,
                                     Index n, Index each) {
    EACH(i, n) {
        double scale = weights ? factor * weights[quotient_of(i, each)] : factor, e = small_exp(logits[i]);
        out[i] = kind == 0 ? 0 : scale * (kind == 1 ? 2 : e / ((1 + e) * (1 + e)));
    }
}
