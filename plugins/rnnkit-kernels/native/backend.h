// The functions of one instruction set, which `dispatch.cpp` chooses from.
#pragma once
#include "abi.h"

struct Backend {
    const char *name;
    int64_t (*panel)(int32_t dtype, int64_t n, int64_t rows);
    int64_t (*packed_size)(int32_t dtype, int64_t k, int64_t n, int64_t panel);
    void (*pack)(int32_t dtype, const rnnkit_weight *weight, const void *source, int64_t k_stride, int64_t n_stride,
                 int64_t k, int64_t n);
    int32_t (*run)(int32_t dtype, const rnnkit_call *call);
};

extern const Backend backend_x86_64_v4, backend_x86_64_v3, backend_x86_64_v2, backend_arm64;
