// Vectors of VECTOR_BYTES bytes by the extension that gcc and clang share: one source for all instruction sets.
#pragma once
#include <stdint.h>

#define INLINE static inline __attribute__((always_inline))

namespace {  // other code in each instruction set

template <class S> struct VectorOf;
template <> struct VectorOf<float> {
    typedef float Type __attribute__((vector_size(VECTOR_BYTES)));
    typedef float Unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(4), may_alias));
    typedef int32_t Integer __attribute__((vector_size(VECTOR_BYTES)));
};
template <> struct VectorOf<double> {
    typedef double Type __attribute__((vector_size(VECTOR_BYTES)));
    typedef double Unaligned __attribute__((vector_size(VECTOR_BYTES), aligned(8), may_alias));
    typedef int64_t Integer __attribute__((vector_size(VECTOR_BYTES)));
};
template <class S> using Vector = typename VectorOf<S>::Type;
template <class S> constexpr int64_t lanes = VECTOR_BYTES / sizeof(S);

template <class S> INLINE Vector<S> broadcast(S value) { return Vector<S>{} + value; }

template <class S> INLINE Vector<S> load(const S *from) {
    return *(const typename VectorOf<S>::Unaligned *)from;
}

template <class S> INLINE void store(S *to, Vector<S> value) { *(typename VectorOf<S>::Unaligned *)to = value; }

// Load and store the first `count` lanes only: what follows in memory may belong to another tensor.
template <class S> INLINE Vector<S> load_some(const S *from, int64_t count) {
    Vector<S> value = {};
    for (int64_t i = 0; i < count; i++) value[i] = from[i];
    return value;
}

template <class S> INLINE void store_some(S *to, Vector<S> value, int64_t count) {
    for (int64_t i = 0; i < count; i++) to[i] = value[i];
}

}  // namespace
