// Sums over a block and over a launch, always in the same order: the same bits in every run.
#pragma once
#include "common.cuh"

#define ALL_LANES 0xffffffffu

// What the blocks of a launch leave for the last of them. The host keeps one for each stream: counters that are 0
// between launches, and doubles behind them.
struct Work {
    unsigned arrived[4096];
    double sums[1];
};

// The sums over a block of N values of each thread, in all threads; a block is whole warps, at most 32.
template <int N>
__device__ inline void block_sum(double (&v)[N]) {
    __shared__ double parts[N][32];
    int thread = threadIdx.x + blockDim.x * threadIdx.y, warps = blockDim.x * blockDim.y / 32;
    for (int k = 0; k < N; k++)
        for (int by = 16; by; by /= 2) v[k] += __shfl_xor_sync(ALL_LANES, v[k], by);
    if (thread % 32 == 0)
        for (int k = 0; k < N; k++) parts[k][thread / 32] = v[k];
    __syncthreads();
    for (int k = 0; k < N; k++) {
        v[k] = 0;
        for (int w = 0; w < warps; w++) v[k] += parts[k][w];
    }
    __syncthreads();
}

// Whether this block is the last of `count` to come here; it sees what the others wrote before. It makes its sums in the
// order of the blocks, so it does not matter which one it is.
__device__ inline bool last_block(unsigned *arrived, unsigned count) {
    __shared__ unsigned last;
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0 && threadIdx.y == 0) {
        last = atomicAdd(arrived, 1u) == count - 1;
        if (last) *arrived = 0;
    }
    __syncthreads();
    __threadfence();
    return last;
}

// N sums over all threads of a launch of one-dimensional blocks, at `write(sums)`, called by one thread.
template <int N, class W>
__device__ inline void launch_sum(Work *work, double (&v)[N], W write) {
    block_sum(v);
    if (gridDim.x == 1) {
        if (threadIdx.x == 0) write(v);
        return;
    }
    if (threadIdx.x == 0)
        for (int k = 0; k < N; k++) work->sums[(Index)blockIdx.x * N + k] = v[k];
    if (!last_block(work->arrived, gridDim.x)) return;
    for (int k = 0; k < N; k++) {
        v[k] = 0;
        for (Index b = threadIdx.x; b < gridDim.x; b += blockDim.x) v[k] += __ldcg(&work->sums[b * N + k]);
    }
    block_sum(v);
    if (threadIdx.x == 0) write(v);
}

// N sums for each of the C columns of M rows. `term(row, column, v)` adds to v; `write(column, sums)` is called once for
// each column. Blocks are (columns, rows) of 256 threads, the grid is (tiles of columns, parts of the rows).
template <int N, class T, class W>
__device__ inline void column_sums(Work *work, Index m, Index c, T term, W write) {
    __shared__ double parts[N][256];
    Index column = (Index)blockIdx.x * blockDim.x + threadIdx.x;
    int thread = threadIdx.x + blockDim.x * threadIdx.y;
    double v[N];
    for (int k = 0; k < N; k++) v[k] = 0;
    if (column < c)
        for (Index row = (Index)blockIdx.y * blockDim.y + threadIdx.y; row < m; row += (Index)gridDim.y * blockDim.y)
            term(row, column, v);
    for (int k = 0; k < N; k++) parts[k][thread] = v[k];
    for (int half = blockDim.y / 2; half; half /= 2) {
        __syncthreads();
        if ((int)threadIdx.y < half)
            for (int k = 0; k < N; k++) parts[k][thread] += parts[k][thread + half * blockDim.x];
    }
    bool writes = threadIdx.y == 0 && column < c;
    for (int k = 0; k < N; k++) v[k] = parts[k][thread];
    if (gridDim.y == 1) {
        if (writes) write(column, v);
        return;
    }
    if (writes)
        for (int k = 0; k < N; k++) work->sums[((Index)blockIdx.y * N + k) * c + column] = v[k];
    if (!last_block(work->arrived + blockIdx.x, gridDim.y) || !writes) return;
    for (int k = 0; k < N; k++) {
        v[k] = 0;
        for (Index b = 0; b < gridDim.y; b++) v[k] += __ldcg(&work->sums[(b * N + k) * c + column]);
    }
    write(column, v);
}
