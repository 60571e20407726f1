// The contract between the library and its callers: plain C, no pointers to functions of a C++ library.
//
// A program is a list of parts, run in order for each time step: element-wise instructions on pieces of `width` features,
// and products with weights. Its operands are in memories, of which a call gives the addresses, in temporaries, which are
// valid within a part, or in scratch, which is valid within a step. A batch is divided among threads by rows: a row is one
// sequence of the batch, and rows do not depend on each other.
//
// A program has all that depends on sizes and strides, so that a caller makes it once. A call has the addresses.
//
// Change RNNKIT_ABI with every change of this file.
#pragma once
#include <stdint.h>

#define RNNKIT_ABI 2

enum { RNNKIT_TEMPORARY = -1, RNNKIT_SCRATCH = -2, RNNKIT_NONE = -1 };
enum { RNNKIT_INSTRUCTIONS = 0, RNNKIT_PRODUCT = 1 };
enum { RNNKIT_FLOAT32 = 0, RNNKIT_FLOAT64 = 1 };
enum { RNNKIT_OK = 0, RNNKIT_OUT_OF_MEMORY = 1, RNNKIT_NO_THREADS = 2 };

// Where a piece of a tensor is: row r of step t is `offset + ((t + shift) & mask) * time_stride + r * row_stride` elements
// after the start of its memory. The mask is -1 for a sequence, and 1 for the last two steps of one.
typedef struct {
    int32_t memory;  // an index of `memories`, RNNKIT_SCRATCH, or RNNKIT_TEMPORARY, whose number is `offset`
    int32_t shift;
    int64_t offset;
    int64_t time_stride;
    int64_t row_stride;
    int64_t mask;
} rnnkit_operand;

// result = opcode(a, b, c): indices of operands. Arguments that an opcode does not have are operands as well.
typedef struct {
    int32_t opcode;
    int32_t result;
    int32_t a;
    int32_t b;
    int32_t c;
} rnnkit_instruction;

// Either the instructions from `first` to `end`, or the product of `operand`, k features, with a weight, (k, n).
typedef struct {
    int32_t kind;
    int32_t first;
    int32_t end;
    int32_t result;
    int32_t operand;
    int32_t weight;
    int64_t k;
    int64_t n;
} rnnkit_part;

// A weight, (k, n), whose element (i, j) is `i * k_stride + j * n_stride` elements after the start of its memory.
typedef struct {
    int64_t memory;
    int64_t k_stride;
    int64_t n_stride;
    int64_t k;
    int64_t n;
} rnnkit_weight;

// A part of the state, `features` elements from `operand` on, between steps. Before the first step it is copied from the
// memory `first`, or is zeros if that is NULL, and after the last one to the memory `last`, unless that is NULL. Both are
// (batch, features), and are indices of memories, or RNNKIT_NONE for NULL.
typedef struct {
    int32_t operand;
    int32_t first;
    int32_t last;
    int32_t features;
} rnnkit_state;

// A matrix (m, n) that is computed after the last step: the sum over all rows, and over all steps if `all_steps` is 1, of
// the outer product of m elements of the operand `left`, or of 1 if that is RNNKIT_NONE, and n elements of `right`. It is
// not computed if the address of its memory is NULL.
typedef struct {
    int32_t left;
    int32_t right;
    int32_t result;  // an index of memories
    int32_t all_steps;
    int64_t m;
    int64_t n;
} rnnkit_sum;

typedef struct {
    const rnnkit_operand *operands;
    const rnnkit_instruction *instructions;
    const rnnkit_part *parts;
    const rnnkit_weight *weights;
    const rnnkit_state *states;
    const rnnkit_sum *sums;
    int64_t part_count;
    int64_t weight_count;
    int64_t state_count;
    int64_t sum_count;
    int64_t width;
    int64_t temporary_count;
    int64_t scratch_width;  // elements of scratch for each row
    int64_t reverse;        // 1 to run the steps from the last to the first
    int64_t time;
    int64_t batch;
} rnnkit_program;

typedef void (*rnnkit_task)(int64_t begin, int64_t end, void *context);
// torch's `torch_parallel_for`: other results than 0 are errors.
typedef int (*rnnkit_parallel_for)(int64_t begin, int64_t end, int64_t grain, rnnkit_task task, void *context);

// The lengths of the sequences of a batch: rows are in the order of descending lengths.
typedef struct {
    const int64_t *live;     // for each step, how many of the first rows to run
    const int64_t *lengths;  // of each row
    const int64_t *order;    // for each row, its place in the memories `first` and `last` of states
} rnnkit_sequences;

typedef struct {
    const rnnkit_program *program;
    void *const *memories;
    const rnnkit_sequences *sequences;  // NULL: all rows have all steps
    int64_t threads;
    rnnkit_parallel_for parallel_for;  // not used with one thread
} rnnkit_call;

// The version of the contract, and the sizes of its structures as the library was compiled.
typedef struct {
    int64_t abi;
    int64_t operand, instruction, part, weight, state, sum, program, sequences, call;
} rnnkit_layout;

#ifdef _WIN32
#define RNNKIT_EXPORT extern "C" __declspec(dllexport)
#else
#define RNNKIT_EXPORT extern "C" __attribute__((visibility("default")))
#endif

RNNKIT_EXPORT const rnnkit_layout *rnnkit_kernels_layout(void);
// The name of an opcode; NULL past the last one.
RNNKIT_EXPORT const char *rnnkit_kernels_instruction(int32_t opcode);
// The name of an instruction set, the best first; NULL past the last one.
RNNKIT_EXPORT const char *rnnkit_kernels_instruction_set(int32_t index);
// 1 if this processor has it.
RNNKIT_EXPORT int32_t rnnkit_kernels_is_supported(int32_t instruction_set);
RNNKIT_EXPORT int32_t rnnkit_kernels_run(int32_t instruction_set, int32_t dtype, const rnnkit_call *call);
