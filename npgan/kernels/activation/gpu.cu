#include "common.cuh"

// By the exponential that is at most 1; NaN comes out as NaN.
__device__ inline REAL small_exp(REAL x) { return exp(x > 0 ? -x : x); }

// `a` is the slope or alpha; those that have none are given one all the same.
#define FORWARD(name, formula)                                                            \
    __device__ inline REAL name##_of(REAL x, REAL a) { return formula; }                  \
    extern "C" __global__ void name(REAL *y, const REAL *x, double option, Index n) {     \
        REAL a = option;                                                                  \
        map(y, n, [=](REAL x) { return name##_of(x, a); }, x);                            \
    }
FORWARD(relu, x <= 0 ? 0 : x)
FORWARD(leaky_relu, x > 0 ? x : a *x)
FORWARD(elu, x > 0 ? x : a *expm1(x))
FORWARD(tanh_forward, tanh(x))
FORWARD(sigmoid, (x > 0 ? 1 : small_exp(x)) / (1 + small_exp(x)))
FORWARD(softplus, (x > 0 ? x : 0) + log1p(small_exp(x)))

#define BACKWARD(name, formula)                                                                        \
    __device__ inline REAL name##_of(REAL dy, REAL y, REAL a) { return formula; }                      \
    extern "C" __global__ void name(REAL *dx, const REAL *dy, const REAL *y, double option, Index n) { \
        REAL a = option;                                                                               \
        map(dx, n, [=](REAL dy, REAL y) { return name##_of(dy, y, a); }, dy, y);                       \
    }
BACKWARD(leaky_relu_backward, dy *bend_slope(y, a))
BACKWARD(elu_backward, dy *(y > 0 ? 1 : y + a))
BACKWARD(tanh_backward, dy *((1 - y) * (1 + y)))
BACKWARD(sigmoid_backward, dy *(y * (1 - y)))
BACKWARD(softplus_backward, dy * -expm1(-y))

#define RBACKWARD(name, formula)                                                                                     \
    __device__ inline REAL name##_of(REAL rdy, REAL dy, REAL rx, REAL y, REAL a) { return formula; }                 \
    extern "C" __global__ void name(REAL *rdx, const REAL *rdy, const REAL *dy, const REAL *rx, const REAL *y,       \
                                    double option, Index n) {                                                        \
        REAL a = option;                                                                                             \
        map(rdx, n, [=](REAL rdy, REAL dy, REAL rx, REAL y) { return name##_of(rdy, dy, rx, y, a); }, rdy, dy, rx, y); \
    }
RBACKWARD(elu_rbackward, (y > 0 ? 1 : y + a) * rdy + (y > 0 ? 0 : y + a) * rx * dy)
RBACKWARD(tanh_rbackward, (1 - y) * (1 + y) * (rdy - 2 * y * rx * dy))
RBACKWARD(sigmoid_rbackward, y *(1 - y) * (rdy + (1 - 2 * y) * rx * dy))
RBACKWARD(softplus_rbackward, -expm1(-y) * (rdy + exp(-y) * rx * dy))
