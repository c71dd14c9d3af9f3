#include "common.cuh"

// f(a, ...) for each of n elements, by 16 bytes; what is no const REAL * is written back.
__device__ inline void put(REAL *p, Index pack, Pack value) { store(p, pack, value); }
__device__ inline void put(const REAL *, Index, Pack) {}
template <class F, class... P>
__device__ inline void update(Index n, F f, P... p) {
    Index packs = (aligned(p) && ...) ? n / WIDE : 0;
    EACH(i, packs) {
        auto each = [&](auto... v) {
            for (int j = 0; j < WIDE; j++) f(v.v[j]...);
            (put(p, i, v), ...);
        };
        each(load(p, i)...);
    }
    EACH(k, n - packs * WIDE) {
        Index i = packs * WIDE + k;
        auto each = [&](auto... v) {
            f(v...);
            ((const_cast<REAL *>(p)[i] = v), ...);
        };
        each(p[i]...);
    }
}

// A kernel that has no theta is given another array, with decays of 0.
struct Adam {
    REAL b1, c1, b2, c2, eps, scale1, scale2, l2, decay;
    __device__ REAL operator()(REAL &m, REAL &v, REAL g, REAL theta) const {
        if (l2 != 0) g += l2 * theta;
        m = b1 * m + c1 * g;
        v = b2 * v + c2 * (g * g);
        REAL d = scale1 * m / (scale2 * sqrt(v) + eps);
        return decay != 0 ? d + decay * theta : d;
    }
};
__device__ inline Adam adam_of(double b1, double b2, double eps, double s1, const double *s1_at, double s2,
                               const double *s2_at, double l2, double decay) {
    return {REAL(b1), REAL(1 - b1), REAL(b2), REAL(1 - b2), REAL(eps), REAL(number(s1, s1_at)),
            REAL(number(s2, s2_at)), REAL(l2), REAL(decay)};
}
extern "C" __global__ void adam_direction(REAL *d, REAL *m, REAL *v, const REAL *g, const REAL *theta, double b1,
                                          double b2, double eps, double s1, const double *s1_at, double s2,
                                          const double *s2_at, double l2, double decay, Index n) {
    Adam rule = adam_of(b1, b2, eps, s1, s1_at, s2, s2_at, l2, decay);
    // d may be g: what is read last is the gradient, and d is written after it.
    update(n, [=](REAL &d, REAL &m, REAL &v, REAL g, REAL theta) { d = rule(m, v, g, theta); }, d, m, v, g, theta);
}
extern "C" __global__ void adam_step(REAL *theta, REAL *m, REAL *v, const REAL *g, double lr, const double *lr_at,
                                     double b1, double b2, double eps, double s1, const double *s1_at, double s2,
                                     const double *s2_at, double l2, double decay, Index n) {
    Adam rule = adam_of(b1, b2, eps, s1, s1_at, s2, s2_at, l2, decay);
    REAL rate = number(lr, lr_at);
    update(n, [=](REAL &theta, REAL &m, REAL &v, REAL g) { theta -= rate * rule(m, v, g, theta); }, theta, m, v, g);
}

struct RmsProp {
    REAL alpha, c, eps, l2, scale;
    __device__ REAL operator()(REAL &v, REAL g, REAL theta) const {
        if (l2 != 0) g += l2 * theta;
        v = alpha * v + c * (g * g);
        return scale * (g / (sqrt(v) + eps));
    }
};
extern "C" __global__ void rmsprop_direction(REAL *d, REAL *v, const REAL *g, const REAL *theta, double alpha,
                                             double eps, double l2, double scale, Index n) {
    RmsProp rule = {REAL(alpha), REAL(1 - alpha), REAL(eps), REAL(l2), REAL(scale)};
    update(n, [=](REAL &d, REAL &v, REAL g, REAL theta) { d = rule(v, g, theta); }, d, v, g, theta);
}
extern "C" __global__ void rmsprop_step(REAL *theta, REAL *v, const REAL *g, double lr, const double *lr_at,
                                        double alpha, double eps, double l2, double scale, Index n) {
    RmsProp rule = {REAL(alpha), REAL(1 - alpha), REAL(eps), REAL(l2), REAL(scale)};
    REAL rate = number(lr, lr_at);
    update(n, [=](REAL &theta, REAL &v, REAL g) { theta -= rate * rule(v, g, theta); }, theta, v, g);
}

__device__ inline REAL sgd(REAL g, REAL theta, REAL l2, REAL scale) {
    if (l2 != 0) g += l2 * theta;
    return scale * g;
}
extern "C" __global__ void sgd_direction(REAL *d, const REAL *g, const REAL *theta, double l2, double scale, Index n) {
    REAL a = l2, b = scale;
    update(n, [=](REAL &d, REAL g, REAL theta) { d = sgd(g, theta, a, b); }, d, g, theta);
}
extern "C" __global__ void sgd_step(REAL *theta, const REAL *g, double lr, const double *lr_at, double l2,
                                    double scale, Index n) {
    REAL a = l2, b = scale, rate = number(lr, lr_at);
    update(n, [=](REAL &theta, REAL g) { theta -= rate * sgd(g, theta, a, b); }, theta, g);
}

struct Momentum {
    REAL momentum, l2, scale;
    Index nesterov;
    __device__ REAL operator()(REAL &u, REAL g, REAL theta) const {
        if (l2 != 0) g += l2 * theta;
        u = momentum * u + g;
        return nesterov ? scale * (g + momentum * u) : scale * u;
    }
};
extern "C" __global__ void momentum_direction(REAL *d, REAL *u, const REAL *g, const REAL *theta, double momentum,
                                              Index nesterov, double l2, double scale, Index n) {
    Momentum rule = {REAL(momentum), REAL(l2), REAL(scale), nesterov};
    update(n, [=](REAL &d, REAL &u, REAL g, REAL theta) { d = rule(u, g, theta); }, d, u, g, theta);
}
extern "C" __global__ void momentum_step(REAL *theta, REAL *u, const REAL *g, double lr, const double *lr_at,
                                         double momentum, Index nesterov, double l2, double scale, Index n) {
    Momentum rule = {REAL(momentum), REAL(l2), REAL(scale), nesterov};
    REAL rate = number(lr, lr_at);
    update(n, [=](REAL &theta, REAL &u, REAL g) { theta -= rate * rule(u, g, theta); }, theta, u, g);
}

extern "C" __global__ void descend(REAL *theta, const REAL *d, double lr, const double *lr_at, Index n) {
    REAL rate = number(lr, lr_at);
    update(n, [=](REAL &theta, REAL d) { theta -= rate * d; }, theta, d);
}
extern "C" __global__ void average(REAL *mean, const REAL *theta, double weight, const double *weight_at, Index n) {
    REAL w = number(weight, weight_at);
    update(n, [=](REAL &mean, REAL theta) { mean = w == 1 ? theta : mean + w * (theta - mean); }, mean, theta);
}
extern "C" __global__ void clip(REAL *x, double limit, Index n) {
    REAL most = limit;
    update(n, [=](REAL &x) { x = x < -most ? -most : (x > most ? most : x); }, x);
}
extern "C" __global__ void scale(REAL *x, double factor, const double *factor_at, Index n) {
    REAL f = number(factor, factor_at);
    update(n, [=](REAL &x) { x *= f; }, x);
}
extern "C" __global__ void limit(REAL *x, double norm, const double *norm_at, double most, Index n) {
    double found = number(norm, norm_at);
    if (!isfinite(found) || !(found > most)) return;
    REAL f = most / found;
    update(n, [=](REAL &x) { x *= f; }, x);
}
