#include "common.cuh"

// Each step is rounded, as on the host: there is no multiplication to contract with what follows.
extern "C" __global__ void scale(REAL *out, const unsigned char *x, const Index *rows, double low, double half, Index n,
                                 Index size) {
    REAL least = low, by = half;
    EACH(i, n) {
        Index row = quotient_of(i, size), column = remainder_of(i, size);
        REAL value = x[(rows ? rows[row] : row) * size + column];
        out[i] = (value - least) / by - REAL(1);
    }
}

// A place in the source, inside of the picture: the two rows (or columns) around it, and how far it is from the first.
struct Place {
    Index first, second;
    double part;
};
__device__ inline Place place(double at, Index last) {
    at = at < 0 ? 0 : at > last ? last : at;
    Index first = floor(at);
    return {first, first < last ? first + 1 : last, at - first};
}

// One row of blocks a picture; its map is worked out once a block.
extern "C" __global__ void augment(REAL *out, const REAL *x, const double *draws, Index flip, double rotate, double shift,
                                   double scale, Index h, Index w, Index c) {
    __shared__ double map[6];  // offset and matrix, of the row and of the column
    const double *draw = draws + 5 * blockIdx.y;
    if (threadIdx.x == 0) {
        double angle = rotate * (2.0 * draw[1] - 1.0) * (3.14159265358979323846 / 180.0);
        double size = 1.0 + scale * (2.0 * draw[4] - 1.0), side = flip && draw[0] < 0.5 ? -1.0 : 1.0;
        double cosine = cos(angle) / size, sine = sin(angle) / size;
        double middle_h = (h - 1) / 2.0, middle_w = (w - 1) / 2.0;
        double down = middle_h + shift * (h * (2.0 * draw[2] - 1.0));
        double right = middle_w + shift * (w * (2.0 * draw[3] - 1.0));
        map[1] = cosine, map[2] = sine, map[4] = -sine * side, map[5] = cosine * side;
        map[0] = middle_h - (map[1] * down + map[2] * right);
        map[3] = middle_w - (map[4] * down + map[5] * right);
    }
    __syncthreads();
    const REAL *source = x + blockIdx.y * (h * w * c);
    REAL *target = out + blockIdx.y * (h * w * c);
    for (Index p = (Index)blockIdx.x * blockDim.x + threadIdx.x; p < h * w; p += (Index)gridDim.x * blockDim.x) {
        double i = p / w, j = p % w;
        Place row = place(map[0] + i * map[1] + j * map[2], h - 1);
        Place column = place(map[3] + i * map[4] + j * map[5], w - 1);
        const REAL *upper = source + row.first * w * c, *lower = source + row.second * w * c;
        for (Index k = 0; k < c; k++) {
            double found = upper[column.first * c + k] * (1 - row.part) * (1 - column.part);
            found += upper[column.second * c + k] * (1 - row.part) * column.part;
            found += lower[column.first * c + k] * row.part * (1 - column.part);
            found += lower[column.second * c + k] * row.part * column.part;
            target[p * c + k] = found;
        }
    }
}
