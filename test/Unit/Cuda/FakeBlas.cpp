#include "FakeBlas.h"

#include "support/Float16.h"

#include <algorithm>
#include <cmath>
#include <cstring>

using namespace tpcrt;
using namespace tpcrt::fake;

namespace {

/// A description of the library: what it was created with, and its attributes.
struct Description {
  std::map<int, uint64_t> attributes;
  cublasComputeType_t compute{};
  cudaDataType_t type{};
  uint64_t rows = 0, columns = 0;
  int64_t stride = 0;

  uint64_t get(int attribute, uint64_t otherwise = 0) const {
    auto found = attributes.find(attribute);
    return found == attributes.end() ? otherwise : found->second;
  }
  /// Elements from the first to behind the last.
  uint64_t extent() const {
    uint64_t batch = get(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 1) - 1;
    return batch * get(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET) +
           (columns - 1) * stride + rows;
  }
};

template <class Handle> Description &described(Handle handle) {
  return *reinterpret_cast<Description *>(handle);
}
template <class Handle>
cublasStatus_t create(Handle *handle, Description made) {
  ++machine().objects["cuBLASLt object"];
  *handle = reinterpret_cast<Handle>(new Description(std::move(made)));
  return CUBLAS_STATUS_SUCCESS;
}
template <class Handle> cublasStatus_t destroy(Handle handle) {
  --machine().objects["cuBLASLt object"];
  delete &described(handle);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set(Description &description, int attribute, const void *value,
                   size_t bytes) {
  uint64_t stored = 0;
  std::memcpy(&stored, value, bytes);
  description.attributes[attribute] = stored;
  return CUBLAS_STATUS_SUCCESS;
}

size_t sizeOf(cudaDataType_t type) {
  return type == CUDA_R_64F ? 8 : type == CUDA_R_32F ? 4 : 2;
}
double load(cudaDataType_t type, const std::byte *at) {
  auto get = [&]<class T>(T value) {
    std::memcpy(&value, at, sizeof(T));
    return value;
  };
  switch (type) {
  case CUDA_R_64F:
    return get(double());
  case CUDA_R_32F:
    return get(float());
  case CUDA_R_16BF:
    return float(get(BFloat16()));
  default:
    return float(get(Half()));
  }
}
void store(cudaDataType_t type, std::byte *at, double value) {
  auto put = [&](auto stored) { std::memcpy(at, &stored, sizeof(stored)); };
  switch (type) {
  case CUDA_R_64F:
    return put(value);
  case CUDA_R_32F:
    return put(float(value));
  case CUDA_R_16BF:
    return put(BFloat16(float(value)));
  default:
    return put(Half(float(value)));
  }
}

double geluTanh(double x) {
  return x / 2 *
         (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

/// What the algorithm was chosen for, inside of cublasLtMatmulAlgo_t.
struct Chosen {
  uint32_t alignA, alignB, alignD;
  uint64_t extentA, extentB, extentD;
};

uint64_t heuristics = 0;

cublasStatus_t entered(const char *function) {
  return machine().called(function) == CUDA_SUCCESS
             ? CUBLAS_STATUS_SUCCESS
             : CUBLAS_STATUS_ALLOC_FAILED;
}

struct Product {
  Description operation, a, b, d;
  const std::byte *left, *right;
  std::byte *result;

  void run() const {
    auto check = [](const char *what, const Description &layout,
                    const void *at) {
      machine().checkRange(what, reinterpret_cast<uint64_t>(at),
                           layout.extent() * sizeOf(layout.type));
    };
    check("a product's left side", a, left);
    check("a product's right side", b, right);
    check("a product's result", d, result);
    for (uint64_t i = 0; i < d.get(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, 1); ++i)
      for (uint64_t column = 0; column < d.columns; ++column)
        for (uint64_t row = 0; row < d.rows; ++row)
          computeElement(i, row, column);
  }

  static const std::byte *at(const Description &layout, const std::byte *base,
                             uint64_t batch, uint64_t row, uint64_t column) {
    int64_t offset =
        int64_t(batch) *
            int64_t(layout.get(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET)) +
        int64_t(column) * layout.stride + int64_t(row);
    return base + offset * int64_t(sizeOf(layout.type));
  }

  void computeElement(uint64_t batch, uint64_t row, uint64_t column) const {
    bool transA = operation.get(CUBLASLT_MATMUL_DESC_TRANSA) == CUBLAS_OP_T;
    bool transB = operation.get(CUBLASLT_MATMUL_DESC_TRANSB) == CUBLAS_OP_T;
    uint64_t inner = transA ? a.rows : a.columns;
    double sum = 0;
    for (uint64_t k = 0; k < inner; ++k)
      sum += load(a.type, transA ? at(a, left, batch, k, row)
                                 : at(a, left, batch, row, k)) *
             load(b.type, transB ? at(b, right, batch, column, k)
                                 : at(b, right, batch, k, column));
    uint64_t epilogue = operation.get(CUBLASLT_MATMUL_DESC_EPILOGUE);
    if (epilogue == CUBLASLT_EPILOGUE_BIAS ||
        epilogue == CUBLASLT_EPILOGUE_GELU_BIAS) {
      uint64_t bias = operation.get(CUBLASLT_MATMUL_DESC_BIAS_POINTER) +
                      row * sizeOf(d.type);
      machine().checkRange("a bias", bias, sizeOf(d.type));
      sum += load(d.type, reinterpret_cast<const std::byte *>(bias));
    }
    if (epilogue == CUBLASLT_EPILOGUE_GELU ||
        epilogue == CUBLASLT_EPILOGUE_GELU_BIAS)
      sum = geluTanh(sum);
    store(d.type, const_cast<std::byte *>(at(d, result, batch, row, column)),
          sum);
  }
};

} // namespace

extern "C" {

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle) {
  if (auto failed = entered("cublasLtCreate"))
    return failed;
  return create(handle, {});
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  return destroy(handle);
}
size_t cublasLtGetVersion() { return CUBLAS_VERSION; }
const char *cublasLtGetStatusString(cublasStatus_t) { return "out of memory"; }

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *handle,
                                        cublasComputeType_t compute,
                                        cudaDataType_t type) {
  if (auto failed = entered("cublasLtMatmulDescCreate"))
    return failed;
  return create(handle, {.attributes = {}, .compute = compute, .type = type});
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t handle) {
  return destroy(handle);
}
cublasStatus_t
cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t handle,
                               cublasLtMatmulDescAttributes_t attribute,
                               const void *value, size_t bytes) {
  return set(described(handle), attribute, value, bytes);
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *handle,
                                          cudaDataType_t type, uint64_t rows,
                                          uint64_t columns, int64_t stride) {
  if (auto failed = entered("cublasLtMatrixLayoutCreate"))
    return failed;
  if (rows == 0 || columns == 0 || stride < int64_t(rows))
    return CUBLAS_STATUS_INVALID_VALUE;
  return create(handle, {{}, {}, type, rows, columns, stride});
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t handle) {
  return destroy(handle);
}
cublasStatus_t
cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t handle,
                                 cublasLtMatrixLayoutAttribute_t attribute,
                                 const void *value, size_t bytes) {
  return set(described(handle), attribute, value, bytes);
}

cublasStatus_t
cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *handle) {
  if (auto failed = entered("cublasLtMatmulPreferenceCreate"))
    return failed;
  return create(handle, {});
}
cublasStatus_t
cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t handle) {
  return destroy(handle);
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(
    cublasLtMatmulPreference_t handle,
    cublasLtMatmulPreferenceAttributes_t attribute, const void *value,
    size_t bytes) {
  return set(described(handle), attribute, value, bytes);
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(
    cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t a,
    cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t d,
    cublasLtMatmulPreference_t preference, int,
    cublasLtMatmulHeuristicResult_t *found, int *count) {
  if (auto failed = entered("cublasLtMatmulAlgoGetHeuristic"))
    return failed;
  ++heuristics;
  const Description &wanted = described(preference);
  Chosen chosen{
      uint32_t(wanted.get(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, 256)),
      uint32_t(wanted.get(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, 256)),
      uint32_t(wanted.get(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, 256)),
      described(a).extent(),
      described(b).extent(),
      described(d).extent()};
  static_assert(sizeof(chosen) <= sizeof(found->algo));
  std::memcpy(&found->algo, &chosen, sizeof(chosen));
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t operation,
                              const void *alpha, const void *a,
                              cublasLtMatrixLayout_t aLayout, const void *b,
                              cublasLtMatrixLayout_t bLayout, const void *beta,
                              const void *, cublasLtMatrixLayout_t, void *d,
                              cublasLtMatrixLayout_t dLayout,
                              const cublasLtMatmulAlgo_t *algorithm,
                              void *workspace, size_t bytes,
                              cudaStream_t stream) {
  if (auto failed = entered("cublasLtMatmul"))
    return failed;
  const Description &wanted = described(operation);
  bool is64 = wanted.type == CUDA_R_64F;
  double factors[2];
  for (int i = 0; i < 2; ++i) {
    const void *from = i ? beta : alpha;
    factors[i] = is64 ? *static_cast<const double *>(from)
                      : double(*static_cast<const float *>(from));
  }
  if (factors[0] != 1 || factors[1] != 0)
    machine().misused("a product with factors");
  Chosen chosen;
  std::memcpy(&chosen, algorithm, sizeof(chosen));
  auto aligned = [](const void *pointer, uint32_t alignment) {
    return reinterpret_cast<uint64_t>(pointer) % alignment == 0;
  };
  if (!aligned(a, chosen.alignA) || !aligned(b, chosen.alignB) ||
      !aligned(d, chosen.alignD))
    machine().misused("an operand is less aligned than the algorithm wants");
  Product product{wanted,
                  described(aLayout),
                  described(bLayout),
                  described(dLayout),
                  static_cast<const std::byte *>(a),
                  static_cast<const std::byte *>(b),
                  static_cast<std::byte *>(d)};
  if (chosen.extentA != product.a.extent() ||
      chosen.extentB != product.b.extent() ||
      chosen.extentD != product.d.extent())
    machine().misused("the algorithm was chosen for another problem");
  machine().enqueue(stream, "product", [=] {
    machine().checkRange("the workspace", reinterpret_cast<uint64_t>(workspace),
                         bytes);
    product.run();
  });
  return CUBLAS_STATUS_SUCCESS;
}

} // extern "C"

BlasLibrary tpcrt::fake::blas() {
  BlasLibrary table;
#define FILL(function) table.function = &::function;
  TPCRT_BLAS_FUNCTIONS(FILL)
#undef FILL
  return table;
}

uint64_t tpcrt::fake::heuristicCalls() { return heuristics; }
