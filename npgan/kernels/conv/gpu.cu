// Convolution and its two gradients as implicit matrix products: no columns are written anywhere.
//
//                rows                      columns   depth                 tiles of
//   forward      pixels of y               O         (tap, tap, I)         windows of x, w
//   data         pixels of dx, a phase     I         (tap, tap, O)         windows of dy, w
//   weight       (tap, tap, I)             O         pixels of dy          pixels of x, dy
//
// A phase is a residue class of the stride: its pixels have the same taps, so that nothing is multiplied by the zeros
// that a stride leaves between pixels. Where there are too few tiles for a large device, the depth is split, the parts
// go to a scratch of the shape of the result, and `add_parts` sums them, always in the same order.
//
// Compiled with -D: REAL; COMPUTE; MAP; VECTOR, how many numbers lie aligned and together in each operand, and in the
// depth; TILE_ROWS and TILE_COLUMNS, the tile; TILE_DEPTH, its depth.
#include "multiply.cuh"

#if MAP == FORWARD
typedef Windows<TILE_ROWS> Left;
typedef Matrix<TILE_COLUMNS> Right;
#elif MAP == DATA
typedef Windows<TILE_ROWS> Left;
typedef Taps<TILE_COLUMNS, Left> Right;
#else
typedef Pixels<TILE_ROWS> Left;
typedef Matrix<TILE_COLUMNS> Right;
#endif

// Blocks on a multiprocessor at once; what a thread then has of registers is enough without spilling any.
#define RESIDENT (COMPUTE == PLAIN && TILE_ROWS * TILE_COLUMNS == 128 * 128 ? 1 : 2)
#define LEFT Layout<Left>::size
#define BOTH (LEFT + Layout<Right>::size)

// blockIdx.x counts the tiles, columns first, so that a source that was read is still in cache; z: (phase, split).
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    product(REAL *out, const REAL *a, const REAL *b, const REAL *bias, Index bends, double slope, Index accumulate,
            Index splits, GEOMETRY) {
    const Geometry g = GEOMETRY_GIVEN;
    const int phase = (int)(blockIdx.z / splits), split = (int)(blockIdx.z % splits);
    __shared__ Window at;
    __shared__ Digits step;
    if (threadIdx.x == 0) {
        at = window(g, phase);
        step = MAP == WEIGHT ? Digits(TILE_DEPTH, g.oh, g.ow)
                             : Digits(TILE_DEPTH, max(at.w.taps, 1), MAP == DATA ? g.out : g.in);
    }
    __syncthreads();
    const int columns = MAP == DATA ? g.in : g.out, across = (columns + TILE_COLUMNS - 1) / TILE_COLUMNS;
    const int rows = MAP == WEIGHT ? g.kh * g.kw * g.in : g.n * at.h.count * at.w.count;
    const int depth = MAP == WEIGHT ? g.n * g.oh * g.ow : at.h.taps * at.w.taps * (MAP == DATA ? g.out : g.in);
    const int first = blockIdx.x / across * TILE_ROWS, side = blockIdx.x % across * TILE_COLUMNS;
    const int tiles = (depth + TILE_DEPTH - 1) / TILE_DEPTH;
    const int begin = (int)((Index)tiles * split / splits), end = (int)((Index)tiles * (split + 1) / splits);
    if (first >= rows) return;

    __shared__ __align__(128) Cell memory[2 * BOTH > STAGE ? 2 * BOTH : STAGE];
#if MAP == FORWARD
    Left left(a, at, step, g.n, g.h, g.w, g.in, first, begin * TILE_DEPTH);
    Right right(b, columns, depth, side, begin * TILE_DEPTH);
#elif MAP == DATA
    Left left(a, at, step, g.n, g.oh, g.ow, g.out, first, begin * TILE_DEPTH);
    Right right(b, g, left, side);
#else
    Left left(a, g, step, first, begin * TILE_DEPTH);
    Right right(b, columns, depth, side, begin * TILE_DEPTH);
#endif
    Held lefts[Left::each], rights[Right::each];
    Products<Left, Right> products;
    if (begin < end) {
        right.fetch(rights), left.fetch(lefts);
        put<Left>(memory, lefts), put<Right>(memory + LEFT, rights);
    }
    __syncthreads();
    int now = 0;  // where the tiles are that are multiplied; the next ones go to BOTH - now
    for (int tile = begin; tile < end; tile++, now = BOTH - now) {
        const bool more = tile + 1 < end;
        if (more) right.fetch(rights), left.fetch(lefts);
        products.add(memory + now, memory + now + LEFT);
        if (more) put<Left>(memory + BOTH - now, lefts), put<Right>(memory + BOTH - now + LEFT, rights);
        __syncthreads();
    }

    const bool whole = splits == 1, wide = columns % 4 == 0 && (unsigned long long)out % sizeof(Quad) == 0;
    if (!whole) {
        Index pixels = MAP == FORWARD ? (Index)g.n * g.oh * g.ow : (Index)g.n * g.h * g.w;
        out += split * (MAP == WEIGHT ? rows : pixels) * columns;
    }
    products.each(memory, [&](int row, int column, Quad quad) {
        if (first + row >= rows || side + column >= columns) return;
        Index line = first + row;
        if (MAP == DATA) {
            Digits pixel(line, at.h.count, at.w.count);
            line = ((Index)pixel.a * g.h + at.h.first + at.h.step * pixel.b) * g.w + at.w.first + at.w.step * pixel.c;
        }
        REAL *to = out + line * columns + side + column;
        const int count = min(4, columns - side - column);
        if (whole)
            for (int e = 0; e < count; e++) {
                if (bias) quad.v[e] += bias[side + column + e];
                if (bends) quad.v[e] = bend(quad.v[e], REAL(slope));
                if (accumulate) quad.v[e] += to[e];
            }
        if (wide)
            *reinterpret_cast<Quad *>(to) = quad;
        else
            for (int e = 0; e < count; e++) to[e] = quad.v[e];
    });
}
