// Convolution to at most four channels, as images have them, where a tile of a matrix product would be mostly empty.
// The work is little and the arrays are large: plain multiply-adds in REAL, each number read from memory once.
//
// Compiled with -D: REAL; MAP; VECTOR, how many channels of the source lie aligned and together.
#include "operands.cuh"

#define MOST 4       // channels of the result
#define LANES 8      // threads that share the channels of a pixel's source
#define ALL_LANES 0xffffffffu

#if MAP != WEIGHT
#define PIXELS 4     // of a thread: a weight is read once for all of them

// blockIdx.x: PIXELS * THREADS / LANES pixels; z: the phase.
extern "C" __global__ void __launch_bounds__(THREADS)
    few(REAL *out, const REAL *source, const REAL *weight, const REAL *bias, Index bends, double slope, GEOMETRY) {
    const Geometry g = GEOMETRY_GIVEN;
    const Window at = window(g, blockIdx.z);
    const bool data = MAP == DATA;
    const int height = data ? g.oh : g.h, width = data ? g.ow : g.w;
    const int channels = data ? g.out : g.in, results = data ? g.in : g.out;
    const Index rows = (Index)g.n * at.h.count * at.w.count;
    const Index group = ((Index)blockIdx.x * THREADS + threadIdx.x) / LANES;
    const int lane = threadIdx.x % LANES;

    Index from[PIXELS];
    int h[PIXELS], w[PIXELS];
    Digits pixel[PIXELS];
    REAL sum[PIXELS][MOST] = {};
    for (int p = 0; p < PIXELS; p++) {
        Index row = group * PIXELS + p;
        pixel[p] = rows ? Digits(row, at.h.count, at.w.count) : Digits(0, 1, 1);
        h[p] = row < rows ? at.h.base + at.h.stride * pixel[p].b : -(1 << 30);
        w[p] = at.w.base + at.w.stride * pixel[p].c;
        from[p] = (((Index)pixel[p].a * height + h[p]) * width + w[p]) * channels;
    }
    for (int k = 0; k < at.h.taps; k++)
        for (int l = 0; l < at.w.taps; l++) {
            const int dh = at.h.jump * k, dw = at.w.jump * l;
            const int tap = (at.h.tap + at.h.skip * k) * g.kw + at.w.tap + at.w.skip * l;
            const Index shift = ((Index)dh * width + dw) * channels;
            for (int c = lane * VECTOR; c < channels; c += LANES * VECTOR) {
                Held values[PIXELS];
                for (int p = 0; p < PIXELS; p++)
                    values[p] = seen(source + from[p] + shift + c, (unsigned)(h[p] + dh) < (unsigned)height &&
                                                                     (unsigned)(w[p] + dw) < (unsigned)width);
#pragma unroll
                for (int n = 0; n < MOST; n++)
#pragma unroll
                    for (int e = 0; e < VECTOR; e++) {
                        if (n >= results) break;
                        Index i = data ? n : c + e, o = data ? c + e : n;
                        REAL factor = weight[((Index)tap * g.in + i) * g.out + o];
                        for (int p = 0; p < PIXELS; p++) sum[p][n] += values[p].v[e] * factor;
                    }
            }
        }
    for (int p = 0; p < PIXELS; p++)
        for (int n = 0; n < MOST; n++)
            for (int by = LANES / 2; by; by /= 2) sum[p][n] += __shfl_xor_sync(ALL_LANES, sum[p][n], by);
#pragma unroll
    for (int p = 0; p < PIXELS; p++) {
        if (lane != p || group * PIXELS + p >= rows) continue;
        Index line = ((Index)pixel[p].a * (data ? g.h : g.oh) + at.h.first + at.h.step * pixel[p].b) *
                         (data ? g.w : g.ow) + at.w.first + at.w.step * pixel[p].c;
#pragma unroll
        for (int n = 0; n < MOST; n++) {
            if (n >= results) break;
            REAL v = sum[p][n];
            if (bias) v += bias[n];
            out[line * results + n] = bends ? bend(v, REAL(slope)) : v;
        }
    }
}

#else

// dw for at most four channels of dy: a thread has a row (tap, tap, channel of x). blockIdx.z: a part of the pixels.
extern "C" __global__ void __launch_bounds__(THREADS)
    few(REAL *out, const REAL *x, const REAL *dy, Index accumulate, Index splits, GEOMETRY) {
    const Geometry g = GEOMETRY_GIVEN;
    const Index rows = (Index)g.kh * g.kw * g.in, row = (Index)blockIdx.x * THREADS + threadIdx.x;
    const Index pixels = (Index)g.n * g.oh * g.ow;
    if (row >= rows) return;
    const Digits tap(row, g.kw, g.in);
    const int h = tap.a * g.dilation_h - g.top, w = tap.b * g.dilation_w - g.left;
    const Index begin = pixels * blockIdx.z / splits, end = pixels * (blockIdx.z + 1) / splits;

    REAL sum[MOST] = {};
    Digits at(begin, g.oh, g.ow), step(1, g.oh, g.ow);
    for (Index p = begin; p < end; p++) {
        int down = at.b * g.stride_h + h, across = at.c * g.stride_w + w;
        bool inside = (unsigned)down < (unsigned)g.h && (unsigned)across < (unsigned)g.w;
        REAL value = inside ? x[(((Index)at.a * g.h + down) * g.w + across) * g.in + tap.c] : REAL(0);
        for (int o = 0; o < MOST; o++)
            if (o < g.out) sum[o] += value * dy[p * g.out + o];
        at.add(step, g.oh, g.ow);
    }
    out += blockIdx.z * (splits > 1) * rows * g.out + row * g.out;
    for (int o = 0; o < MOST; o++)
        if (o < g.out) out[o] = splits == 1 && accumulate ? out[o] + sum[o] : sum[o];
}

#endif
