#include "reduce.cuh"

// x (n,) -> sqrt(sum(x^2)). Squares of the very large and of the very small are summed apart, scaled by powers of two, so
// that none overflows or vanishes (Blue 1978, "A portable Fortran program to find the Euclidean norm of a vector").
extern "C" __global__ void vector_norm(Work *work, double *out, const REAL *x, Index n) {
    const double large = 1e150, small = 1e-150, down = 0x1p-600, up = 0x1p600;
    double v[3] = {0, 0, 0};
    Index packs = aligned(x) ? n / WIDE : 0;
    auto add = [&](double value) {
        double size = fabs(value);
        if (size > large)
            v[0] += (value * down) * (value * down);
        else if (size < small)
            v[2] += (value * up) * (value * up);
        else
            v[1] += value * value;  // and NaN
    };
    EACH(i, packs) {
        Pack p = load(x, i);
        for (int j = 0; j < WIDE; j++) add(p.v[j]);
    }
    EACH(i, n - packs * WIDE) add(x[packs * WIDE + i]);
    launch_sum(work, v, [=](double(&v)[3]) {
        if (v[0] > 0)
            *out = sqrt(v[0] + v[1] * down * down) * up;
        else if (v[1] == 0)
            *out = sqrt(v[2]) * down;
        else
            *out = sqrt(v[1] + v[2] * down * down);
    });
}

// x (n,) -> its mean
extern "C" __global__ void vector_mean(Work *work, double *out, const REAL *x, Index n) {
    double v[1] = {0};
    Index packs = aligned(x) ? n / WIDE : 0;
    EACH(i, packs) {
        Pack p = load(x, i);
        for (int j = 0; j < WIDE; j++) v[0] += p.v[j];
    }
    EACH(i, n - packs * WIDE) v[0] += x[packs * WIDE + i];
    launch_sum(work, v, [=](double(&v)[1]) { *out = v[0] / n; });
}

// Numbers `first` to `first + n` -> out[1 + first ...]; out[0] is how often one of a step was not finite.
extern "C" __global__ void collect(double *out, Index first, Index n, double v0, const double *p0, double v1,
                                   const double *p1, double v2, const double *p2, double v3, const double *p3,
                                   double v4, const double *p4, double v5, const double *p5, double v6,
                                   const double *p6, double v7, const double *p7) {
    double v[8] = {number(v0, p0), number(v1, p1), number(v2, p2), number(v3, p3),
                   number(v4, p4), number(v5, p5), number(v6, p6), number(v7, p7)};
    bool finite = true;
    for (Index i = 0; i < n; i++) {
        out[1 + first + i] = v[i];
        finite = finite && isfinite(v[i]);
    }
    if (!finite) out[0] += 1;
}
