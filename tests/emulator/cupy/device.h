// CUDA C++'s words for g++: a .cu source of npgan is compiled behind this header and run on the host.
//
// Blocks run one after the other; the threads of a block are fibers, each with a stack of its own, that are run until
// they wait. A thread that never waits costs one switch. `__syncthreads` lets all threads of a block go on when all
// that are left wait there, and `__syncwarp` and the shuffles do so for a warp; where no thread can go on, the launch
// fails. Shared memory holds NaN when a block begins.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#define __device__
#define __host__
#define __forceinline__ inline
#define __noinline__
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))
#define __constant__ static
#define __global__
#define __shared__ static __attribute__((section("npgan_shared")))
#define NPGAN_EMULATOR 1

using std::isfinite;
using std::isinf;
using std::isnan;

struct dim3 { unsigned x, y, z; };
struct alignas(8) float2 { float x, y; };
struct alignas(16) float4 { float x, y, z, w; };
struct alignas(16) double2 { double x, y; };
struct alignas(16) int4 { int x, y, z, w; };
struct alignas(16) uint4 { unsigned x, y, z, w; };
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

static dim3 blockIdx, blockDim, gridDim, threadIdx;
static const int warpSize = 32;

// So that the section is there where no kernel has shared memory of its own.
static __attribute__((section("npgan_shared"), used)) double npgan_shared_first[2];
extern "C" char __start_npgan_shared[], __stop_npgan_shared[];

namespace emulator {

enum State { FRESH, RUNNING, AT_WARP, AT_BLOCK, DONE };
static const size_t STACK = 1 << 16;
static void *main_stack;

struct Fiber {
    void *sp = nullptr;
    char *stack = nullptr;
    State state = FRESH;
    dim3 index;
};

static std::vector<Fiber> fibers;
static std::vector<char *> spare;
static size_t current;
static void (*body)(void *);
static void *body_arguments;
static char *dynamic_shared;
static uint64_t slots[32 * 64];  // what a lane hands over in a shuffle

#if defined(__x86_64__)
extern "C" void npgan_switch(void **from, void *to);
asm(R"(
.text
.hidden npgan_switch
.globl npgan_switch
npgan_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
static void *prepared(char *stack, void (*entry)()) {
    // As npgan_switch leaves a stack: six registers, and where to go on; there the stack is 8 off a multiple of 16.
    void **top = reinterpret_cast<void **>(stack + STACK - 64);
    *--top = nullptr;
    *--top = reinterpret_cast<void *>(entry);
    for (int i = 0; i < 6; i++) *--top = nullptr;
    return top;
}
#else
#error "the emulator switches stacks on x86-64 alone"
#endif

static void wait(State state) {
    Fiber &me = fibers[current];
    me.state = state;
    npgan_switch(&me.sp, main_stack);
}

static void entry() {
    body(body_arguments);
    wait(DONE);
}

static void resume(size_t i) {
    Fiber &f = fibers[i];
    if (f.state == FRESH) {
        if (spare.empty()) spare.push_back(static_cast<char *>(malloc(STACK)));
        f.stack = spare.back();
        spare.pop_back();
        f.sp = prepared(f.stack, entry);
    }
    f.state = RUNNING;
    current = i;
    threadIdx = f.index;
    npgan_switch(&main_stack, f.sp);
    if (f.state == DONE) {
        spare.push_back(f.stack);
        f.stack = nullptr;
    }
}

// Returns whether all threads ended; else some wait for others that never come.
static bool run_block() {
    size_t count = fibers.size();
    for (size_t i = 0; i < count; i++) {
        fibers[i].state = FRESH;
        fibers[i].index = {unsigned(i) % blockDim.x, unsigned(i) / blockDim.x % blockDim.y,
                           unsigned(i) / (blockDim.x * blockDim.y)};
    }
    memset(__start_npgan_shared, 0xff, __stop_npgan_shared - __start_npgan_shared);
    for (size_t i = 0; i < count; i++) resume(i);
    for (;;) {
        size_t done = 0, at_block = 0;
        bool moved = false;
        for (size_t warp = 0; warp < count; warp += 32) {
            size_t end = warp + 32 < count ? warp + 32 : count, waiting = 0, left = 0;
            for (size_t i = warp; i < end; i++) {
                left += fibers[i].state != DONE;
                waiting += fibers[i].state == AT_WARP;
            }
            if (left && waiting == left) {
                moved = true;
                for (size_t i = warp; i < end; i++)
                    if (fibers[i].state == AT_WARP) resume(i);
            }
            for (size_t i = warp; i < end; i++) {
                done += fibers[i].state == DONE;
                at_block += fibers[i].state == AT_BLOCK;
            }
        }
        if (done == count) return true;
        if (done + at_block == count) {
            for (size_t i = 0; i < count; i++)
                if (fibers[i].state == AT_BLOCK) resume(i);
        } else if (!moved) {
            return false;
        }
    }
}

template <class... A>
struct Call {
    void (*kernel)(A...);
    void **arguments;
    template <size_t... I>
    void operator()(std::index_sequence<I...>) {
        kernel(*static_cast<std::remove_const_t<A> *>(arguments[I])...);
    }
};

template <class... A>
static int launch(void (*kernel)(A...), void **arguments, const unsigned *sizes, size_t shared) {
    Call<A...> call{kernel, arguments};
    body = [](void *it) { (*static_cast<Call<A...> *>(it))(std::index_sequence_for<A...>()); };
    body_arguments = &call;
    gridDim = {sizes[0], sizes[1], sizes[2]};
    blockDim = {sizes[3], sizes[4], sizes[5]};
    fibers.assign(size_t(blockDim.x) * blockDim.y * blockDim.z, Fiber());
    dynamic_shared = static_cast<char *>(aligned_alloc(128, (shared / 128 + 1) * 128));
    bool ended = true;
    for (unsigned z = 0; z < gridDim.z && ended; z++)
        for (unsigned y = 0; y < gridDim.y && ended; y++)
            for (unsigned x = 0; x < gridDim.x && ended; x++) {
                blockIdx = {x, y, z};
                memset(dynamic_shared, 0xff, shared);
                ended = run_block();
            }
    free(dynamic_shared);
    return ended ? 0 : 1;
}

// One letter a parameter: p(ointer), l(ong: 8 bytes), i(nt: 4), d(ouble), f(loat), ?
template <class T>
static char letter() {
    if (std::is_pointer<T>::value) return 'p';
    if (std::is_integral<T>::value) return sizeof(T) == 8 ? 'l' : sizeof(T) == 4 ? 'i' : '?';
    return std::is_same<T, double>::value ? 'd' : std::is_same<T, float>::value ? 'f' : '?';
}
template <class... A>
static void signature(void (*)(A...), char *out) {
    const char letters[] = {letter<std::remove_const_t<A>>()..., 0};
    strcpy(out, letters);
}

template <class T>
static T shuffle(T value, int from) {
    static_assert(sizeof(T) <= 8, "a register or two");
    size_t me = current, warp = me / 32 * 32;
    memcpy(&slots[me], &value, sizeof(T));
    wait(AT_WARP);
    size_t other = warp + size_t(from);
    T found = value;
    if (from >= 0 && from < 32 && other < fibers.size()) memcpy(&found, &slots[other], sizeof(T));
    wait(AT_WARP);
    return found;
}
static int lane() { return int(current % 32); }

}  // namespace emulator

static inline void __syncthreads() { emulator::wait(emulator::AT_BLOCK); }
static inline void __syncwarp(unsigned = 0xffffffffu) { emulator::wait(emulator::AT_WARP); }
static inline void __threadfence() {}
template <class T>
static T __shfl_sync(unsigned, T v, int from, int width = 32) {
    int l = emulator::lane();
    return emulator::shuffle(v, l / width * width + from % width);
}
template <class T>
static T __shfl_xor_sync(unsigned, T v, int mask, int = 32) { return emulator::shuffle(v, emulator::lane() ^ mask); }
template <class T>
static T __shfl_down_sync(unsigned, T v, int by, int width = 32) {
    int l = emulator::lane();
    return emulator::shuffle(v, l % width + by < width ? l + by : l);
}
template <class T>
static T __shfl_up_sync(unsigned, T v, int by, int width = 32) {
    int l = emulator::lane();
    return emulator::shuffle(v, l % width >= by ? l - by : l);
}
template <class T>
static T atomicAdd(T *at, T value) {
    T before = *at;
    *at = before + value;
    return before;
}
template <class T>
static T __ldg(const T *at) { return *at; }
template <class T>
static T __ldcg(const T *at) { return *at; }
static inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned(uint64_t(a) * b >> 32); }
static inline float __uint_as_float(unsigned v) { float f; memcpy(&f, &v, 4); return f; }
static inline unsigned __float_as_uint(float f) { unsigned v; memcpy(&v, &f, 4); return v; }
static inline float __int_as_float(int v) { return __uint_as_float(unsigned(v)); }
static inline int __float_as_int(float f) { return int(__float_as_uint(f)); }
static inline double __longlong_as_double(long long v) { double d; memcpy(&d, &v, 8); return d; }
static inline void sincospi(double x, double *s, double *c) { *s = sin(M_PI * x); *c = cos(M_PI * x); }
template <class T>
static T min(T a, T b) { return b < a ? b : a; }
template <class T>
static T max(T a, T b) { return a < b ? b : a; }
using std::exp; using std::expm1; using std::fabs; using std::fma; using std::log; using std::log1p; using std::pow;
using std::sqrt; using std::tanh; using std::fmax; using std::fmin; using std::floor; using std::ceil;
using std::abs; using std::cos; using std::sin;
static inline double rsqrt(double x) { return 1 / sqrt(x); }
static inline float rsqrt(float x) { return 1 / sqrt(x); }

// Dynamic shared memory, by the name that a kernel gives it.
#define NPGAN_DYNAMIC_SHARED(type, name) type *name = reinterpret_cast<type *>(emulator::dynamic_shared)
