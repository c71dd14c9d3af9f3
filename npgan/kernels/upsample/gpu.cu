#include "common.cuh"

struct Place {
    Index n, h, w, c;
};
__device__ inline Place place_of(Index i, Index h, Index w, Index c) {
    Place at;
    at.c = remainder_of(i, c);
    i = quotient_of(i, c);
    at.w = remainder_of(i, w);
    i = quotient_of(i, w);
    at.h = remainder_of(i, h);
    at.n = quotient_of(i, h);
    return at;
}

// x (N, H, W, C) -> y (N, H fh, W fw, C); n = elements of y
extern "C" __global__ void nearest(REAL *y, const REAL *x, Index n, Index h, Index w, Index c, Index fh, Index fw) {
    EACH(i, n) {
        Place p = place_of(i, h * fh, w * fw, c);
        y[i] = x[((p.n * h + quotient_of(p.h, fh)) * w + quotient_of(p.w, fw)) * c + p.c];
    }
}

// dy (N, H fh, W fw, C) -> dx (N, H, W, C); n = elements of dx
extern "C" __global__ void nearest_backward(REAL *dx, const REAL *dy, Index n, Index h, Index w, Index c, Index fh,
                                            Index fw) {
    EACH(i, n) {
        Place p = place_of(i, h, w, c);
        const REAL *from = dy + ((p.n * h * fh + p.h * fh) * w * fw + p.w * fw) * c + p.c;
        REAL total = 0;
        for (Index a = 0; a < fh; a++)
            for (Index b = 0; b < fw; b++) total += from[(a * w * fw + b) * c];
        dx[i] = total;
    }
}

// Where output o of an axis of n pixels, enlarged f times, lies: between two pixels, t of the way.
struct Between {
    Index before, after;
    REAL t;
};
__device__ inline Between between(Index o, Index n, Index f) {
    Index twice = 2 * o + 1 - f;  // 2 f u = 2 (o + 1/2) - f
    Index before = twice < 0 ? -1 : twice / (2 * f);
    Between at;
    at.t = (double)(twice - 2 * f * before) / (double)(2 * f);
    at.before = before < 0 ? 0 : before;
    at.after = before + 1 < n ? before + 1 : n - 1;
    return at;
}

extern "C" __global__ void bilinear(REAL *y, const REAL *x, Index n, Index h, Index w, Index c, Index fh, Index fw) {
    EACH(i, n) {
        Place p = place_of(i, h * fh, w * fw, c);
        Between a = between(p.h, h, fh), b = between(p.w, w, fw);
        const REAL *image = x + p.n * h * w * c + p.c;
        REAL x00 = image[(a.before * w + b.before) * c], x10 = image[(a.after * w + b.before) * c];
        REAL x01 = image[(a.before * w + b.after) * c], x11 = image[(a.after * w + b.after) * c];
        REAL left = (1 - a.t) * x00 + a.t * x10, right = (1 - a.t) * x01 + a.t * x11;
        y[i] = (1 - b.t) * left + b.t * right;
    }
}

// Each pixel gathers from the outputs that it has a share in, a window of 2 f along an axis.
__device__ inline REAL share(Between at, Index pixel) {
    return (at.before == pixel ? 1 - at.t : REAL(0)) + (at.after == pixel ? at.t : REAL(0));
}
extern "C" __global__ void bilinear_backward(REAL *dx, const REAL *dy, Index n, Index h, Index w, Index c, Index fh,
                                             Index fw) {
    EACH(i, n) {
        Place p = place_of(i, h, w, c);
        const REAL *image = dy + p.n * h * fh * w * fw * c + p.c;
        Index top = p.h * fh - fh / 2 - 1, left = p.w * fw - fw / 2 - 1;
        Index bottom = p.h * fh + fh + fh / 2 + 1, right = p.w * fw + fw + fw / 2 + 1;
        top = top < 0 ? 0 : top;
        left = left < 0 ? 0 : left;
        bottom = bottom < h * fh ? bottom : h * fh;
        right = right < w * fw ? right : w * fw;
        REAL total = 0;
        for (Index o = top; o < bottom; o++) {
            REAL along = share(between(o, h, fh), p.h);
            if (along == 0) continue;
            for (Index q = left; q < right; q++) {
                REAL across = share(between(q, w, fw), p.w);
                if (across != 0) total += along * across * image[(o * w * fw + q) * c];
            }
        }
        dx[i] = total;
    }
}
