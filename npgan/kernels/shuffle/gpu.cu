#include "common.cuh"

// Between x (N, H, W, C r r) and y (N, H r, W r, C): place i of y and its place in x.
__device__ inline Index in_x(Index i, Index h, Index w, Index c, Index r) {
    Index channel = remainder_of(i, c), rest = quotient_of(i, c);
    Index column = remainder_of(rest, w * r), row = quotient_of(rest, w * r);  // row counts n and h r
    Index q = remainder_of(column, r), p = remainder_of(row, r);
    return ((quotient_of(row, r) * w + quotient_of(column, r)) * c + channel) * r * r + p * r + q;
}

extern "C" __global__ void shuffle(REAL *y, const REAL *x, Index n, Index h, Index w, Index c, Index r) {
    EACH(i, n) y[i] = x[in_x(i, h, w, c, r)];
}

extern "C" __global__ void unshuffle(REAL *y, const REAL *x, Index n, Index h, Index w, Index c, Index r) {
    EACH(i, n) y[in_x(i, h, w, c, r)] = x[i];
}
