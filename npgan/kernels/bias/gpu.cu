#include "reduce.cuh"

// y (M, C) += b, and the activation; n = M C.
extern "C" __global__ void forward(REAL *y, const REAL *b, double slope, Index bends, Index n, Index c) {
    REAL s = slope;
    if (!b) {
        map(y, n, [=](REAL v) { return bend(v, s); }, y);
        return;
    }
    Index packs = aligned(y) && c % WIDE == 0 ? n / WIDE : 0;
    EACH(i, packs) {
        Pack p = load(y, i);
        Index column = remainder_of(i * WIDE, c);
        for (int j = 0; j < WIDE; j++) {
            REAL v = p.v[j] + b[column + j];
            p.v[j] = bends ? bend(v, s) : v;
        }
        store(y, i, p);
    }
    EACH(i, packs ? 0 : n) {
        REAL v = y[i] + b[remainder_of(i, c)];
        y[i] = bends ? bend(v, s) : v;
    }
}

// dy (M, C) -> db (C,)
extern "C" __global__ void backward(Work *work, REAL *db, const REAL *dy, Index accumulate, Index m, Index c) {
    group_sums<1>(
        work, nullptr, 1, m, c, [](Index, Index, Index, double(&v)[1], REAL g) { return v[0] += g, g; },
        [=](Index, Index column, double(&v)[1]) { db[column] = accumulate ? db[column] + v[0] : v[0]; }, dy);
}

// dy, y (M, C) -> dz (M, C), db (C,)
extern "C" __global__ void unbend(Work *work, REAL *dz, REAL *db, const REAL *dy, const REAL *y, double slope,
                                  Index accumulate, Index m, Index c) {
    REAL s = slope;
    group_sums<1>(
        work, dz, 1, m, c,
        [=](Index, Index, Index, double(&v)[1], REAL g, REAL at) {
            REAL found = g * bend_slope(at, s);
            v[0] += found;
            return found;
        },
        [=](Index, Index column, double(&v)[1]) { db[column] = accumulate ? db[column] + v[0] : v[0]; }, dy, y);
}

// The same without db; n = M C.
extern "C" __global__ void unbend_alone(REAL *dz, const REAL *dy, const REAL *y, double slope, Index n) {
    REAL s = slope;
    map(dz, n, [=](REAL g, REAL v) { return g * bend_slope(v, s); }, dy, y);
}
