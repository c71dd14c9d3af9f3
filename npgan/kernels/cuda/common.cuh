// What all kernels share. REAL is float or double: the dtype of the arrays. Sums are made in double.
//
// Host code passes an array as a pointer, a whole number as long long and any other number as double, so kernels declare
// no other parameters; a null pointer is an array that is not there. A kernel cannot have the name of one of CUDA's own
// functions: `norm` is one.
#pragma once

typedef long long Index;

// A loop over n elements by all threads of a launch, whatever its size.
#define EACH(i, n)                                                                              \
    for (Index i = (Index)blockIdx.x * blockDim.x + threadIdx.x; i < (n);                       \
         i += (Index)gridDim.x * blockDim.x)

#ifndef NPGAN_DYNAMIC_SHARED
#define NPGAN_DYNAMIC_SHARED(type, name)                                                        \
    extern __shared__ __align__(128) unsigned char npgan_dynamic_shared[];                      \
    type *name = reinterpret_cast<type *>(npgan_dynamic_shared)
#endif

// A number that may change between the launches of a recorded step: it lies in device memory then.
__device__ inline double number(double value, const double *at) { return at ? *at : value; }

// i % n and i / n; a division of 32 bits takes a fraction of the time.
__device__ inline Index remainder_of(Index i, Index n) {
    return (i | n) >> 32 ? i % n : (Index)((unsigned)i % (unsigned)n);
}
__device__ inline Index quotient_of(Index i, Index n) {
    return (i | n) >> 32 ? i / n : (Index)((unsigned)i / (unsigned)n);
}

// 16 bytes, read and written at once.
static const int WIDE = 16 / sizeof(REAL);
struct __align__(16) Pack {
    REAL v[WIDE];
};
__device__ inline bool aligned(const void *p) { return (unsigned long long)p % 16 == 0; }
__device__ inline Pack load(const REAL *p, Index pack) { return reinterpret_cast<const Pack *>(p)[pack]; }
__device__ inline void store(REAL *p, Index pack, Pack value) { reinterpret_cast<Pack *>(p)[pack] = value; }

// y[i] = f(x[i], ...) over n elements; y may be one of the x.
template <class F, class... X>
__device__ inline void map(REAL *y, Index n, F f, const X *...x) {
    Index packs = (aligned(y) && ... && aligned(x)) ? n / WIDE : 0;
    EACH(i, packs) {
        Pack out;
        auto each = [&](auto... p) {
            for (int j = 0; j < WIDE; j++) out.v[j] = f(p.v[j]...);
        };
        each(load(x, i)...);
        store(y, i, out);
    }
    EACH(i, n - packs * WIDE) y[packs * WIDE + i] = f(x[packs * WIDE + i]...);
}

// A piecewise-linear activation: φ(v) = v, or slope v; ReLU, of slope 0, makes 0 of -∞. NaN comes out as NaN.
__device__ inline REAL bend(REAL v, REAL slope) { return v > 0 ? v : (slope != 0 || !(v <= 0) ? slope * v : slope); }

// φ'(v), or what has its sign: 1, or the slope from the kink down; NaN of NaN.
__device__ inline REAL bend_slope(REAL v, REAL slope) { return v > 0 ? REAL(1) : (v <= 0 ? slope : v); }

__device__ inline REAL not_a_number() { return REAL(__int_as_float(0x7fffffff)); }
