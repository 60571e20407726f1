// Compiled once for each instruction set, with the macros BACKEND (its name as an identifier), BACKEND_NAME,
// VECTOR_BYTES, and ACCUMULATORS: the number of vector registers for the sums of a product.
#include "backend.h"

#include "run.h"

namespace {

int32_t run_program(int32_t dtype, const rnnkit_call *call) {
    return dtype == RNNKIT_FLOAT64 ? run<double>(*call) : run<float>(*call);
}

}  // namespace

#define JOIN(a, b) a##b
#define NAMED(prefix, name) JOIN(prefix, name)
const Backend NAMED(backend_, BACKEND) = {BACKEND_NAME, run_program};
