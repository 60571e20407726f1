// Compiled once for each instruction set, with the macros BACKEND (its name as an identifier), BACKEND_NAME,
// VECTOR_BYTES, and ACCUMULATORS: the number of vector registers for the sums of a product.
#include "backend.h"

#include "run.h"

namespace {

// Call `function` with a value of the type of the elements.
template <class F> auto with_type(int32_t dtype, F function) {
    return dtype == RNNKIT_FLOAT64 ? function(double()) : function(float());
}

int64_t panel_for(int32_t dtype, int64_t n, int64_t rows) {
    return with_type(dtype, [&](auto type) { return best_panel<decltype(type)>(n, rows); });
}

int64_t packed_size(int32_t dtype, int64_t k, int64_t n, int64_t panel) {
    return with_type(dtype, [&](auto type) {
        typedef decltype(type) S;
        return panel_count<S>(n, panel) * panel * VECTOR_BYTES * k;
    });
}

void pack_weight(int32_t dtype, const rnnkit_weight *weight, const void *source, int64_t k_stride, int64_t n_stride,
                 int64_t k, int64_t n) {
    with_type(dtype, [&](auto type) {
        typedef decltype(type) S;
        pack((S *)weight->data, weight->panel, (const S *)source, k_stride, n_stride, k, n);
    });
}

int32_t run_program(int32_t dtype, const rnnkit_call *call) {
    return with_type(dtype, [&](auto type) { return run<decltype(type)>(*call); });
}

}  // namespace

#define JOIN(a, b) a##b
#define NAMED(prefix, name) JOIN(prefix, name)
const Backend NAMED(backend_, BACKEND) = {BACKEND_NAME, panel_for, packed_size, pack_weight, run_program};
