#include "reduce.cuh"

// A warp for each row of (M, C), blocks of 8 warps.
#define EACH_ROW(row, m) \
    for (Index row = (Index)blockIdx.x * 8 + threadIdx.x / 32; row < (m); row += (Index)gridDim.x * 8)
#define EACH_COLUMN(i, c) for (Index i = threadIdx.x % 32; i < (c); i += 32)

__device__ inline double warp_sum(double v) {
    for (int by = 16; by; by /= 2) v += __shfl_xor_sync(ALL_LANES, v, by);
    return v;
}

extern "C" __global__ void forward(REAL *y, const REAL *x, Index m, Index c) {
    EACH_ROW(row, m) {
        const REAL *from = x + row * c;
        REAL *to = y + row * c, largest = from[0];
        EACH_COLUMN(i, c) largest = from[i] > largest || isnan(from[i]) ? from[i] : largest;
        for (int by = 16; by; by /= 2) {
            REAL other = __shfl_xor_sync(ALL_LANES, largest, by);
            largest = other > largest || isnan(other) ? other : largest;
        }
        double total = 0;
        EACH_COLUMN(i, c) total += exp(from[i] - largest);
        total = warp_sum(total);
        EACH_COLUMN(i, c) to[i] = exp(from[i] - largest) / REAL(total);
    }
}

extern "C" __global__ void backward(REAL *dx, const REAL *dy, const REAL *y, Index m, Index c) {
    EACH_ROW(row, m) {
        Index at = row * c;
        double along = 0;
        EACH_COLUMN(i, c) along += (double)dy[at + i] * y[at + i];
        REAL a = warp_sum(along);
        EACH_COLUMN(i, c) dx[at + i] = y[at + i] * (dy[at + i] - a);
    }
}

extern "C" __global__ void rbackward(REAL *rdx, const REAL *rdy, const REAL *dy, const REAL *ry, const REAL *y, Index m,
                                     Index c) {
    EACH_ROW(row, m) {
        Index at = row * c;
        double along = 0, ralong = 0;
        EACH_COLUMN(i, c) {
            along += (double)dy[at + i] * y[at + i];
            ralong += (double)rdy[at + i] * y[at + i] + (double)dy[at + i] * ry[at + i];
        }
        REAL a = warp_sum(along), ra = warp_sum(ralong);
        EACH_COLUMN(i, c) rdx[at + i] = ry[at + i] * (dy[at + i] - a) + y[at + i] * (rdy[at + i] - ra);
    }
}
