// Element-wise functions of vectors, equal to torch's for NaN, infinities and zeros.
//
// NaN passes through comparisons of the form `x > high ? high : x`, whose condition is false for it.
#pragma once
#include <math.h>

#include "vectors.h"

namespace {  // other code in each instruction set

typedef Vector<float> Floats;
typedef Vector<double> Doubles;
typedef VectorOf<float>::Integer FloatBits;
typedef VectorOf<double>::Integer DoubleBits;

#define FOR_FLOATS_AND_DOUBLES(DEFINE) DEFINE(Floats, float, ) DEFINE(Doubles, double, )

template <class V, class F> INLINE V each_lane(V x, F function) {
    V result;
    for (unsigned i = 0; i < sizeof(V) / sizeof(x[0]); i++) result[i] = function(x[i]);
    return result;
}

INLINE Floats absolute(Floats x) { return (Floats)((FloatBits)x & 0x7fffffff); }
INLINE Doubles absolute(Doubles x) { return (Doubles)((DoubleBits)x & 0x7fffffffffffffff); }
INLINE Floats with_sign_of(Floats x, Floats y) {
    return (Floats)(((FloatBits)x & 0x7fffffff) | ((FloatBits)y & (int32_t)0x80000000));
}
INLINE Doubles with_sign_of(Doubles x, Doubles y) {
    return (Doubles)(((DoubleBits)x & 0x7fffffffffffffff) | ((DoubleBits)y & (int64_t)0x8000000000000000));
}

// exp(x) = 2^n exp(r) with |r| <= ln(2) / 2. The factor 2^n is applied in two halves, each a normal number, so that the
// results become denormal and infinite where torch's do. Adding and subtracting `magic` rounds to an integer, which is
// then in the low bits. The polynomial is that of Cephes.
INLINE Floats exponential(Floats x) {
    const float magic = 12582912.0f;
    x = x > 89.0f ? broadcast(89.0f) : x;
    x = x < -104.0f ? broadcast(-104.0f) : x;
    Floats shifted = x * 1.44269504088896341f + magic;
    Floats n = shifted - magic;
    Floats r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    Floats p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    Floats y = p * (r * r) + (r + 1.0f);
    FloatBits exponent = (FloatBits)shifted - 0x4b400000;
    FloatBits half = exponent >> 1;
    return y * (Floats)((half + 127) << 23) * (Floats)((exponent - half + 127) << 23);
}

INLINE Doubles exponential(Doubles x) {
    const double magic = 6755399441055744.0;
    const double factors[] = {1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                              1.0 / 720,       1.0 / 120,      1.0 / 24,      1.0 / 6,      0.5};
    x = x > 710.0 ? broadcast(710.0) : x;
    x = x < -746.0 ? broadcast(-746.0) : x;
    Doubles shifted = x * 1.4426950408889634 + magic;
    Doubles n = shifted - magic;
    Doubles r = (x - n * 6.93145751953125e-1) - n * 1.42860682030941723212e-6;
    Doubles p = broadcast(1.0 / 6227020800);
    for (double factor : factors) p = p * r + factor;
    Doubles y = p * (r * r) + (r + 1.0);
    DoubleBits exponent = (DoubleBits)shifted - 0x4338000000000000;
    DoubleBits half = exponent >> 1;
    return y * (Doubles)((half + 1023) << 52) * (Doubles)((exponent - half + 1023) << 52);
}

template <class V> INLINE V sigmoid(V x) { return 1 / (1 + exponential(-x)); }

// tanh near 0, where 1 - 2 / (exp(2x) + 1) would lose the low digits: Cephes, |x| < 0.625.
INLINE Floats small_tanh(Floats x) {
    Floats z = x * x;
    Floats p = z * -5.70498872745e-3f + 2.06390887954e-2f;
    p = p * z - 5.37397155531e-2f;
    p = p * z + 1.33314422036e-1f;
    p = p * z - 3.33332819422e-1f;
    return p * z * x + x;
}

INLINE Doubles small_tanh(Doubles x) {
    Doubles z = x * x;
    Doubles p = (z * -9.64399179425052238628e-1 - 9.92877231001918586564e1) * z - 1.61468768441708447952e3;
    Doubles q = ((z + 1.12811678491632931402e2) * z + 2.23548839060100448583e3) * z + 4.84406305325125486048e3;
    return x * z * (p / q) + x;
}

template <class V> INLINE V hyperbolic_tangent(V x) {
    V size = absolute(x);
    V large = 1 - 2 / (exponential(size + size) + 1);
    return size < 0.625f ? small_tanh(x) : with_sign_of(large, x);
}

template <class V> INLINE V sign(V x) { return x > 0 ? V{} + 1 : x < 0 ? V{} - 1 : V{}; }
template <class V> INLINE V maximum(V a, V b) { return a > b ? a : a == a ? b : a; }
template <class V> INLINE V minimum(V a, V b) { return a < b ? a : a == a ? b : a; }
template <class V> INLINE V clamp(V x, V low, V high) {
    x = x < low ? low : x;
    return x > high ? high : x;
}
template <class V> INLINE V rectify(V x) { return x < 0 ? V{} : x; }
template <class V> INLINE V hard_sigmoid(V x) { return clamp(x + 3, V{}, V{} + 6) / 6; }
template <class V> INLINE V interpolate(V start, V end, V weight) {
    V difference = end - start;
    return absolute(weight) < 0.5f ? start + weight * difference : end - difference * (1 - weight);
}
template <class V> INLINE V choose(V mask, V value, V other) { return mask != 0 ? value : other; }
template <class B, class V> INLINE V as_number(B mask, V) { return mask ? V{} + 1 : V{}; }

// The scalar functions of libm, which are not used often enough for vectors of their own.
#define SCALAR(name, single, full)                                                                     \
    INLINE Floats name(Floats x) {                                                                     \
        return each_lane(x, [](float lane) { return single(lane); });                                  \
    }                                                                                                  \
    INLINE Doubles name(Doubles x) {                                                                   \
        return each_lane(x, [](double lane) { return full(lane); });                                   \
    }
SCALAR(square_root, __builtin_sqrtf, __builtin_sqrt)
SCALAR(exponential_minus_1, expm1f, expm1)
SCALAR(logarithm, logf, log)
SCALAR(logarithm_plus_1, log1pf, log1p)
SCALAR(sine, sinf, sin)
SCALAR(cosine, cosf, cos)
SCALAR(error_function, erff, erf)
#undef SCALAR

INLINE float scalar_power(float x, float exponent) { return powf(x, exponent); }
INLINE double scalar_power(double x, double exponent) { return pow(x, exponent); }

// The exponent is a constant of the program. torch has the same special cases: sqrt(-inf) is NaN, pow(-inf, 0.5) is not.
template <class V> INLINE V power(V x, V exponent) {
    auto first = exponent[0];
    if (first == 2) return x * x;
    if (first == 0.5f) return square_root(x);
    if (first == -0.5f) return 1 / square_root(x);
    return each_lane(x, [first](auto lane) { return scalar_power(lane, first); });
}
template <class V> INLINE V softplus(V x, V beta, V threshold) {
    return x * beta > threshold ? x : logarithm_plus_1(exponential(x * beta)) / beta;
}
template <class V> INLINE V log_sigmoid(V x) {
    return (x < 0 ? x : V{}) - logarithm_plus_1(exponential(-absolute(x)));
}

}  // namespace
