#include "device/cuda/Blas.h"

using namespace tpcrt;

Result<BlasLibrary> BlasLibrary::load() {
  TPCRT_ASSIGN(
      SharedLibrary library,
      SharedLibrary::open({"libcublasLt.so.13", "libcublasLt.so.12"},
                          "install cuBLAS of CUDA 12 or 13 and have its folder "
                          "in LD_LIBRARY_PATH"));
  BlasLibrary table;
  TPCRT_BLAS_FUNCTIONS(TPCRT_FIND_FUNCTION)
  return table;
}

Result<void> BlasLibrary::check(cublasStatus_t status,
                                const char *function) const {
  if (status == CUBLAS_STATUS_SUCCESS)
    return {};
  return fail("{}: {}", function, cublasLtGetStatusString(status));
}

#define TPCRT_BLAS(library, function, ...)                                     \
  (library).check((library).function(__VA_ARGS__), #function)

namespace {

/// How the library names a product's types.
struct ProductTypes {
  cudaDataType_t operand, result, scale;
  cublasComputeType_t compute;
};

std::optional<ProductTypes> typesOf(const MatmulStep &step, bool tf32) {
  if (step.aType != step.bType)
    return std::nullopt;
  bool same = step.cType == step.aType;
  switch (step.aType) {
  case ElementType::F32:
    if (!same)
      return std::nullopt;
    return ProductTypes{CUDA_R_32F, CUDA_R_32F, CUDA_R_32F,
                        tf32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                             : CUBLAS_COMPUTE_32F};
  case ElementType::F64:
    if (!same)
      return std::nullopt;
    return ProductTypes{CUDA_R_64F, CUDA_R_64F, CUDA_R_64F, CUBLAS_COMPUTE_64F};
  case ElementType::BF16:
  case ElementType::F16: {
    if (!same && step.cType != ElementType::F32)
      return std::nullopt;
    auto type = step.aType == ElementType::BF16 ? CUDA_R_16BF : CUDA_R_16F;
    return ProductTypes{type, same ? type : CUDA_R_32F, CUDA_R_32F,
                        CUBLAS_COMPUTE_32F};
  }
  default:
    return std::nullopt;
  }
}

std::optional<cublasLtEpilogue_t> epilogueOf(const MatmulEpilogue &epilogue) {
  bool bias = epilogue.bias.has_value();
  switch (epilogue.activation) {
  case Activation::None:
    return bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
  case Activation::GeluTanh:
    return bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  default:
    return std::nullopt;
  }
}

/// The most that both addresses are aligned to, up to what the library asks.
uint32_t alignmentOf(CUdeviceptr address) {
  constexpr uint64_t most = 256;
  return 1u << std::countr_zero(uint64_t(address) | most);
}

template <class Object>
using Owned = std::unique_ptr<Object, cublasStatus_t (*)(Object *)>;

} // namespace

Result<ProductForm> tpcrt::checkProduct(const MatmulStep &step) {
  if (!typesOf(step, false))
    return fail("expected a product of f32 or f64, or of bf16 or f16 into the "
                "same type or f32, which is what cuBLASLt computes, found {} x "
                "{} into {}; compile it for the device 'cuda', which leaves it "
                "to a kernel",
                typeName(step.aType), typeName(step.bType),
                typeName(step.cType));
  if (!epilogueOf(step.epilogue))
    return fail("expected no activation or gelu_tanh, which are what cuBLASLt "
                "computes with a product, found {}; compile it for the device "
                "'cuda', which leaves it to a kernel",
                activationName(step.epilogue.activation));
  if (step.k == 0)
    return fail("expected a product over at least one element, found none; "
                "compile it for the device 'cuda', which leaves it to a "
                "kernel");
  return productForm(step);
}

namespace tpcrt {

/// One matmul step. The library's descriptions of it are made once.
class BlasProduct final : public GpuOperation {
public:
  static Result<std::unique_ptr<GpuOperation>>
  create(Blas &blas, const MatmulStep &step, const Blas::Operands &operands);

  Result<void> enqueue(CUstream stream) override;
  std::string implementation() const override;

private:
  BlasProduct(Blas &blas, const ProductForm &form)
      : blas(blas), form(form),
        description(nullptr, blas.library.cublasLtMatmulDescDestroy),
        left(nullptr, blas.library.cublasLtMatrixLayoutDestroy),
        right(nullptr, blas.library.cublasLtMatrixLayoutDestroy),
        result(nullptr, blas.library.cublasLtMatrixLayoutDestroy) {}

  using Layout = Owned<cublasLtMatrixLayoutOpaque_t>;
  Result<void> describe(const MatmulStep &step, const Blas::Operands &operands);
  Result<void> describe(Layout &layout, const StoredMatrix &matrix,
                        cudaDataType_t type, int64_t batchStride);
  Result<void> chooseAlgorithm(const MatmulStep &step);
  Result<cublasLtMatmulAlgo_t> askForAlgorithm(const MatmulStep &step);
  template <class Value>
  Result<void> set(cublasLtMatmulDescAttributes_t attribute,
                   const Value &value) {
    return TPCRT_BLAS(blas.library, cublasLtMatmulDescSetAttribute,
                      description.get(), attribute, &value, sizeof(value));
  }

  /// The addresses of one call.
  struct Call {
    CUdeviceptr left, right, result;
  };
  std::vector<Call> callsOf(const MatmulStep &step,
                            const Blas::Operands &operands) const;
  /// What the addresses of all calls are aligned to.
  uint32_t alignment(CUdeviceptr Call::*operand) const;

  Blas &blas;
  ProductForm form;
  ProductTypes types{};
  Owned<cublasLtMatmulDescOpaque_t> description;
  Layout left, right, result;
  std::vector<Call> calls;
  CUdeviceptr workspace = 0;
  cublasLtMatmulAlgo_t algorithm{};
};

} // namespace tpcrt

Result<void> BlasProduct::describe(Layout &layout, const StoredMatrix &matrix,
                                   cudaDataType_t type, int64_t batchStride) {
  const BlasLibrary &library = blas.library;
  cublasLtMatrixLayout_t created = nullptr;
  TPCRT_TRY(TPCRT_BLAS(library, cublasLtMatrixLayoutCreate, &created, type,
                       matrix.rows, matrix.columns, matrix.stride));
  layout.reset(created);
  if (form.batch.size == 1)
    return {};
  auto count = int32_t(form.batch.size);
  TPCRT_TRY(TPCRT_BLAS(library, cublasLtMatrixLayoutSetAttribute, created,
                       CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count,
                       sizeof(count)));
  return TPCRT_BLAS(library, cublasLtMatrixLayoutSetAttribute, created,
                    CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &batchStride,
                    sizeof(batchStride));
}

Result<void> BlasProduct::describe(const MatmulStep &step,
                                   const Blas::Operands &operands) {
  cublasLtMatmulDesc_t created = nullptr;
  TPCRT_TRY(TPCRT_BLAS(blas.library, cublasLtMatmulDescCreate, &created,
                       types.compute, types.scale));
  description.reset(created);
  auto operation = [](const StoredMatrix &matrix) {
    return matrix.transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
  };
  TPCRT_TRY(set(CUBLASLT_MATMUL_DESC_TRANSA, operation(form.left)));
  TPCRT_TRY(set(CUBLASLT_MATMUL_DESC_TRANSB, operation(form.right)));
  TPCRT_TRY(set(CUBLASLT_MATMUL_DESC_EPILOGUE, *epilogueOf(step.epilogue)));
  if (step.epilogue.bias)
    TPCRT_TRY(set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, operands.bias));

  int64_t leftStride = form.batch.aStride, rightStride = form.batch.bStride;
  if (form.swapped)
    std::swap(leftStride, rightStride);
  TPCRT_TRY(describe(left, form.left, types.operand, leftStride));
  TPCRT_TRY(describe(right, form.right, types.operand, rightStride));
  return describe(result, form.result, types.result, form.batch.cStride);
}

std::vector<BlasProduct::Call>
BlasProduct::callsOf(const MatmulStep &step,
                     const Blas::Operands &operands) const {
  std::vector<Call> calls{{operands.a, operands.b, operands.c}};
  for (const MatmulBatchDim &loop : form.loops) {
    std::vector<Call> more;
    for (const Call &call : calls)
      for (uint64_t i = 0; i < loop.size; ++i)
        more.push_back({call.left + i * loop.aStride * byteSize(step.aType),
                        call.right + i * loop.bStride * byteSize(step.bType),
                        call.result + i * loop.cStride * byteSize(step.cType)});
    calls = std::move(more);
  }
  if (form.swapped)
    for (Call &call : calls)
      std::swap(call.left, call.right);
  return calls;
}

uint32_t BlasProduct::alignment(CUdeviceptr Call::*operand) const {
  CUdeviceptr all = 0;
  for (const Call &call : calls)
    all |= call.*operand;
  return alignmentOf(all);
}

Result<cublasLtMatmulAlgo_t>
BlasProduct::askForAlgorithm(const MatmulStep &step) {
  const BlasLibrary &library = blas.library;
  cublasLtMatmulPreference_t created = nullptr;
  TPCRT_TRY(TPCRT_BLAS(library, cublasLtMatmulPreferenceCreate, &created));
  Owned<cublasLtMatmulPreferenceOpaque_t> preference(
      created, library.cublasLtMatmulPreferenceDestroy);
  auto prefer = [&](cublasLtMatmulPreferenceAttributes_t attribute,
                    auto value) {
    return TPCRT_BLAS(library, cublasLtMatmulPreferenceSetAttribute, created,
                      attribute, &value, sizeof(value));
  };
  TPCRT_TRY(prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                   uint64_t(Blas::workspaceBytes)));
  TPCRT_TRY(prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES,
                   alignment(&Call::left)));
  TPCRT_TRY(prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                   alignment(&Call::right)));
  for (auto attribute : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES,
                         CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    TPCRT_TRY(prefer(attribute, alignment(&Call::result)));
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  TPCRT_TRY(TPCRT_BLAS(library, cublasLtMatmulAlgoGetHeuristic, blas.handle,
                       description.get(), left.get(), right.get(), result.get(),
                       result.get(), created, 1, &found, &count));
  if (count == 0)
    return fail("cuBLASLt has no algorithm for {} x {} x {} of {}", step.m,
                step.n, step.k, typeName(step.aType));
  return found.algo;
}

Result<void> BlasProduct::chooseAlgorithm(const MatmulStep &step) {
  std::vector<int64_t> problem{int64_t(step.aType),
                               int64_t(step.cType),
                               int64_t(form.inner),
                               int64_t(*epilogueOf(step.epilogue)),
                               int64_t(form.batch.size),
                               form.batch.aStride,
                               form.batch.bStride,
                               form.batch.cStride,
                               form.swapped,
                               alignment(&Call::left),
                               alignment(&Call::right),
                               alignment(&Call::result)};
  for (const StoredMatrix *matrix : {&form.left, &form.right, &form.result})
    problem.insert(problem.end(),
                   {int64_t(matrix->rows), int64_t(matrix->columns),
                    matrix->stride, matrix->transposed});
  auto known = blas.algorithms.find(problem);
  if (known == blas.algorithms.end()) {
    TPCRT_ASSIGN(cublasLtMatmulAlgo_t found, askForAlgorithm(step));
    known = blas.algorithms.emplace(std::move(problem), found).first;
  }
  algorithm = known->second;
  return {};
}

Result<std::unique_ptr<GpuOperation>>
BlasProduct::create(Blas &blas, const MatmulStep &step,
                    const Blas::Operands &operands) {
  TPCRT_ASSIGN(ProductForm form, checkProduct(step));
  std::unique_ptr<BlasProduct> product(new BlasProduct(blas, form));
  if (form.empty())
    return product;
  product->types = *typesOf(step, blas.tf32);
  product->workspace = operands.workspace;
  product->calls = product->callsOf(step, operands);
  TPCRT_TRY(product->describe(step, operands));
  TPCRT_TRY(product->chooseAlgorithm(step));
  return product;
}

Result<void> BlasProduct::enqueue(CUstream stream) {
  float one = 1, zero = 0;
  double one64 = 1, zero64 = 0;
  bool is64 = types.scale == CUDA_R_64F;
  const void *alpha = is64 ? static_cast<void *>(&one64) : &one;
  const void *beta = is64 ? static_cast<void *>(&zero64) : &zero;
  auto pointer = [](CUdeviceptr address) {
    return reinterpret_cast<void *>(address);
  };
  for (const Call &call : calls)
    TPCRT_TRY(TPCRT_BLAS(
        blas.library, cublasLtMatmul, blas.handle, description.get(), alpha,
        pointer(call.left), left.get(), pointer(call.right), right.get(), beta,
        pointer(call.result), result.get(), pointer(call.result), result.get(),
        &algorithm, pointer(workspace), Blas::workspaceBytes, stream));
  return {};
}

std::string BlasProduct::implementation() const {
  std::string text = types.compute == CUBLAS_COMPUTE_32F_FAST_TF32
                         ? "cublasLt tf32"
                         : "cublasLt";
  if (calls.size() > 1)
    text += fmt::format(", {} calls", calls.size());
  return text;
}

Result<std::shared_ptr<Blas>> Blas::create(const BlasLibrary &library,
                                           const std::shared_ptr<Gpu> &gpu,
                                           bool tf32) {
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*gpu));
  std::shared_ptr<Blas> blas(new Blas(library, gpu, tf32));
  TPCRT_TRY(TPCRT_BLAS(library, cublasLtCreate, &blas->handle));
  return blas;
}

Blas::~Blas() {
  if (!handle || gpu->isStuck())
    return;
  if (auto scope = GpuScope::enter(*gpu))
    library.cublasLtDestroy(handle);
}

Result<std::unique_ptr<GpuOperation>> Blas::prepare(const MatmulStep &step,
                                                    const Operands &operands) {
  TPCRT_ASSIGN(GpuScope scope, GpuScope::enter(*gpu));
  return BlasProduct::create(*this, step, operands);
}
