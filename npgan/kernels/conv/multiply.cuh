// The product of two tiles that lie in shared memory, by fused multiply-adds in REAL or by tensor cores.
// Numbers are rounded to what is computed in once, on their way into shared memory.
#pragma once
#include "tensor.cuh"
#include "operands.cuh"

#ifndef TILE_ROWS
#define TILE_ROWS 64
#define TILE_COLUMNS 64
#endif

#if COMPUTE == PLAIN
typedef REAL Cell;
__device__ inline Cell rounded(REAL v) { return v; }
#endif

// Where numbers of an operand are in shared memory. Tensor cores take either order, so it is that of the arrays there;
// otherwise the rows are neighbours. The padding keeps the banks of neighbouring lines apart.
template <typename OPERAND> struct Layout {
    static const bool by_depth = COMPUTE != PLAIN && OPERAND::by_depth;
    static const int pad = 16 / sizeof(Cell) * (COMPUTE == TF32 && !by_depth ? 2 : 1);
    static const int pitch = (by_depth ? TILE_DEPTH : OPERAND::tile) + pad;
    static const int size = (by_depth ? OPERAND::tile : TILE_DEPTH) * pitch;

    __device__ static int index(int row, int depth) { return by_depth ? row * pitch + depth : depth * pitch + row; }
};

template <typename OPERAND> __device__ inline void put(Cell *tile, const Held (&held)[OPERAND::each]) {
    typedef Layout<OPERAND> L;
    typedef typename OPERAND::S Share;
#pragma unroll
    for (int r = 0; r < OPERAND::each; r++) {
        Vector<Cell, VECTOR> cells;
        for (int e = 0; e < VECTOR; e++) cells.v[e] = rounded(held[r].v[e]);
        int row = Share::row(r), depth = Share::depth(r);
        if (OPERAND::by_depth == L::by_depth)
            *reinterpret_cast<Vector<Cell, VECTOR> *>(tile + L::index(row, depth)) = cells;
        else
            for (int e = 0; e < VECTOR; e++) tile[L::index(row, depth + e)] = cells.v[e];
    }
}

typedef Vector<REAL, 4> Quad;

#if COMPUTE == PLAIN

// Four neighbours, 16 bytes at a time: the compiler cannot know that they are aligned.
__device__ inline void read(REAL (&to)[4], const Cell *from) {
#pragma unroll
    for (int e = 0; e < 4; e += 16 / sizeof(REAL)) {
        typedef Vector<REAL, 16 / sizeof(REAL)> Wide;
        Wide wide = *reinterpret_cast<const Wide *>(from + e);
#pragma unroll
        for (int f = 0; f < 16 / (int)sizeof(REAL); f++) to[e + f] = wide.v[f];
    }
}

// A thread has a square of 4 by 4 in each 64 by 64 of the tile.
template <typename A, typename B> struct Products {
    REAL sum[TILE_ROWS / 64][TILE_COLUMNS / 64][4][4] = {};

    __device__ void add(const Cell *a, const Cell *b) {
        int ty = threadIdx.x / 16 * 4, tx = threadIdx.x % 16 * 4;
#pragma unroll
        for (int k = 0; k < TILE_DEPTH; k++) {
            REAL left[TILE_ROWS / 64][4], right[TILE_COLUMNS / 64][4];
#pragma unroll
            for (int i = 0; i < TILE_ROWS / 64; i++) read(left[i], a + Layout<A>::index(i * 64 + ty, k));
#pragma unroll
            for (int j = 0; j < TILE_COLUMNS / 64; j++) read(right[j], b + Layout<B>::index(j * 64 + tx, k));
#pragma unroll
            for (int i = 0; i < TILE_ROWS / 64; i++)
#pragma unroll
                for (int j = 0; j < TILE_COLUMNS / 64; j++)
#pragma unroll
                    for (int e = 0; e < 4; e++)
#pragma unroll
                        for (int f = 0; f < 4; f++) sum[i][j][e][f] += left[i][e] * right[j][f];
        }
    }
    // Calls use(row, column, quad) for all results, four neighbours of a row at a time.
    template <typename USE> __device__ void each(Cell *, USE use) {
        int ty = threadIdx.x / 16 * 4, tx = threadIdx.x % 16 * 4;
#pragma unroll
        for (int i = 0; i < TILE_ROWS / 64; i++)
#pragma unroll
            for (int e = 0; e < 4; e++)
#pragma unroll
                for (int j = 0; j < TILE_COLUMNS / 64; j++) {
                    Quad quad;
#pragma unroll
                    for (int f = 0; f < 4; f++) quad.v[f] = sum[i][j][e][f];
                    use(i * 64 + ty + e, j * 64 + tx, quad);
                }
    }
};
#define STAGE 0

#else

// Eight warps, four down and two across; each has fragments of 16 by 16.
template <typename A, typename B> struct Products {
    static const int down = TILE_ROWS / 64, across = TILE_COLUMNS / 32, pitch = 20;
    static const bool left_rows = Layout<A>::by_depth, right_rows = !Layout<B>::by_depth;
    Sum sum[down][across];

    __device__ static int row(int i) { return (threadIdx.x / 64 * down + i) * 16; }
    __device__ static int column(int j) { return (threadIdx.x / 32 % 2 * across + j) * 16; }

    __device__ void add(const Cell *a, const Cell *b) {
#pragma unroll
        for (int k = 0; k < TILE_DEPTH; k += TENSOR_DEPTH) {
            Factor left[down];
#pragma unroll
            for (int i = 0; i < down; i++)
                load_left<left_rows>(left[i], a + Layout<A>::index(row(i), k), Layout<A>::pitch);
#pragma unroll
            for (int j = 0; j < across; j++) {
                Factor right;
                load_right<right_rows>(right, b + Layout<B>::index(column(j), k), Layout<B>::pitch);
#pragma unroll
                for (int i = 0; i < down; i++) multiply<left_rows, right_rows>(sum[i][j], left[i], right);
            }
        }
    }
    // Where a fragment's numbers are only the device knows: they go through shared memory, which is free by now.
    template <typename USE> __device__ void each(Cell *memory, USE use) {
        float *stage = reinterpret_cast<float *>(memory) + threadIdx.x / 32 * 16 * pitch;
#pragma unroll
        for (int i = 0; i < down; i++)
#pragma unroll
            for (int j = 0; j < across; j++) {
                store_sum(stage, sum[i][j], pitch);
                __syncwarp();
                for (int q = threadIdx.x % 32; q < 64; q += 32)
                    use(row(i) + q / 4, column(j) + q % 4 * 4,
                        *reinterpret_cast<const Quad *>(stage + q / 4 * pitch + q % 4 * 4));
                __syncwarp();
            }
    }
};
#define STAGE (8 * 16 * 20 * sizeof(float) / sizeof(Cell))

#endif
