// CUDA's tensor cores: nvcuda::wmma, as far as npgan's kernels use it.
//
// A fragment is spread over the 32 lanes of a warp, as on the device (in an order that CUDA keeps to itself), and the
// lanes hand their numbers over at a barrier: a warp that does not come whole hangs, and the emulator says so. TF32
// that was not rounded is undefined on the device; here it is NaN. Misaligned addresses and pitches end the process.
#pragma once
#include "cuda_bf16.h"

namespace nvcuda { namespace wmma {

struct matrix_a {};
struct matrix_b {};
struct accumulator {};
struct row_major {};
struct col_major {};
namespace precision { struct tf32 {}; }
enum layout_t { mem_row_major, mem_col_major };

template <class T> struct Stored { typedef T type; };
template <> struct Stored<precision::tf32> { typedef float type; };

template <class Use, int M, int N, int K, class T, class Order = void> struct fragment {
    typedef typename Stored<T>::type Element;
    static const int rows = std::is_same<Use, matrix_b>::value ? K : M;
    static const int columns = std::is_same<Use, matrix_a>::value ? K : N;
    static const int num_elements = rows * columns / 32;
    static_assert(M == 16 && N == 16 && K == (std::is_same<T, precision::tf32>::value ? 8 : 16) ||
                      std::is_same<Use, accumulator>::value,
                  "a shape that tensor cores take");
    Element x[num_elements];

    static int row(int e) { return (e * 32 + emulator::lane()) / columns; }
    static int column(int e) { return (e * 32 + emulator::lane()) % columns; }
};

static inline float __float_to_tf32(float v) {
    unsigned u = __float_as_uint(v);
    if ((u & 0x7f800000u) == 0x7f800000u) return v;
    return __uint_as_float((u + 0x1000u) & ~0x1fffu);  // to nearest, ties away from 0
}

static inline float number(precision::tf32, float v) { return __float_as_uint(v) & 0x1fffu && v == v ? NAN : v; }
static inline float number(__nv_bfloat16, __nv_bfloat16 v) { return __bfloat162float(v); }

template <class T> static void check(const T *at, unsigned pitch) {
    if (uintptr_t(at) % 32 || pitch * sizeof(T) % 16) {
        fprintf(stderr, "wmma: address %p or pitch %u is not aligned\n", (const void *)at, pitch);
        abort();
    }
}

template <class Use, int M, int N, int K, class T, class Order>
static void load_matrix_sync(fragment<Use, M, N, K, T, Order> &f, const typename Stored<T>::type *from, unsigned pitch) {
    typedef fragment<Use, M, N, K, T, Order> F;
    check(from, pitch);
    __syncwarp();
    for (int e = 0; e < F::num_elements; e++)
        f.x[e] = std::is_same<Order, row_major>::value ? from[F::row(e) * pitch + F::column(e)]
                                                       : from[F::column(e) * pitch + F::row(e)];
}

template <int M, int N, int K, class T>
static void fill_fragment(fragment<accumulator, M, N, K, T> &f, T v) {
    for (T &each : f.x) each = v;
}

template <int M, int N, int K, class T>
static void store_matrix_sync(T *to, const fragment<accumulator, M, N, K, T> &f, unsigned pitch, layout_t order) {
    typedef fragment<accumulator, M, N, K, T> F;
    check(to, pitch);
    for (int e = 0; e < F::num_elements; e++)
        to[order == mem_row_major ? F::row(e) * pitch + F::column(e) : F::column(e) * pitch + F::row(e)] = f.x[e];
    __syncwarp();
}

template <int M, int N, int K, class T, class OrderA, class OrderB>
static void mma_sync(fragment<accumulator, M, N, K, float> &d, const fragment<matrix_a, M, N, K, T, OrderA> &a,
                     const fragment<matrix_b, M, N, K, T, OrderB> &b, const fragment<accumulator, M, N, K, float> &c) {
    typedef fragment<accumulator, M, N, K, float> D;
    static float left[32][M][K], right[32][K][N];
    const int warp = int(emulator::current / 32);
    for (int e = 0; e < a.num_elements; e++) left[warp][a.row(e)][a.column(e)] = number(T(), a.x[e]);
    for (int e = 0; e < b.num_elements; e++) right[warp][b.row(e)][b.column(e)] = number(T(), b.x[e]);
    __syncwarp();
    for (int e = 0; e < D::num_elements; e++) {
        float sum = c.x[e];
        for (int k = 0; k < K; k++) sum += left[warp][D::row(e)][k] * right[warp][k][D::column(e)];
        d.x[e] = sum;
    }
    __syncwarp();
}

}}  // namespace nvcuda::wmma
