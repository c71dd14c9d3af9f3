// What kernels/cuda/tensor.cuh is on a device: tensor cores, in C++. See there for what each function does.
//
// A fragment is spread over the 32 lanes of a warp, in an order that kernels cannot know, and the lanes hand their
// numbers over at a barrier: a warp that does not come whole hangs, and the emulator says so. TF32 that was not rounded
// is undefined on a device; here it is NaN. Addresses and pitches that are not aligned end the process.
#pragma once

#if COMPUTE == TF32
typedef float Cell;
static inline Cell rounded(float v) {
    unsigned u = __float_as_uint(v);
    if ((u & 0x7f800000u) == 0x7f800000u) return v;
    return __uint_as_float((u + 0x1000u) & ~0x1fffu);  // to nearest, ties away from 0
}
static inline float widened(Cell v) { return __float_as_uint(v) & 0x1fffu && v == v ? NAN : v; }
#else
typedef unsigned short Cell;
static inline Cell rounded(float v) {
    unsigned u = __float_as_uint(v);
    return v != v ? 0x7fff : Cell((u + 0x7fff + (u >> 16 & 1)) >> 16);  // to nearest, ties to even
}
static inline float widened(Cell v) { return __uint_as_float(unsigned(v) << 16); }
#endif

struct Factor {
    Cell v[16 * TENSOR_DEPTH / 32];
    bool rows;
};
struct Sum {
    float v[8] = {};
};

template <class T> static void check_alignment(const T *at, int pitch) {
    if (uintptr_t(at) % 32 || pitch * sizeof(T) % 16) {
        fprintf(stderr, "tensor cores: address %p or pitch %d is not aligned\n", (const void *)at, pitch);
        abort();
    }
}

// Number e of a lane: which line, and where in it. Of columns, a line is one.
static int place(int e) { return e * 32 + emulator::lane(); }

template <bool LINES> static void load_factor(Factor &f, const Cell *from, int pitch, int columns) {
    check_alignment(from, pitch);
    __syncwarp();
    f.rows = LINES;
    for (int e = 0; e < 16 * TENSOR_DEPTH / 32; e++) {
        int row = place(e) / columns, column = place(e) % columns;
        f.v[e] = LINES ? from[row * pitch + column] : from[column * pitch + row];
    }
}
template <bool ROWS> static void load_left(Factor &f, const Cell *from, int pitch) {
    load_factor<ROWS>(f, from, pitch, TENSOR_DEPTH);
}
template <bool ROWS> static void load_right(Factor &f, const Cell *from, int pitch) {
    load_factor<ROWS>(f, from, pitch, 16);
}

template <bool LEFT_ROWS, bool RIGHT_ROWS> static void multiply(Sum &s, const Factor &a, const Factor &b) {
    static float left[32][16 * TENSOR_DEPTH], right[32][TENSOR_DEPTH * 16];
    const int warp = int(emulator::current / 32);
    for (int e = 0; e < 16 * TENSOR_DEPTH / 32; e++) {
        left[warp][place(e)] = a.rows == LEFT_ROWS ? widened(a.v[e]) : NAN;
        right[warp][place(e)] = b.rows == RIGHT_ROWS ? widened(b.v[e]) : NAN;
    }
    __syncwarp();
    for (int e = 0; e < 8; e++)
        for (int k = 0; k < TENSOR_DEPTH; k++)
            s.v[e] += left[warp][place(e) / 16 * TENSOR_DEPTH + k] * right[warp][k * 16 + place(e) % 16];
    __syncwarp();
}

static void store_sum(float *to, const Sum &s, int pitch) {
    check_alignment(to, pitch);
    for (int e = 0; e < 8; e++) to[place(e) / 16 * pitch + place(e) % 16] = s.v[e];
    __syncwarp();
}
