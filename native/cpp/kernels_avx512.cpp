// The kernels for AVX-512 with VNNI.
#define REALTTS_AVX512 1
#include "kernels.inl"

namespace realtts {

namespace {
constexpr Kernels table = {"avx512vnni", quantize, product, norm,      gate,      gelu,      rotate,
                           convert,       attend,   most_of, pack_int8, pack_int4, pack_bf16, widen, soften, read};
}  // namespace

const Kernels* const avx512_kernels = &table;

}  // namespace realtts
