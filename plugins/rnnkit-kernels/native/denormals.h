// Denormal results are flushed to zero while a program runs, if that changes no later result by more than they are:
// gradients that vanish over many steps become denormal, and many processors are 100 times slower with them.
#pragma once
#include "abi.h"
#include "instructions.h"

namespace {  // other code in each instruction set

enum Opcode {
#define INSTRUCTION(name, ...) OPCODE_##name,
    RNNKIT_INSTRUCTION_TABLE(INSTRUCTION) RNNKIT_ROW_INSTRUCTION_TABLE(INSTRUCTION)
#undef INSTRUCTION
};

// Whether a result changes by little if an argument is zero instead of a denormal number. A quotient, a logarithm, a
// root, a power and a comparison may change by much: they are not listed.
static bool tolerates_flushing(int32_t opcode) {
    switch (opcode) {
#define TOLERANT(name) case OPCODE_##name:
        TOLERANT(copy) TOLERANT(add) TOLERANT(sub) TOLERANT(mul) TOLERANT(neg) TOLERANT(abs) TOLERANT(exp)
        TOLERANT(expm1) TOLERANT(log1p) TOLERANT(sin) TOLERANT(cos) TOLERANT(erf) TOLERANT(tanh) TOLERANT(sigmoid)
        TOLERANT(relu) TOLERANT(softplus) TOLERANT(log_sigmoid) TOLERANT(clamp) TOLERANT(hardtanh)
        TOLERANT(hardsigmoid) TOLERANT(lerp) TOLERANT(maximum) TOLERANT(minimum) TOLERANT(tanh_backward)
        TOLERANT(sigmoid_backward) TOLERANT(add_sigmoid) TOLERANT(add_tanh) TOLERANT(add_add)
        TOLERANT(add_add_sigmoid) TOLERANT(add_add_tanh) TOLERANT(mul_add) TOLERANT(mul_add_sigmoid)
        TOLERANT(mul_add_tanh) TOLERANT(mul_sub) TOLERANT(mul_sub_from) TOLERANT(mul_mul) TOLERANT(sub_mul)
        TOLERANT(row_mean) TOLERANT(row_max)
#undef TOLERANT
        return true;
    default: return false;
    }
}

static bool tolerates_flushing(const rnnkit_program &program) {
    for (int64_t i = 0; i < program.part_count; i++) {
        const rnnkit_part &part = program.parts[i];
        for (int32_t j = part.first; part.kind == RNNKIT_INSTRUCTIONS && j < part.end; j++)
            if (!tolerates_flushing(program.instructions[j].opcode)) return false;
    }
    return true;
}

// Flushes denormal results in this thread, as long as it exists. Arguments are not taken for zeros, because infinity
// times zero is NaN. arm64 is not slower with denormal numbers.
struct Flushing {
#if defined(__x86_64__)
    unsigned saved = __builtin_ia32_stmxcsr();
    explicit Flushing(bool flushes) {
        const unsigned flush_to_zero = 0x8000;
        if (flushes) __builtin_ia32_ldmxcsr(saved | flush_to_zero);
    }
    ~Flushing() { __builtin_ia32_ldmxcsr(saved); }
#else
    explicit Flushing(bool) {}
    ~Flushing() {}
#endif
};

}  // namespace
