// Matrix products with packed weights: blocks of rows and columns whose sums stay in registers.
#pragma once
#include "abi.h"
#include "vectors.h"

#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 8")
#endif

namespace {  // other code in each instruction set

constexpr int64_t most_vectors = 4;  // of columns in a panel

// The rows of a block: as many as leave a register for each vector of the panel.
constexpr int64_t most_rows(int64_t vectors) {
    int64_t rows = ACCUMULATORS / vectors;
    return rows < 1 ? 1 : rows > 8 ? 8 : rows;
}

template <int64_t N> struct Constant {
    static constexpr int64_t value = N;
};

// Call `function` with a number from 1 to Most as a constant.
template <int64_t Most, class F> INLINE void with_constant(int64_t number, F function) {
    switch (number) {
    case 1: function(Constant<1>{}); break;
#define CASE(n)                                               \
    case n:                                                   \
        if constexpr (n <= Most) function(Constant<n>{});     \
        break;
        CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8)
#undef CASE
    }
}

// Call `function(rows, first)` for blocks of almost equal size.
template <int64_t Most, class F> INLINE void for_each_block(int64_t rows, F function) {
    int64_t blocks = (rows + Most - 1) / Most;
    for (int64_t i = 0, row = 0; i < blocks; i++) {
        int64_t count = (rows - row + (blocks - i) - 1) / (blocks - i);
        with_constant<Most>(count, [&](auto constant) { function(constant, row); });
        row += count;
    }
}

template <class S> static int64_t panel_count(int64_t n, int64_t panel) {
    int64_t columns = panel * lanes<S>;
    return (n + columns - 1) / columns;
}

// The width that costs least by this estimate: for each multiplication the loads that it shares with others, and the
// wait for its sum if fewer than 8 sums are under way.
template <class S> static int64_t best_panel(int64_t n, int64_t rows) {
    int64_t best = 1;
    double lowest = 1e300;
    for (int64_t panel = 1; panel <= most_vectors; panel++) {
        int64_t most = most_rows(panel);
        double block = rows < 1 ? 1.0 : (double)rows / ((rows + most - 1) / most);
        double sums = panel * block;
        double wait = sums < 8 ? 8 / sums - 1 : 0;
        double cost = panel_count<S>(n, panel) * panel * (1 + 1.0 / panel + 1.0 / block + wait);
        if (cost < lowest) {
            lowest = cost;
            best = panel;
        }
    }
    return best;
}

// A weight, either in panels of `panel` vectors of columns, the order in which a product reads it, or as the caller has
// it, if `panel` is 0.
template <class S> struct Matrix {
    const S *data;
    int64_t panel;
    int64_t k_stride;
    int64_t n_stride;
};

// To pack a large weight takes as long as to read it about ten times. A product with a packed weight reads it once for each
// step, and one with a weight as it is once for each row. Small weights are packed in no time.
INLINE bool should_pack(const rnnkit_weight &weight, int64_t time, int64_t batch) {
    bool has_few_rows = time <= 16 && time * (batch - 1) <= 8;
    bool is_small = weight.k * weight.n < 16384;
    return is_small || !has_few_rows || (weight.k_stride != 1 && weight.n_stride != 1);
}

template <class S> static int64_t packed_elements(int64_t k, int64_t n, int64_t panel) {
    return panel_count<S>(n, panel) * panel * lanes<S> * k;
}

constexpr int64_t block_rows = 16;  // to be transposed at once: a line of the cache for each column

// Columns past n are zeros. The source is read along its smaller stride: a weight is often a transposed matrix.
template <class S> static void pack(S *packed, int64_t panel, const S *source, const rnnkit_weight &weight) {
    int64_t columns = panel * lanes<S>, k_stride = weight.k_stride, n_stride = weight.n_stride;
    for (int64_t start = 0; start < weight.n; start += columns) {
        int64_t count = weight.n - start < columns ? weight.n - start : columns;
        for (int64_t first = 0; first < weight.k; first += block_rows, packed += block_rows * columns) {
            int64_t rows = weight.k - first < block_rows ? weight.k - first : block_rows;
            const S *from = source + start * n_stride + first * k_stride;
            if (n_stride <= k_stride)
                for (int64_t i = 0; i < rows; i++)
                    for (int64_t j = 0; j < count; j++) packed[i * columns + j] = from[i * k_stride + j * n_stride];
            else
                for (int64_t j = 0; j < count; j++)
                    for (int64_t i = 0; i < rows; i++) packed[i * columns + j] = from[i * k_stride + j * n_stride];
            for (int64_t i = 0; i < rows; i++)
                for (int64_t j = count; j < columns; j++) packed[i * columns + j] = 0;
            if (rows < block_rows) packed -= (block_rows - rows) * columns;
        }
    }
}

// One block of rows times one panel.
template <class S, int64_t Rows, int64_t Vectors>
INLINE void multiply_block(S *result, int64_t result_stride, const S *operand, int64_t operand_stride, const S *panel,
                           int64_t k, int64_t columns) {
    Vector<S> sums[Rows][Vectors] = {};
    for (int64_t i = 0; i < k; i++, panel += Vectors * lanes<S>) {
        Vector<S> weights[Vectors];
        UNROLL for (int64_t v = 0; v < Vectors; v++) weights[v] = *(const Vector<S> *)(panel + v * lanes<S>);
        UNROLL for (int64_t r = 0; r < Rows; r++) {
            Vector<S> factor = broadcast(operand[r * operand_stride + i]);
            UNROLL for (int64_t v = 0; v < Vectors; v++) sums[r][v] += factor * weights[v];
        }
    }
    UNROLL for (int64_t r = 0; r < Rows; r++) {
        UNROLL for (int64_t v = 0; v < Vectors; v++) {
            S *to = result + r * result_stride + v * lanes<S>;
            int64_t left = columns - v * lanes<S>;
            if (left >= lanes<S>) store(to, sums[r][v]);
            else store_some(to, sums[r][v], left);
        }
    }
}

// result (rows, n) = operand (rows, k) @ weight (k, n)
template <class S, int64_t Vectors>
static void multiply(S *result, int64_t result_stride, const S *operand, int64_t operand_stride, const S *packed,
                     int64_t rows, int64_t k, int64_t n) {
    constexpr int64_t columns = Vectors * lanes<S>;
    for (int64_t start = 0; start < n; start += columns, packed += k * columns)
        for_each_block<most_rows(Vectors)>(rows, [&](auto count, int64_t row) {
            multiply_block<S, decltype(count)::value, Vectors>(result + row * result_stride + start, result_stride,
                                                               operand + row * operand_stride, operand_stride, packed,
                                                               k, n - start);
        });
}

template <class S> INLINE S sum_of_lanes(Vector<S> vector) {
    for (int64_t half = lanes<S> / 2; half > 0; half /= 2)
        for (int64_t i = 0; i < half; i++) vector[i] += vector[i + half];
    return vector[0];
}

// The products of one row with columns of a weight, each of which is contiguous.
template <class S, int64_t Columns>
INLINE void multiply_columns(S *result, const S *operand, const S *weight, int64_t n_stride, int64_t k) {
    Vector<S> sums[Columns] = {};
    int64_t i = 0;
    for (; i + lanes<S> <= k; i += lanes<S>) {
        Vector<S> factor = load(operand + i);
        UNROLL for (int64_t j = 0; j < Columns; j++) sums[j] += factor * load(weight + j * n_stride + i);
    }
    if (i < k) {
        Vector<S> factor = load_some(operand + i, k - i);
        UNROLL for (int64_t j = 0; j < Columns; j++) sums[j] += factor * load_some(weight + j * n_stride + i, k - i);
    }
    UNROLL for (int64_t j = 0; j < Columns; j++) result[j] = sum_of_lanes<S>(sums[j]);
}

// The product of one row with a weight whose rows are contiguous.
template <class S>
INLINE void add_weight_rows(S *__restrict result, const S *operand, const S *weight, int64_t k_stride, int64_t k, int64_t n) {
    for (int64_t j = 0; j < n; j++) result[j] = 0;
    for (int64_t i = 0; i < k; i++)
        for (int64_t j = 0; j < n; j++) result[j] += operand[i] * weight[i * k_stride + j];
}

// `multiply` with a weight that is not packed.
template <class S>
static void multiply_few(S *result, int64_t result_stride, const S *operand, int64_t operand_stride,
                         const Matrix<S> &weight, int64_t rows, int64_t k, int64_t n) {
    for (int64_t row = 0; row < rows; row++, result += result_stride, operand += operand_stride) {
        if (weight.k_stride == 1)
            for_each_block<4>(n, [&](auto count, int64_t first) {
                multiply_columns<S, decltype(count)::value>(result + first, operand,
                                                            weight.data + first * weight.n_stride, weight.n_stride, k);
            });
        else add_weight_rows(result, operand, weight.data, weight.k_stride, k, n);
    }
}

}  // namespace
