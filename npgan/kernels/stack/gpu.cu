#include "reduce.cuh"

// The columns of an instruction: see tape.py.
enum { CODE, ROWS, K, N, OUT, IN, OTHER, WEIGHT, DIRECTION, TRANSPOSED, AGAIN, SLOPE, TURNED, WIDTH };
enum { PRODUCT, BEND, UNBEND, WEIGHTS, SUM, ZERO };

#define THREADS 512
#define TOGETHER 4  // rows of a product: a weight is read once for them

// The least power of two from n, at most `most`.
__device__ inline int power(Index n, int most) {
    int p = 1;
    while (p < n && p < most) p *= 2;
    return p;
}

// out (n) = in (k) W (k, n) for up to TOGETHER rows: a thread takes a column and a part of the depth, so that what is read
// of W at once lies together.
__device__ inline void columns_product(REAL *out, const REAL *in, const REAL *w, Index rows, Index k, Index n, bool again) {
    __shared__ REAL parts[TOGETHER][THREADS];
    int wide = power(n, THREADS), groups = THREADS / wide, part = threadIdx.x / wide;
    for (Index first = 0; first < n; first += wide) {
        Index column = first + threadIdx.x % wide;
        REAL sum[TOGETHER] = {0, 0, 0, 0};
        if (column < n)
#pragma unroll 8  // so that many reads are on their way at once
            for (Index i = part; i < k; i += groups) {
                REAL weight = w[i * n + column];
                for (int r = 0; r < TOGETHER; r++)
                    if (r < rows) sum[r] += in[r * k + i] * weight;
            }
        for (int r = 0; r < TOGETHER; r++) parts[r][threadIdx.x] = sum[r];
        for (int half = groups / 2; half; half /= 2) {
            __syncthreads();
            if (part < half)
                for (int r = 0; r < TOGETHER; r++) parts[r][threadIdx.x] += parts[r][threadIdx.x + half * wide];
        }
        if (part == 0 && column < n)
            for (int r = 0; r < TOGETHER; r++)
                if (r < rows) out[r * n + column] = parts[r][threadIdx.x] + (again ? out[r * n + column] : REAL(0));
        __syncthreads();
    }
}

// out (n) = in (k) W (n, k)ᵀ: up to a warp takes a column, along its depth.
__device__ inline void rows_product(REAL *out, const REAL *in, const REAL *w, Index rows, Index k, Index n, bool again) {
    int deep = power(k, 32), at_once = THREADS / deep, lane = threadIdx.x % deep;
    for (Index first = 0; first < n; first += at_once) {
        Index column = first + threadIdx.x / deep;
        REAL sum[TOGETHER] = {0, 0, 0, 0};
        if (column < n)
#pragma unroll 8
            for (Index i = lane; i < k; i += deep) {
                REAL weight = w[column * k + i];
                for (int r = 0; r < TOGETHER; r++)
                    if (r < rows) sum[r] += in[r * k + i] * weight;
            }
        for (int r = 0; r < TOGETHER; r++)
            for (int by = deep / 2; by; by /= 2) sum[r] += __shfl_xor_sync(ALL_LANES, sum[r], by);
        if (lane == 0 && column < n)
            for (int r = 0; r < TOGETHER; r++)
                if (r < rows) out[r * n + column] = sum[r] + (again ? out[r * n + column] : REAL(0));
    }
}

// The instructions that make rows from rows; each block takes `each` of the samples through all of them.
extern "C" __global__ void __launch_bounds__(THREADS) run_rows(const Index *tape, Index count, Index samples, Index each,
                                                               REAL *memory, const REAL *theta, const REAL *direction) {
    Index first = blockIdx.x * each, last = first + each < samples ? first + each : samples;
    for (Index i = 0; i < count; i++) {
        const Index *row = tape + i * WIDTH;
        Index k = row[K], n = row[N], begin = first * row[ROWS], rows = (last - first) * row[ROWS];
        const REAL *in = memory + row[IN], *weight = row[DIRECTION] ? direction : theta;
        REAL *out = memory + row[OUT] + begin * n, slope = __longlong_as_double(row[SLOPE]);
        if (row[CODE] == PRODUCT) {
            for (Index r = 0; r < rows; r += TOGETHER) {
                Index left = rows - r < TOGETHER ? rows - r : TOGETHER;
                const REAL *from = in + (begin + r) * k;
                if (row[TRANSPOSED])
                    rows_product(out + r * n, from, weight + row[WEIGHT], left, k, n, row[AGAIN]);
                else
                    columns_product(out + r * n, from, weight + row[WEIGHT], left, k, n, row[AGAIN]);
            }
        } else if (row[CODE] == BEND) {
            for (Index j = threadIdx.x; j < rows * n; j += THREADS) {
                REAL v = in[begin * n + j];
                if (row[WEIGHT] >= 0) v += weight[row[WEIGHT] + remainder_of(j, n)];
                out[j] = bend(v, slope);
            }
        } else {
            const REAL *y = memory + row[OTHER] + begin * n;
            for (Index j = threadIdx.x; j < rows * n; j += THREADS) out[j] = in[begin * n + j] * bend_slope(y[j], slope);
        }
        __syncthreads();
    }
}

// The instructions that sum over samples. A tile is (first instruction, their number, first of k, first of n): a part of a
// target, and all that is written there, one after the other.
#define TILE 16
#define DEEP (512 / (int)sizeof(REAL))  // rows at a time
extern "C" __global__ void run_sums(const Index *tape, const Index *tiles, Index samples, const REAL *memory, REAL *target,
                                    Index accumulate) {
    __shared__ REAL left[DEEP][TILE + 1], right[DEEP][TILE + 1];
    __shared__ double parts[TILE][TILE + 1];
    const Index *tile = tiles + 4 * blockIdx.x;
    int a = threadIdx.x / TILE, b = threadIdx.x % TILE;
    for (Index i = tile[0]; i < tile[0] + tile[1]; i++) {
        const Index *row = tape + i * WIDTH;
        Index k = row[K], n = row[N], rows = samples * row[ROWS], at_k = tile[2] + a, at_n = tile[3] + b;
        REAL total = 0;
        if (row[CODE] == WEIGHTS) {
            const REAL *x = memory + row[IN], *dy = memory + row[OTHER];
            for (Index first = 0; first < rows; first += DEEP) {
                for (int d = a; d < DEEP; d += TILE) {
                    bool there = first + d < rows;
                    left[d][b] = there && tile[2] + b < k ? x[(first + d) * k + tile[2] + b] : REAL(0);
                    right[d][b] = there && at_n < n ? dy[(first + d) * n + at_n] : REAL(0);
                }
                __syncthreads();
                for (int d = 0; d < DEEP; d++) total += left[d][a] * right[d][b];
                __syncthreads();
            }
        } else if (row[CODE] == SUM) {
            double sum = 0;
            for (Index r = a; at_n < n && r < rows; r += TILE) sum += memory[row[IN] + r * n + at_n];
            parts[a][b] = sum;
            __syncthreads();
            sum = 0;
            for (int r = 0; r < TILE; r++) sum += parts[r][b];
            total = sum;
            __syncthreads();
        }
        bool inside = row[CODE] == WEIGHTS ? at_k < k && at_n < n : a == 0 && at_n < n;
        if (inside) {
            Index at = row[WEIGHT] + (row[CODE] == WEIGHTS ? at_k * n : 0) + at_n;
            target[at] = total + (row[AGAIN] || accumulate ? target[at] : REAL(0));
        }
    }
}
