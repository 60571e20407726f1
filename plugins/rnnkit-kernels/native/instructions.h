// The instructions: the names of `rnnkit.plan.INSTRUCTIONS`, and pairs of them in one pass over memory. Masks are 1 or 0.
// Those of rows are a name, how to combine two features, and what divides the result.
#pragma once

#define MASK(condition) as_number(condition, a)

#define RNNKIT_INSTRUCTION_TABLE(INSTRUCTION)                        \
    INSTRUCTION(copy, a)                                             \
    INSTRUCTION(add, a + b)                                          \
    INSTRUCTION(sub, a - b)                                          \
    INSTRUCTION(mul, a *b)                                           \
    INSTRUCTION(div, a / b)                                          \
    INSTRUCTION(neg, -a)                                             \
    INSTRUCTION(reciprocal, 1 / a)                                   \
    INSTRUCTION(abs, absolute(a))                                    \
    INSTRUCTION(sign, sign(a))                                       \
    INSTRUCTION(exp, exponential(a))                                 \
    INSTRUCTION(expm1, exponential_minus_1(a))                       \
    INSTRUCTION(log, logarithm(a))                                   \
    INSTRUCTION(log1p, logarithm_plus_1(a))                          \
    INSTRUCTION(sqrt, square_root(a))                                \
    INSTRUCTION(rsqrt, 1 / square_root(a))                           \
    INSTRUCTION(pow, power(a, b))                                    \
    INSTRUCTION(sin, sine(a))                                        \
    INSTRUCTION(cos, cosine(a))                                      \
    INSTRUCTION(erf, error_function(a))                              \
    INSTRUCTION(tanh, hyperbolic_tangent(a))                         \
    INSTRUCTION(sigmoid, sigmoid(a))                                 \
    INSTRUCTION(relu, rectify(a))                                    \
    INSTRUCTION(softplus, softplus(a, b, c))                         \
    INSTRUCTION(log_sigmoid, log_sigmoid(a))                         \
    INSTRUCTION(clamp, clamp(a, b, c))                               \
    INSTRUCTION(hardtanh, clamp(a, b, c))                            \
    INSTRUCTION(hardsigmoid, hard_sigmoid(a))                        \
    INSTRUCTION(lerp, interpolate(a, b, c))                          \
    INSTRUCTION(maximum, maximum(a, b))                              \
    INSTRUCTION(minimum, minimum(a, b))                              \
    INSTRUCTION(where, choose(a, b, c))                              \
    INSTRUCTION(gt, MASK(a > b))                                     \
    INSTRUCTION(ge, MASK(a >= b))                                    \
    INSTRUCTION(lt, MASK(a < b))                                     \
    INSTRUCTION(le, MASK(a <= b))                                    \
    INSTRUCTION(eq, MASK(a == b))                                    \
    INSTRUCTION(ne, MASK(a != b))                                    \
    INSTRUCTION(logical_and, MASK((a != 0) & (b != 0)))              \
    INSTRUCTION(logical_or, MASK((a != 0) | (b != 0)))               \
    INSTRUCTION(logical_not, MASK(a == 0))                           \
    INSTRUCTION(tanh_backward, a *(1 - b * b))                       \
    INSTRUCTION(sigmoid_backward, a *(1 - b) * b)                    \
    INSTRUCTION(add_sigmoid, sigmoid(a + b))                         \
    INSTRUCTION(add_tanh, hyperbolic_tangent(a + b))                 \
    INSTRUCTION(add_add, a + b + c)                                  \
    INSTRUCTION(add_add_sigmoid, sigmoid(a + b + c))                 \
    INSTRUCTION(add_add_tanh, hyperbolic_tangent(a + b + c))         \
    INSTRUCTION(mul_add, a *b + c)                                   \
    INSTRUCTION(mul_add_sigmoid, sigmoid(a *b + c))                  \
    INSTRUCTION(mul_add_tanh, hyperbolic_tangent(a *b + c))          \
    INSTRUCTION(mul_sub, a *b - c)                                   \
    INSTRUCTION(mul_sub_from, c - a * b)                             \
    INSTRUCTION(mul_mul, a *b *c)                                    \
    INSTRUCTION(sub_mul, (a - b) * c)

#define RNNKIT_ROW_INSTRUCTION_TABLE(INSTRUCTION) \
    INSTRUCTION(row_mean, a + b, width)           \
    INSTRUCTION(row_max, maximum(a, b), 1)
