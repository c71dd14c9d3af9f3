// Where the windows of a convolution lie, and counting through them without dividing.
#pragma once
#include "common.cuh"

#define FORWARD 0
#define DATA 1
#define WEIGHT 2
#ifndef MAP
#define MAP FORWARD
#endif

// The convolution of x (n, h, w, in) by (kh, kw, in, out) to y (n, oh, ow, out), whichever of its maps is computed.
struct Geometry {
    int n, h, w, in, kh, kw, out, oh, ow, stride_h, stride_w, top, left, dilation_h, dilation_w;
};
#define GEOMETRY                                                                                                      \
    Index n_, Index h_, Index w_, Index in_, Index kh_, Index kw_, Index out_, Index oh_, Index ow_, Index sh_,       \
        Index sw_, Index top_, Index left_, Index dh_, Index dw_
#define GEOMETRY_GIVEN                                                                                                \
    {(int)n_, (int)h_, (int)w_, (int)in_, (int)kh_, (int)kw_, (int)out_, (int)oh_, (int)ow_,                          \
     (int)sh_, (int)sw_, (int)top_, (int)left_, (int)dh_, (int)dw_}

// One axis of a sum over windows:  out[first + step t] = Σₖ source[base + stride t + jump k] w[tap + skip k].
struct Axis {
    int count, first, step;  // t < count
    int base, stride, jump;
    int taps, tap, skip;     // k < taps
};

__device__ inline Axis forward_axis(int outputs, int kernel, int stride, int before, int dilation) {
    return {outputs, 0, 1, -before, stride, dilation, kernel, 0, 1};
}

// The data gradient at h sums dy[p] w[i] over s p + d i = h + before. For h = phase + s t (one phase, a residue class)
// only every skip-th tap divides, and from one of those to the next p falls by d skip / s: a convolution with stride 1.
__device__ inline Axis data_axis(int phase, int size, int kernel, int stride, int before, int dilation) {
    int residue = (phase + before) % stride, tap = 0, skip = 1;
    while (tap < stride && dilation * tap % stride != residue) tap++;  // none, where gcd(s, d) does not divide it
    while (dilation * skip % stride != 0) skip++;
    int count = phase < size ? (size - phase + stride - 1) / stride : 0;
    int taps = tap < stride && tap < kernel ? (kernel - tap + skip - 1) / skip : 0;
    int base = taps ? (phase + before - dilation * tap) / stride : 0;  // without remainder
    return {count, phase, stride, base, 1, -dilation * skip / stride, taps, tap, skip};
}

struct Window {
    Axis h, w;
};

// Of the map that is compiled; a phase of the data gradient.
__device__ inline Window window(const Geometry &g, int phase) {
    if (MAP == DATA)
        return {data_axis(phase / g.stride_w, g.h, g.kh, g.stride_h, g.top, g.dilation_h),
                data_axis(phase % g.stride_w, g.w, g.kw, g.stride_w, g.left, g.dilation_w)};
    return {forward_axis(g.oh, g.kh, g.stride_h, g.top, g.dilation_h),
            forward_axis(g.ow, g.kw, g.stride_w, g.left, g.dilation_w)};
}

// (a nb + b) nc + c. Divides when it is made; counts on like an odometer.
struct Digits {
    int a, b, c;
    __device__ Digits() {}
    __device__ Digits(unsigned value, unsigned nb, unsigned nc) {
        unsigned rest = value / nc;
        a = rest / nb, b = rest % nb, c = value % nc;
    }
    __device__ void add(const Digits &step, int nb, int nc) {
        c += step.c;
        if (c >= nc) c -= nc, b++;
        b += step.b;
        if (b >= nb) b -= nb, a++;
        a += step.a;
    }
};
