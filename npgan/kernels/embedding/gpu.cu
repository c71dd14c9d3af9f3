#include "common.cuh"

// x (M,), w (K, C) -> y (M, C); n = M C. A label that is none makes NaN, as nobody can be told without waiting.
extern "C" __global__ void forward(REAL *y, const Index *x, const REAL *w, Index n, Index k, Index c) {
    EACH(i, n) {
        Index row = x[quotient_of(i, c)];
        y[i] = row >= 0 && row < k ? w[row * c + remainder_of(i, c)] : not_a_number();
    }
}

// dy (M, C), x (M,) -> dw (K, C); n = K C. A thread for each element, which adds in the order of the samples.
extern "C" __global__ void backward(REAL *dw, const REAL *dy, const Index *x, Index accumulate, Index n, Index m,
                                    Index c) {
    EACH(i, n) {
        Index row = quotient_of(i, c), column = remainder_of(i, c);
        double total = 0;
        for (Index s = 0; s < m; s++)
            if (x[s] == row) total += dy[s * c + column];
        dw[i] = accumulate ? dw[i] + total : total;
    }
}
