// The second stage of a product whose depth was split: the parts are added in their order, and the result finished.
#include "common.cuh"

// parts (splits, size) -> out (size,), whose last axis has so many channels.
extern "C" __global__ void add_parts(REAL *out, const REAL *parts, const REAL *bias, Index bends, double slope,
                                     Index accumulate, Index splits, Index size, Index channels) {
    EACH(i, size) {
        double sum = 0;
        for (Index s = 0; s < splits; s++) sum += parts[s * size + i];
        REAL v = REAL(sum);
        if (bias) v += bias[i % channels];
        if (bends) v = bend(v, REAL(slope));
        out[i] = accumulate ? out[i] + v : v;
    }
}
