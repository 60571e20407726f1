// Runs a program over a sequence, for the rows of one thread.
#pragma once
#include <stdlib.h>

#include "abi.h"
#include "denormals.h"
#include "functions.h"
#include "product.h"

namespace {  // other code in each instruction set

// The memory of one thread, which starts at a multiple of 64 bytes.
struct Buffer {
    void *allocated;
    void *start;
    explicit Buffer(int64_t bytes) : allocated(malloc((size_t)bytes + 64)) {
        start = (void *)(((uintptr_t)allocated + 63) & ~(uintptr_t)63);
    }
    ~Buffer() { free(allocated); }
};

template <class S> struct Rows {
    S *start;
    int64_t stride;
};

// The last vector of a row overlaps the one before it if the width is not a multiple of its lanes. It is computed first,
// because the result may be written to the place of an argument.
template <class S, class F>
INLINE void for_each_vector(Rows<S> result, Rows<S> a, Rows<S> b, Rows<S> c, int64_t rows, int64_t width, F function) {
    for (int64_t row = 0; row < rows; row++) {
        S *to = result.start + row * result.stride;
        const S *x = a.start + row * a.stride, *y = b.start + row * b.stride, *z = c.start + row * c.stride;
        int64_t last = width - lanes<S>;
        if (last < 0) {
            Vector<S> value = function(load_some(x, width), load_some(y, width), load_some(z, width));
            store_some(to, value, width);
            continue;
        }
        int64_t whole = width / lanes<S> * lanes<S>;
        Vector<S> value = whole < width ? function(load(x + last), load(y + last), load(z + last)) : Vector<S>{};
        for (int64_t j = 0; j < whole; j += lanes<S>) store(to + j, function(load(x + j), load(y + j), load(z + j)));
        if (whole < width) store(to + last, value);
    }
}

// Each feature of a row becomes the combination of all of them, divided by a number. The lanes of a vector are combined
// at the end; those of the last vector past the row are not.
template <class S, class F>
INLINE void reduce_rows(Rows<S> result, Rows<S> x, int64_t rows, int64_t width, F combine, S divisor) {
    for (int64_t row = 0; row < rows; row++) {
        const S *from = x.start + row * x.stride;
        S *to = result.start + row * result.stride;
        int64_t whole = width / lanes<S> * lanes<S>;
        Vector<S> total = broadcast(from[0]);
        if (whole > 0) {
            Vector<S> sums = load(from);
            for (int64_t j = lanes<S>; j < whole; j += lanes<S>) sums = combine(sums, load(from + j));
            total = broadcast(sums[0]);
            for (int64_t i = 1; i < lanes<S>; i++) total = combine(total, broadcast(sums[i]));
        }
        for (int64_t j = whole > 0 ? whole : 1; j < width; j++) total = combine(total, broadcast(from[j]));
        total /= divisor;
        int64_t j = 0;
        for (; j + lanes<S> <= width; j += lanes<S>) store(to + j, total);
        store_some(to + j, total, width - j);
    }
}

template <class S>
static void execute(int32_t opcode, Rows<S> result, Rows<S> x, Rows<S> y, Rows<S> z, int64_t rows, int64_t width) {
    typedef Vector<S> V;
    switch (opcode) {
#define INSTRUCTION(name, value)                                                              \
    case OPCODE_##name:                                                                       \
        for_each_vector<S>(result, x, y, z, rows, width, [](V a, V b, V c) -> V {             \
            (void)b, (void)c;                                                                 \
            return value;                                                                     \
        });                                                                                   \
        break;
        RNNKIT_INSTRUCTION_TABLE(INSTRUCTION)
#undef INSTRUCTION
#define INSTRUCTION(name, combination, divisor)                                                                  \
    case OPCODE_##name:                                                                                          \
        reduce_rows<S>(result, x, rows, width, [](V a, V b) -> V { return combination; }, (S)(divisor));         \
        break;
        RNNKIT_ROW_INSTRUCTION_TABLE(INSTRUCTION)
#undef INSTRUCTION
    }
}

constexpr int64_t tile_elements = 512;  // of one operand: the operands of a part stay in the first-level cache

constexpr int64_t rounded_up(int64_t number, int64_t factor) { return (number + factor - 1) / factor * factor; }

template <class S> struct Machine {
    const rnnkit_call &call;
    const rnnkit_program &program;
    const Matrix<S> *weights;
    int64_t first, end;  // the rows of this thread
    int64_t tile;        // rows for which all instructions of a part run before those of the next rows
    int64_t temporary_stride;
    S *temporaries, *scratch;

    Rows<S> rows_of(int32_t index, int64_t time, int64_t row) const {
        const rnnkit_operand &operand = program.operands[index];
        if (operand.memory == RNNKIT_TEMPORARY)
            return {temporaries + operand.offset * tile * temporary_stride, temporary_stride};
        if (operand.memory == RNNKIT_SCRATCH)
            return {scratch + operand.offset + (row - first) * program.scratch_width, program.scratch_width};
        int64_t step = ((time + operand.shift) & operand.mask) * operand.time_stride;
        S *memory = (S *)call.memories[operand.memory];
        return {memory + operand.offset + step + row * operand.row_stride, operand.row_stride};
    }

    void run_instructions(const rnnkit_part &part, int64_t time, int64_t live) const {
        for (int64_t row = first; row < live; row += tile) {
            int64_t rows = live - row < tile ? live - row : tile;
            for (int64_t i = part.first; i < part.end; i++) {
                const rnnkit_instruction &each = program.instructions[i];
                execute<S>(each.opcode, rows_of(each.result, time, row), rows_of(each.a, time, row),
                           rows_of(each.b, time, row), rows_of(each.c, time, row), rows, program.width);
            }
        }
    }

    void run_product(const rnnkit_part &part, int64_t time, int64_t live) const {
        Rows<S> result = rows_of(part.result, time, first), operand = rows_of(part.operand, time, first);
        const Matrix<S> &weight = weights[part.weight];
        if (weight.panel == 0)
            return multiply_few(result.start, result.stride, operand.start, operand.stride, weight, live - first, part.k,
                                part.n);
        with_constant<most_vectors>(weight.panel, [&](auto panel) {
            multiply<S, decltype(panel)::value>(result.start, result.stride, operand.start, operand.stride, weight.data,
                                                live - first, part.k, part.n);
        });
    }

    void run_step(int64_t time) const {
        int64_t live = call.sequences && call.sequences->live[time] < end ? call.sequences->live[time] : end;
        if (live <= first) return;
        for (int64_t i = 0; i < program.part_count; i++) {
            const rnnkit_part &part = program.parts[i];
            if (part.kind == RNNKIT_PRODUCT) run_product(part, time, live);
            else run_instructions(part, time, live);
        }
    }

    // Call `function(inside, outside, features)` for each row of each part of the state, before step number 0 or after
    // the last one of the row. The address `outside` is NULL if there is no such memory.
    template <class F> void for_each_state(int32_t rnnkit_state::*memory, bool at_start, F function) const {
        for (int64_t i = 0; i < program.state_count; i++) {
            const rnnkit_state &state = program.states[i];
            S *start = state.*memory == RNNKIT_NONE ? nullptr : (S *)call.memories[state.*memory];
            for (int64_t row = first; row < end; row++) {
                int64_t length = call.sequences ? call.sequences->lengths[row] : program.time;
                int64_t place = call.sequences ? call.sequences->order[row] : row;
                S *inside = rows_of(state.operand, at_start ? 0 : length, row).start;
                function(inside, start ? start + place * state.features : nullptr, state.features);
            }
        }
    }

    void load_states() const {
        for_each_state(&rnnkit_state::first, !program.reverse, [](S *inside, const S *outside, int64_t features) {
            for (int64_t i = 0; i < features; i++) inside[i] = outside ? outside[i] : 0;
        });
    }

    void store_states() const {
        for_each_state(&rnnkit_state::last, program.reverse, [](const S *inside, S *outside, int64_t features) {
            for (int64_t i = 0; outside && i < features; i++) outside[i] = inside[i];
        });
    }

    void add_outer_product(S *result, const S *left, const S *right, int64_t m, int64_t n) const {
        for (int64_t i = 0; i < m; i++, result += n) {
            S factor = left ? left[i] : 1;
            for (int64_t j = 0; j < n; j++) result[j] += factor * right[j];
        }
    }

    void sum(const rnnkit_sum &sum) const {
        S *result = (S *)call.memories[sum.result];
        if (!result) return;
        for (int64_t i = 0; i < sum.m * sum.n; i++) result[i] = 0;
        for (int64_t time = 0; time < (sum.all_steps ? program.time : 1); time++) {
            int64_t live = sum.all_steps && call.sequences ? call.sequences->live[time] : program.batch;
            for (int64_t row = 0; row < live; row++) {
                const S *left = sum.left == RNNKIT_NONE ? nullptr : rows_of(sum.left, time, row).start;
                add_outer_product(result, left, rows_of(sum.right, time, row).start, sum.m, sum.n);
            }
        }
    }
};

template <class S>
static int32_t run_rows(const rnnkit_call &call, const Matrix<S> *weights, int64_t first, int64_t end) {
    const rnnkit_program &program = *call.program;
    if (first >= end) return RNNKIT_OK;
    int64_t stride = rounded_up(program.width, lanes<S>);
    int64_t tile = stride < tile_elements ? tile_elements / stride : 1;
    if (tile > end - first) tile = end - first;
    int64_t elements = rounded_up(program.temporary_count * tile * stride, 64);
    Buffer buffer((elements + (end - first) * program.scratch_width) * (int64_t)sizeof(S));
    if (!buffer.allocated) return RNNKIT_OUT_OF_MEMORY;
    S *start = (S *)buffer.start;
    Machine<S> machine = {call, program, weights, first, end, tile, stride, start, start + elements};
    machine.load_states();
    for (int64_t i = 0; i < program.time; i++) machine.run_step(program.reverse ? program.time - 1 - i : i);
    machine.store_states();
    return RNNKIT_OK;
}

// The first row of a share of the work: rows that end early cost less.
static int64_t first_row(const rnnkit_call &call, int64_t share, int64_t shares) {
    int64_t batch = call.program->batch;
    if (!call.sequences || share == shares) return batch * share / shares;
    const int64_t *lengths = call.sequences->lengths;
    int64_t total = 0, done = 0, row = 0;
    for (int64_t i = 0; i < batch; i++) total += lengths[i];
    for (; row < batch && done * shares < total * share; row++) done += lengths[row];
    return row;
}

template <class S> struct Shares {
    const rnnkit_call *call;
    const Matrix<S> *weights;
    int64_t count;
    bool flushes;
    int32_t status;
};

template <class S> static void run_shares(int64_t begin, int64_t end, void *context) {
    Shares<S> &shares = *(Shares<S> *)context;
    Flushing flushing(shares.flushes);
    for (int64_t i = begin; i < end; i++) {
        int64_t first = first_row(*shares.call, i, shares.count), last = first_row(*shares.call, i + 1, shares.count);
        int32_t status = run_rows<S>(*shares.call, shares.weights, first, last);
        if (status != RNNKIT_OK) __atomic_store_n(&shares.status, status, __ATOMIC_RELAXED);
    }
}

// Weights are packed at every call: a change of their values cannot be seen. Returns the number of elements.
template <class S> static int64_t choose_panels(const rnnkit_program &program, Matrix<S> *weights, int64_t shares) {
    int64_t elements = 0;
    for (int64_t i = 0; i < program.weight_count; i++) {
        const rnnkit_weight &weight = program.weights[i];
        bool packs = should_pack(weight, program.time, program.batch);
        int64_t panel = packs ? best_panel<S>(weight.n, program.batch / shares) : 0;
        weights[i] = {nullptr, panel, weight.k_stride, weight.n_stride};
        elements += panel == 0 ? 0 : packed_elements<S>(weight.k, weight.n, panel);
    }
    return elements;
}

template <class S> static void pack_weights(const rnnkit_call &call, Matrix<S> *weights, S *packed) {
    for (int64_t i = 0; i < call.program->weight_count; i++) {
        const rnnkit_weight &weight = call.program->weights[i];
        const S *source = (const S *)call.memories[weight.memory];
        int64_t panel = weights[i].panel;
        weights[i].data = panel == 0 ? source : packed;
        if (panel == 0) continue;
        pack(packed, panel, source, weight);
        packed += packed_elements<S>(weight.k, weight.n, panel);
    }
}

template <class S> static int32_t run(const rnnkit_call &call) {
    const rnnkit_program &program = *call.program;
    int64_t count = call.threads < program.batch ? call.threads : program.batch;
    if (count < 1) count = 1;
    Buffer table(program.weight_count * (int64_t)sizeof(Matrix<S>));
    if (!table.allocated) return RNNKIT_OUT_OF_MEMORY;
    Matrix<S> *weights = (Matrix<S> *)table.start;
    Buffer packed(choose_panels(program, weights, count) * (int64_t)sizeof(S));
    if (!packed.allocated) return RNNKIT_OUT_OF_MEMORY;
    pack_weights(call, weights, (S *)packed.start);
    Shares<S> shares = {&call, weights, count, tolerates_flushing(program), RNNKIT_OK};
    if (count == 1) run_shares<S>(0, 1, &shares);
    else if (call.parallel_for(0, count, 1, run_shares<S>, &shares) != 0) return RNNKIT_NO_THREADS;
    Flushing flushing(shares.flushes);
    Machine<S> machine = {call, program, weights, 0, program.batch, 0, 0, nullptr, nullptr};
    for (int64_t i = 0; i < program.sum_count; i++) machine.sum(program.sums[i]);
    return __atomic_load_n(&shares.status, __ATOMIC_RELAXED);
}

}  // namespace
