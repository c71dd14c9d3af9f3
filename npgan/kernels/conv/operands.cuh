// The two factors of an implicit matrix product: tiles of (TILE, TILE_DEPTH) numbers, read from where they lie in arrays.
//
// A thread fetches some vectors of VECTOR neighbours in memory to registers while the tile before is being multiplied,
// and puts them into shared memory after. What lies outside, in the padding too, is 0.
#pragma once
#include "windows.cuh"

#define THREADS 256
#ifndef VECTOR
#define VECTOR 1
#endif
#ifndef TILE_DEPTH
#define TILE_DEPTH 16
#endif

// VECTOR numbers, read and written at once.
template <typename T, int COUNT> struct alignas(sizeof(T) * COUNT) Vector {
    T v[COUNT];
};
typedef Vector<REAL, VECTOR> Held;

__device__ inline Held seen(const REAL *from, bool inside) {
    Held held;
    if (inside) return *reinterpret_cast<const Held *>(from);
    for (int e = 0; e < VECTOR; e++) held.v[e] = 0;
    return held;
}

// Which vectors a thread has. BY_DEPTH: neighbours in memory follow each other along the depth of the product.
template <int TILE, bool BY_DEPTH> struct Share {
    static const bool by_depth = BY_DEPTH;
    static const int tile = TILE, each = TILE * TILE_DEPTH / VECTOR / THREADS;
    static const int lane_count = (BY_DEPTH ? TILE_DEPTH : TILE) / VECTOR, lines = THREADS / lane_count;
    static_assert(each * VECTOR * THREADS == TILE * TILE_DEPTH, "a tile is shared out evenly");
    static_assert(lines * lane_count == THREADS, "all threads have the same share");

    __device__ static int along() { return threadIdx.x % lane_count * VECTOR; }
    __device__ static int line(int r) { return threadIdx.x / lane_count + r * lines; }
    __device__ static int row(int r) { return BY_DEPTH ? line(r) : along(); }
    __device__ static int depth(int r) { return BY_DEPTH ? along() : line(r); }
};

// Windows of x, or of dy for the data gradient. Rows are pixels of the output, the depth is (tap, tap, channel). The
// window, and the step to the next tile, lie in shared memory: they are the same for all threads, and registers short.
template <int TILE> struct Windows : Share<TILE, true> {
    typedef Share<TILE, true> S;
    const REAL *source;  // the sample of the first row, so that 32 bits are enough for the rest
    const Window &window;
    const Digits &step;
    int from[S::each], h[S::each], w[S::each], height, width, channels;
    Digits at;

    __device__ Windows(const REAL *source, const Window &window, const Digits &step, int samples, int height, int width,
                       int channels, unsigned row, unsigned depth)
        : window(window), step(step), height(height), width(width), channels(channels),
          at(depth + S::along(), max(window.w.taps, 1), channels) {
        const Axis &down = window.h, &across = window.w;
        const int sample = Digits(row, down.count, across.count).a;
        this->source = source + (Index)sample * height * width * channels;
        for (int r = 0; r < S::each; r++) {
            Digits pixel(row + S::line(r), down.count, across.count);
            h[r] = down.base + down.stride * pixel.b;
            w[r] = across.base + across.stride * pixel.c;
            from[r] = (((pixel.a - sample) * height + h[r]) * width + w[r]) * channels;
            if (pixel.a >= samples) h[r] = -(1 << 30);  // never inside
        }
    }
    __device__ void fetch(Held (&held)[S::each]) {
        int dh = window.h.jump * at.a, dw = window.w.jump * at.b;
        int shift = (dh * width + dw) * channels + at.c;
        bool some = at.a < window.h.taps;
#pragma unroll
        for (int r = 0; r < S::each; r++)
            held[r] = seen(source + (from[r] + shift), some && (unsigned)(h[r] + dh) < (unsigned)height &&
                                                           (unsigned)(w[r] + dw) < (unsigned)width);
        at.add(step, window.w.taps, channels);
    }
};

// The weight as the data gradient takes it. Rows are channels of the output, the depth is (tap, tap, channel of dy), at
// the same place in it as the windows: to be fetched before they go on.
template <int TILE, typename WINDOWS> struct Taps : Share<TILE, true> {
    typedef Share<TILE, true> S;
    const REAL *weight;
    const Geometry &g;
    const WINDOWS &windows;
    int first;

    __device__ Taps(const REAL *weight, const Geometry &g, const WINDOWS &windows, int row)
        : weight(weight), g(g), windows(windows), first(row) {}
    __device__ void fetch(Held (&held)[S::each]) {
        const Axis &down = windows.window.h, &across = windows.window.w;
        const Digits &at = windows.at;
        int tap = (down.tap + down.skip * at.a) * g.kw + across.tap + across.skip * at.b;
        bool some = at.a < down.taps;
#pragma unroll
        for (int r = 0; r < S::each; r++) {
            int row = first + S::line(r);
            held[r] = seen(weight + ((Index)(tap * g.in + row) * g.out + at.c), some && row < g.in);
        }
    }
};

// A matrix (depth, rows) as it is: the weight, or dy over all pixels.
template <int TILE> struct Matrix : Share<TILE, false> {
    typedef Share<TILE, false> S;
    const REAL *matrix;
    int rows, row;
    unsigned depth, end;

    __device__ Matrix(const REAL *matrix, int rows, unsigned end, int row, unsigned depth)
        : matrix(matrix), rows(rows), row(row + S::along()), depth(depth), end(end) {}
    __device__ void fetch(Held (&held)[S::each]) {
#pragma unroll
        for (int r = 0; r < S::each; r++) {
            unsigned at = depth + S::line(r);
            held[r] = seen(matrix + (Index)at * rows + row, at < end && row < rows);
        }
        depth += TILE_DEPTH;
    }
};

// x as the weight gradient takes it. Rows are (tap, tap, channel), the depth is the pixels of dy.
template <int TILE> struct Pixels : Share<TILE, false> {
    typedef Share<TILE, false> S;
    const REAL *x;
    const Geometry &g;
    const Digits &step;
    int h, w, channel;
    Digits at[S::each];

    __device__ Pixels(const REAL *x, const Geometry &g, const Digits &step, unsigned row, unsigned depth)
        : x(x), g(g), step(step) {
        Digits tap(row + S::along(), g.kw, g.in);
        h = tap.a * g.dilation_h - g.top, w = tap.b * g.dilation_w - g.left, channel = tap.c;
        for (int r = 0; r < S::each; r++) at[r] = Digits(depth + S::line(r), g.oh, g.ow);
    }
    __device__ void fetch(Held (&held)[S::each]) {
#pragma unroll
        for (int r = 0; r < S::each; r++) {
            int row = at[r].b * g.stride_h + h, column = at[r].c * g.stride_w + w;
            held[r] = seen(x + (((Index)at[r].a * g.h + row) * g.w + column) * g.in + channel,
                           at[r].a < g.n && (unsigned)row < (unsigned)g.h && (unsigned)column < (unsigned)g.w);
            at[r].add(step, g.oh, g.ow);
        }
    }
};
