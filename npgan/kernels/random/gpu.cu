#include "common.cuh"

// Philox4x32-10 (Salmon et al. 2011, section 3.3); the counter is (block, step, stream, substream).
struct Words {
    unsigned v[4];
};
__device__ inline Words philox(Index block, unsigned c1, unsigned c2, unsigned c3, unsigned k0, unsigned k1) {
    unsigned x0 = (unsigned)block, x1 = c1, x2 = c2, x3 = c3;
    for (int round = 0; round < 10; round++) {
        unsigned high0 = __umulhi(x0, 0xD2511F53u), low0 = x0 * 0xD2511F53u;
        unsigned high1 = __umulhi(x2, 0xCD9E8D57u), low1 = x2 * 0xCD9E8D57u;
        x0 = high1 ^ x1 ^ k0;
        x1 = low1;
        x2 = high0 ^ x3 ^ k1;
        x3 = low0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    return {{x0, x1, x2, x3}};
}

#define COUNTER Index k0, Index k1, double step, const double *step_at, Index stream, Index substream
#define EACH_BLOCK(words)                                                                                           \
    unsigned at = (unsigned)(Index)number(step, step_at);                                                           \
    EACH(block, (n + 3) / 4)                                                                                        \
    if (Words words = philox(block, at, (unsigned)stream, (unsigned)substream, (unsigned)k0, (unsigned)k1); true)

extern "C" __global__ void uniform(REAL *out, COUNTER, double low, double high, Index n) {
    EACH_BLOCK(words) {
        for (int j = 0; j < 4 && 4 * block + j < n; j++)
            out[4 * block + j] = low + (high - low) * ((words.v[j] >> 8) / 16777216.0);
    }
}

// Box and Muller (1958): two pairs of words make two pairs of numbers.
extern "C" __global__ void normal(REAL *out, COUNTER, double mean, double std, Index n) {
    EACH_BLOCK(words) {
        for (int j = 0; j < 4 && 4 * block + j < n; j += 2) {
            double r = sqrt(-2 * log((words.v[j] + 1.0) / 4294967296.0)), s, c;
            sincospi(words.v[j + 1] / 2147483648.0, &s, &c);
            out[4 * block + j] = mean + std * (r * c);
            if (4 * block + j + 1 < n) out[4 * block + j + 1] = mean + std * (r * s);
        }
    }
}

template <class T>
__device__ inline void fill(T *out, COUNTER, Index high, Index n) {
    EACH_BLOCK(words) {
        for (int j = 0; j < 4 && 4 * block + j < n; j++)
            out[4 * block + j] = (T)((unsigned long long)words.v[j] * (unsigned long long)high >> 32);
    }
}
extern "C" __global__ void integers_8(long long *out, COUNTER, Index high, Index n) {
    fill(out, k0, k1, step, step_at, stream, substream, high, n);
}
extern "C" __global__ void integers_4(int *out, COUNTER, Index high, Index n) {
    fill(out, k0, k1, step, step_at, stream, substream, high, n);
}
extern "C" __global__ void integers_2(short *out, COUNTER, Index high, Index n) {
    fill(out, k0, k1, step, step_at, stream, substream, high, n);
}
extern "C" __global__ void integers_1(unsigned char *out, COUNTER, Index high, Index n) {
    fill(out, k0, k1, step, step_at, stream, substream, high, n);
}
