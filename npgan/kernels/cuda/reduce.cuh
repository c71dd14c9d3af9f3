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

// V values of a row at a time, from an aligned place or one by one.
template <int V>
struct Few {
    REAL v[V];
};
template <int V>
__device__ inline Few<V> load_few(const REAL *p, bool packed) {
    Few<V> out;
    if (V > 1 && packed) {
        Pack pack = load(p, 0);
        for (int j = 0; j < V; j++) out.v[j] = pack.v[j];
    } else {
        for (int j = 0; j < V; j++) out.v[j] = p[j];
    }
    return out;
}

// The sums of v over the threads of a column, in those of the first row of the block.
template <int N, int V>
__device__ inline void sum_over_rows(double (&v)[V][N]) {
    __shared__ double parts[N][256];
    int thread = threadIdx.x + blockDim.x * threadIdx.y;
    for (int j = 0; j < V; j++) {
        for (int k = 0; k < N; k++) parts[k][thread] = v[j][k];
        for (int half = blockDim.y / 2; half; half /= 2) {
            __syncthreads();
            if ((int)threadIdx.y < half)
                for (int k = 0; k < N; k++) parts[k][thread] += parts[k][thread + half * blockDim.x];
        }
        for (int k = 0; k < N; k++) v[j][k] = parts[k][thread];
        __syncthreads();
    }
}

template <int N, int V, class F, class W, class... X>
__device__ inline void group_sums_of(Work *work, REAL *out, Index groups, Index r, Index c, F term, W write,
                                     const X *...x) {
    Index tiles = gridDim.x / groups, group = blockIdx.x / tiles;
    Index column = ((blockIdx.x % tiles) * blockDim.x + threadIdx.x) * V;
    bool inside = column < c, packed = (aligned(out) && ... && aligned(x));
    double v[V][N];
    for (int j = 0; j < V; j++)
        for (int k = 0; k < N; k++) v[j][k] = 0;
    for (Index row = (Index)blockIdx.y * blockDim.y + threadIdx.y; inside && row < r; row += gridDim.y * blockDim.y) {
        Index i = (group * r + row) * c + column;
        Few<V> made;
        auto each = [&](auto... p) {
            for (int j = 0; j < V; j++) made.v[j] = term(group, row, column + j, v[j], p.v[j]...);
        };
        each(load_few<V>(x + i, packed)...);
        if (!out) continue;
        if (V > 1 && packed) {
            Pack pack;
            for (int j = 0; j < V; j++) pack.v[j] = made.v[j];
            store(out + i, 0, pack);
        } else {
            for (int j = 0; j < V; j++) out[i + j] = made.v[j];
        }
    }
    sum_over_rows<N, V>(v);
    if (gridDim.y > 1) {
        Index all = groups * c, place = group * c + column;
        if (inside && threadIdx.y == 0)
            for (int j = 0; j < V; j++)
                for (int k = 0; k < N; k++) work->sums[(blockIdx.y * N + k) * all + place + j] = v[j][k];
        if (!last_block(work->arrived + blockIdx.x, gridDim.y)) return;
        for (int j = 0; j < V; j++)
            for (int k = 0; k < N; k++) {
                v[j][k] = 0;
                for (Index b = threadIdx.y; inside && b < gridDim.y; b += blockDim.y)
                    v[j][k] += __ldcg(&work->sums[(b * N + k) * all + place + j]);
            }
        sum_over_rows<N, V>(v);
    }
    if (inside && threadIdx.y == 0)
        for (int j = 0; j < V; j++) write(group, column + j, v[j]);
}

// N sums over the R rows of each of the groups and of the C columns of x, ... (G, R, C).
//
// `term(group, row, column, sums, x...)` adds to the sums, and what it returns goes to `out` where there is one;
// `write(group, column, sums)` is called once for each. Blocks are (columns, rows) of 256 threads in all, the grid is
// (groups and tiles of columns, parts of the rows): see `group_grid` in backend/cuda.py.
template <int N, class F, class W, class... X>
__device__ inline void group_sums(Work *work, REAL *out, Index groups, Index r, Index c, F term, W write,
                                  const X *...x) {
    if (c % WIDE == 0)
        group_sums_of<N, WIDE>(work, out, groups, r, c, term, write, x...);
    else
        group_sums_of<N, 1>(work, out, groups, r, c, term, write, x...);
}
