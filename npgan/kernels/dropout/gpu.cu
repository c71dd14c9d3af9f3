#include "common.cuh"

// u (n,) -> mask (n,)
extern "C" __global__ void draw(unsigned char *mask, const REAL *u, double rate, Index n) {
    EACH(i, n) mask[i] = (double)u[i] >= rate;
}

// x (N, P, C), mask (N, C) -> y (N, P, C); n = N P C, pc = P C
extern "C" __global__ void apply(REAL *y, const REAL *x, const unsigned char *mask, double scale, Index n, Index pc,
                                 Index c) {
    REAL kept = scale;
    EACH(i, n) y[i] = x[i] * (mask[quotient_of(i, pc) * c + remainder_of(i, c)] * kept);
}
