// Tensor cores: products of 16 by 16 by TENSOR_DEPTH that a whole warp makes together, in float32.
//
// COMPUTE is PLAIN (no tensor cores), TF32 (10 bits of mantissa) or BF16 (7 bits). These are PTX's wmma instructions,
// in which only the device knows where in a fragment a number lies. CUDA's own names for them are in mma.h, half of
// which is not in the wheels that CuPy brings; tests/emulator has these in C++.
//
// A Factor's or Sum's memory begins at a multiple of 32 bytes, and its lines, `pitch` numbers apart, at one of 16.
#pragma once
#include "common.cuh"

#define PLAIN 0
#define TF32 1
#define BF16 2
#ifndef COMPUTE
#define COMPUTE PLAIN
#endif

#if COMPUTE == TF32
#define TENSOR_DEPTH 8
#define NPGAN_SHAPE "m16n16k8"
#define NPGAN_TYPE "tf32"
#elif COMPUTE == BF16
#define TENSOR_DEPTH 16
#define NPGAN_SHAPE "m16n16k16"
#define NPGAN_TYPE "bf16"
#endif

#if COMPUTE != PLAIN && defined(NPGAN_EMULATOR)
#include <tensor.h>
#elif COMPUTE != PLAIN

#if COMPUTE == TF32
typedef float Cell;
__device__ inline Cell rounded(float v) {
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(v));
    return __uint_as_float(bits);
}
#else
typedef unsigned short Cell;
__device__ inline Cell rounded(float v) {
    Cell bits;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(v));
    return bits;
}
#endif

struct Factor {
    unsigned v[4];
};
struct Sum {
    float v[8] = {};
};

__device__ inline unsigned in_shared(const void *at) { return (unsigned)__cvta_generic_to_shared(at); }

#define NPGAN_LOAD(side, order)                                                                             \
    asm volatile("wmma.load." side ".sync.aligned." order "." NPGAN_SHAPE ".shared." NPGAN_TYPE             \
                 " {%0, %1, %2, %3}, [%4], %5;"                                                             \
                 : "=r"(f.v[0]), "=r"(f.v[1]), "=r"(f.v[2]), "=r"(f.v[3])                                   \
                 : "r"(in_shared(from)), "r"(pitch)                                                         \
                 : "memory")

// The left factor (16, TENSOR_DEPTH) from shared memory: a line is a row, or a column.
template <bool ROWS> __device__ inline void load_left(Factor &f, const Cell *from, int pitch) {
    if (ROWS)
        NPGAN_LOAD("a", "row");
    else
        NPGAN_LOAD("a", "col");
}

// The right factor (TENSOR_DEPTH, 16).
template <bool ROWS> __device__ inline void load_right(Factor &f, const Cell *from, int pitch) {
    if (ROWS)
        NPGAN_LOAD("b", "row");
    else
        NPGAN_LOAD("b", "col");
}

#define NPGAN_MULTIPLY(orders)                                                                              \
    asm volatile("wmma.mma.sync.aligned." orders "." NPGAN_SHAPE ".f32." NPGAN_TYPE "." NPGAN_TYPE ".f32"   \
                 " {%0, %1, %2, %3, %4, %5, %6, %7}, {%8, %9, %10, %11}, {%12, %13, %14, %15},"             \
                 " {%0, %1, %2, %3, %4, %5, %6, %7};"                                                       \
                 : "+f"(s.v[0]), "+f"(s.v[1]), "+f"(s.v[2]), "+f"(s.v[3]), "+f"(s.v[4]), "+f"(s.v[5]),      \
                   "+f"(s.v[6]), "+f"(s.v[7])                                                               \
                 : "r"(a.v[0]), "r"(a.v[1]), "r"(a.v[2]), "r"(a.v[3]), "r"(b.v[0]), "r"(b.v[1]),            \
                   "r"(b.v[2]), "r"(b.v[3]))

// s += a b, of factors that were loaded in these orders.
template <bool LEFT_ROWS, bool RIGHT_ROWS> __device__ inline void multiply(Sum &s, const Factor &a, const Factor &b) {
    if (LEFT_ROWS && RIGHT_ROWS)
        NPGAN_MULTIPLY("row.row");
    else if (LEFT_ROWS)
        NPGAN_MULTIPLY("row.col");
    else if (RIGHT_ROWS)
        NPGAN_MULTIPLY("col.row");
    else
        NPGAN_MULTIPLY("col.col");
}

// To shared memory, by rows.
__device__ inline void store_sum(float *to, const Sum &s, int pitch) {
    asm volatile("wmma.store.d.sync.aligned.row." NPGAN_SHAPE ".shared.f32"
                 " [%0], {%1, %2, %3, %4, %5, %6, %7, %8}, %9;"
                 :
                 : "r"(in_shared(to)), "f"(s.v[0]), "f"(s.v[1]), "f"(s.v[2]), "f"(s.v[3]), "f"(s.v[4]),
                   "f"(s.v[5]), "f"(s.v[6]), "f"(s.v[7]), "r"(pitch)
                 : "memory");
}
#endif
