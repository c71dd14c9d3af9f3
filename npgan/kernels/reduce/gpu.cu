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
