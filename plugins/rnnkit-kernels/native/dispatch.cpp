// The exported functions: they check the processor and call the code for an instruction set.
#include "backend.h"
#include "instructions.h"

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t enabled_registers() {  // by the operating system
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static bool has_all(uint32_t value, uint32_t bits) { return (value & bits) == bits; }

// The level of x86-64 that the processor has: 1 to 4.
static int level() {
    uint32_t a, b, c, d, extended_c;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !has_all(c, bit_SSE3 | bit_SSSE3 | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT)) return 1;
    const uint32_t of_level_3 = bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C;
    if (!has_all(c, of_level_3) || !has_all((uint32_t)enabled_registers(), 0x6)) return 2;
    if (!__get_cpuid(0x80000001, &a, &b, &extended_c, &d) || !has_all(extended_c, bit_LZCNT)) return 2;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has_all(b, bit_AVX2 | bit_BMI | bit_BMI2)) return 2;
    const uint32_t of_level_4 = bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL;
    return has_all(b, of_level_4) && has_all((uint32_t)enabled_registers(), 0xe6) ? 4 : 3;
}

static const Backend *const backends[] = {&backend_x86_64_v4, &backend_x86_64_v3, &backend_x86_64_v2};
static bool is_supported(int32_t index) { return level() >= 4 - index; }
#elif defined(__aarch64__)
static const Backend *const backends[] = {&backend_arm64};
static bool is_supported(int32_t) { return true; }
#else
#error "the library has no code for this processor"
#endif

static const int32_t backend_count = sizeof(backends) / sizeof(backends[0]);

static const rnnkit_layout layout = {
    RNNKIT_ABI,
    sizeof(rnnkit_operand),
    sizeof(rnnkit_instruction),
    sizeof(rnnkit_part),
    sizeof(rnnkit_weight),
    sizeof(rnnkit_state),
    sizeof(rnnkit_sum),
    sizeof(rnnkit_program),
    sizeof(rnnkit_sequences),
    sizeof(rnnkit_call),
};

static const char *const names[] = {
#define INSTRUCTION(name, ...) #name,
    RNNKIT_INSTRUCTION_TABLE(INSTRUCTION) RNNKIT_ROW_INSTRUCTION_TABLE(INSTRUCTION)
#undef INSTRUCTION
};

const rnnkit_layout *rnnkit_kernels_layout(void) { return &layout; }

const char *rnnkit_kernels_instruction(int32_t opcode) {
    return opcode >= 0 && opcode < (int32_t)(sizeof(names) / sizeof(names[0])) ? names[opcode] : nullptr;
}

const char *rnnkit_kernels_instruction_set(int32_t index) {
    return index >= 0 && index < backend_count ? backends[index]->name : nullptr;
}

int32_t rnnkit_kernels_is_supported(int32_t index) { return index >= 0 && index < backend_count && is_supported(index); }

int32_t rnnkit_kernels_run(int32_t index, int32_t dtype, const rnnkit_call *call) {
    return backends[index]->run(dtype, call);
}
