// CUDA's bfloat16, as far as npgan's kernels use it.
#pragma once

struct __nv_bfloat16 { uint16_t bits; };

static inline __nv_bfloat16 __float2bfloat16(float v) {
    unsigned u = __float_as_uint(v);
    if (v != v) return {0x7fff};
    return {uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16)};  // to nearest, ties to even
}
static inline float __bfloat162float(__nv_bfloat16 v) { return __uint_as_float(unsigned(v.bits) << 16); }
