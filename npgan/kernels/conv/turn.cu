// A matrix with rows for columns: cuDNN takes weights (O, KH, KW, I), channels last, and npgan's are (KH, KW, I, O).
#include "common.cuh"

#define SIDE 32  // of a square that goes through shared memory, so that both sides are read and written in order

// from (rows, columns) -> to (columns, rows), written or added to. A block of (32, 8).
extern "C" __global__ void turn(REAL *to, const REAL *from, Index accumulate, Index rows, Index columns) {
    __shared__ REAL square[SIDE][SIDE + 1];
    Index row = (Index)blockIdx.y * SIDE + threadIdx.y, column = (Index)blockIdx.x * SIDE + threadIdx.x;
    for (int i = 0; i < SIDE; i += blockDim.y)
        if (row + i < rows && column < columns)
            square[threadIdx.y + i][threadIdx.x] = from[(row + i) * columns + column];
    __syncthreads();
    row = (Index)blockIdx.y * SIDE + threadIdx.x, column = (Index)blockIdx.x * SIDE + threadIdx.y;
    for (int i = 0; i < SIDE; i += blockDim.y)
        if (row < rows && column + i < columns) {
            REAL *at = to + (column + i) * rows + row;
            REAL v = square[threadIdx.x][threadIdx.y + i];
            *at = accumulate ? *at + v : v;
        }
}
