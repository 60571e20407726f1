// The functions of one instruction set, which `dispatch.cpp` chooses from.
#pragma once
#include "abi.h"

struct Backend {
    const char *name;
    int32_t (*run)(int32_t dtype, const rnnkit_call *call);
};

extern const Backend backend_x86_64_v4, backend_x86_64_v3, backend_x86_64_v2, backend_arm64;
