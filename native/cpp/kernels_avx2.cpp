// The kernels for AVX2 with FMA and F16C.
#define REALTTS_AVX512 0
#include "kernels.inl"

namespace realtts {

namespace {
constexpr Kernels table = {"avx2", quantize, product, norm,      gate,      gelu,      rotate,
                           convert, attend,   most_of, pack_int8, pack_int4, pack_bf16, widen, soften, read};
}  // namespace

const Kernels* const avx2_kernels = &table;

}  // namespace realtts
