#include "common.cuh"

// Windows of kh x kw pixels, their first s p - pad: x (N, H, W, C), y (N, OH, OW, C).
#define GEOMETRY Index n, Index h, Index w, Index oh, Index ow, Index c, Index kh, Index kw, Index sh, Index sw, \
                 Index top, Index left

struct Place {
    Index n, h, w, c;
};
__device__ inline Place place_of(Index i, Index h, Index w, Index c) {
    Place at;
    at.c = remainder_of(i, c);
    i = quotient_of(i, c);
    at.w = remainder_of(i, w);
    i = quotient_of(i, w);
    at.h = remainder_of(i, h);
    at.n = quotient_of(i, h);
    return at;
}
// The windows along an axis that pixel `at` (counted from the padding's edge) is in: [first, last).
__device__ inline Index first_window(Index at, Index k, Index s) { return at < k ? 0 : (at - k) / s + 1; }
__device__ inline Index last_window(Index at, Index s, Index o) { return at / s + 1 < o ? at / s + 1 : o; }

// n = elements of y
extern "C" __global__ void average(REAL *y, const REAL *x, GEOMETRY) {
    EACH(i, n) {
        Place p = place_of(i, oh, ow, c);
        REAL total = 0;
        for (Index a = 0; a < kh; a++)
            for (Index b = 0; b < kw; b++) {
                Index row = p.h * sh + a - top, column = p.w * sw + b - left;
                if (row >= 0 && row < h && column >= 0 && column < w) total += x[((p.n * h + row) * w + column) * c + p.c];
            }
        y[i] = total / REAL(kh * kw);
    }
}

// n = elements of dx
extern "C" __global__ void average_backward(REAL *dx, const REAL *dy, GEOMETRY) {
    EACH(i, n) {
        Place p = place_of(i, h, w, c);
        Index row = p.h + top, column = p.w + left, bottom = last_window(row, sh, oh), right = last_window(column, sw, ow);
        REAL total = 0;
        for (Index a = first_window(row, kh, sh); a < bottom; a++)
            for (Index b = first_window(column, kw, sw); b < right; b++)
                total += dy[((p.n * oh + a) * ow + b) * c + p.c] / REAL(kh * kw);
        dx[i] = total;
    }
}

// n = elements of y; NaN wins over every number, and the first of equals.
extern "C" __global__ void maximum(REAL *y, int *argmax, const REAL *x, GEOMETRY) {
    EACH(i, n) {
        Place p = place_of(i, oh, ow, c);
        REAL largest = 0;
        Index winner = -1;
        for (Index a = 0; a < kh; a++)
            for (Index b = 0; b < kw; b++) {
                Index row = p.h * sh + a - top, column = p.w * sw + b - left;
                if (row < 0 || row >= h || column < 0 || column >= w) continue;
                REAL value = x[((p.n * h + row) * w + column) * c + p.c];
                if (winner < 0 || value > largest || (isnan(value) && !isnan(largest))) {
                    largest = value;
                    winner = row * w + column;
                }
            }
        y[i] = largest;
        argmax[i] = winner;
    }
}

// n = elements of dx
extern "C" __global__ void maximum_backward(REAL *dx, const REAL *dy, const int *argmax, GEOMETRY) {
    EACH(i, n) {
        Place p = place_of(i, h, w, c);
        Index row = p.h + top, column = p.w + left, bottom = last_window(row, sh, oh), right = last_window(column, sw, ow);
        REAL total = 0;
        for (Index a = first_window(row, kh, sh); a < bottom; a++)
            for (Index b = first_window(column, kw, sw); b < right; b++) {
                Index at = ((p.n * oh + a) * ow + b) * c + p.c;
                if (argmax[at] == p.h * w + p.w) total += dy[at];
            }
        dx[i] = total;
    }
}

// rx (N, H, W, C), argmax (N, OH, OW, C) -> ry; n = elements of ry, pixels = H W, windows = OH OW
extern "C" __global__ void maximum_rforward(REAL *ry, const REAL *rx, const int *argmax, Index n, Index pixels,
                                            Index windows, Index c) {
    EACH(i, n) {
        Index image = quotient_of(i, windows * c);
        ry[i] = argmax[i] < 0 ? REAL(0) : rx[(image * pixels + argmax[i]) * c + remainder_of(i, c)];
    }
}
