#include "reduce.cuh"

// A block for each row of g (N, F). `norm` is 0 for p = infinity, `squares` is 1 where P is the sum of squares. What a row
// is charged is left in `charges` (N,), and the last block adds them up.
extern "C" __global__ void charge(Work *work, double *out, REAL *v, double *charges, const REAL *g, double weight,
                                  double target, double norm, Index one_sided, Index squares, Index rows, Index f) {
    __shared__ double largest_at[32];
    __shared__ Index place_at[32];
    const REAL *from = g + blockIdx.x * f;
    REAL *to = v + blockIdx.x * f;
    double factor = 2 * weight / rows, n = 0, scale = 1;
    Index place = -1;
    if (norm != 2) {  // the largest, and the first place of it; NaN wins
        n = -1;
        for (Index j = threadIdx.x; j < f; j += blockDim.x) {
            double size = fabs((double)from[j]);
            if (place < 0 || size > n || (isnan(size) && !isnan(n))) n = size, place = j;
        }
        auto take = [&](double other, Index there) {
            bool nan = isnan(n), other_nan = isnan(other);
            bool same = nan == other_nan && (nan || other == n);
            if (there >= 0 && (place < 0 || (same ? there < place : other_nan || (!nan && other > n))))
                n = other, place = there;
        };
        for (int by = 16; by; by /= 2) {
            double other = __shfl_xor_sync(ALL_LANES, n, by);
            Index there = __shfl_xor_sync(ALL_LANES, place, by);
            take(other, there);
        }
        if (threadIdx.x % 32 == 0) largest_at[threadIdx.x / 32] = n, place_at[threadIdx.x / 32] = place;
        __syncthreads();
        for (int w = 0; w < (int)blockDim.x / 32; w++) take(largest_at[w], place_at[w]);
        scale = n > 0 ? n : 1;
    }
    if (norm != 0) {
        double sum[1] = {0};
        for (Index j = threadIdx.x; j < f; j += blockDim.x) {
            double size = from[j];
            sum[0] += norm == 2 ? size * size : pow(fabs(size) / scale, norm);
        }
        block_sum(sum);
        n = squares ? sum[0] : (norm == 2 ? sqrt(sum[0]) : pow(sum[0], 1 / norm) * scale);
    }
    double over = n - target;
    if (one_sided && over <= 0) over *= 0;
    double slope = factor * over, safe = n > 0 ? n : 1;
    for (Index j = threadIdx.x; j < f; j += blockDim.x) {
        double value = from[j], sign = value > 0 ? 1 : (value < 0 ? -1 : value);
        double d = squares ? factor * value
                   : norm == 2 ? slope * (n > 0 ? value / n : value)
                   : norm == 0 ? (j == place ? slope * sign : slope * 0)
                               : slope * (sign * pow(fabs(value) / safe, norm - 1));
        to[j] = d;
    }
    if (threadIdx.x == 0) charges[blockIdx.x] = squares ? n : over * over;
    if (!last_block(work->arrived, gridDim.x)) return;
    double total[1] = {0};
    for (Index i = threadIdx.x; i < rows; i += blockDim.x) total[0] += __ldcg(&charges[i]);
    block_sum(total);
    if (threadIdx.x == 0) *out = weight / rows * total[0];
}

// real, fake (N, each), shares (N,) -> out; n elements
extern "C" __global__ void between(REAL *out, const REAL *shares, const REAL *real, const REAL *fake, Index n,
                                   Index each) {
    EACH(i, n) out[i] = fake[i] + shares[quotient_of(i, each)] * (real[i] - fake[i]);
}
