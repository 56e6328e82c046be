// Chooses how oneDNN runs a matmul step: element types, operands as they lie or
// staged, packed weights. It tries from the fastest to the most general, and
// takes the first for which oneDNN has an optimized kernel.
#include "device/cpu/Matmul.h"
#include "support/Fail.h"

using namespace tpcrt;

namespace tpcrt {

class MatmulPlanner {
public:
  MatmulPlanner(const MatmulStep &step, MatmulContext &context)
      : step(step), context(context) {
    matmul.form = normalize(step);
  }

  Result<Matmul> plan();

private:
  struct Types {
    ElementType a, b, c;
  };

  void splitBatch();
  bool tryTypes(Types types);
  bool tryFusedOrNot(Types types);
  bool tryLayouts(Types types, bool dense);
  void placeEpilogue(Types types);
  bool tryPrimitive(const dnnl::memory::desc &weights);
  dnnl::post_ops postOps() const;
  bool tryBlocked();
  uint64_t reserve(uint64_t size);
  void placeScratch();
  PackedWeights weightsKey() const;
  MatmulOperand operand(const MatrixView &view, int64_t batchStride,
                        ElementType type, bool dense) const;

  const MatmulStep &step;
  MatmulContext &context;
  Matmul matmul;
};

} // namespace tpcrt

namespace {

using Desc = dnnl::memory::desc;

bool runsInLibrary(ElementType type) {
  return type == ElementType::F32 || type == ElementType::BF16 ||
         type == ElementType::F16;
}

/// Gives dimensions of size 1 the stride that makes the matrix look dense.
MatrixView withUsualStrides(MatrixView view) {
  if (view.cols == 1 && view.rowStride != 1)
    view.colStride = 1;
  if (view.cols == 1 && view.rowStride == 1)
    view.colStride = view.rows;
  if (view.rows == 1)
    view.rowStride = view.colStride == 1 ? view.cols : 1;
  return view;
}

/// Whether one dimension is contiguous and the other steps over it.
bool liesAsMatrix(const MatrixView &view) {
  return (view.colStride == 1 && view.rowStride >= int64_t(view.cols)) ||
         (view.rowStride == 1 && view.colStride >= int64_t(view.rows));
}

Desc makeDesc(const MatrixView &view, uint64_t batch, int64_t batchStride,
              ElementType type) {
  dnnl::memory::dims dims, strides;
  if (batch > 0) {
    dims.push_back(batchStride == 0 ? 1 : batch);
    strides.push_back(batchStride == 0 ? view.rows * view.cols : batchStride);
  }
  dims.insert(dims.end(), {int64_t(view.rows), int64_t(view.cols)});
  strides.insert(strides.end(), {view.rowStride, view.colStride});
  return Desc(dims, libraryType(type), strides);
}

MatrixView denseView(const MatrixView &view) {
  return {view.type, view.rows, view.cols, int64_t(view.cols), 1};
}

} // namespace

dnnl::memory::data_type tpcrt::libraryType(ElementType type) {
  return type == ElementType::BF16 ? dnnl::memory::data_type::bf16
                                   : dnnl::memory::data_type::f32;
}

bool PackedWeights::holdsSame(const PackedWeights &other) const {
  return ref == other.ref && view == other.view && batch == other.batch &&
         batchStride == other.batchStride && type == other.type &&
         panelColumns == other.panelColumns;
}

uint64_t PackedWeights::bytes() const {
  return desc.get_size() * (panelColumns ? batch * panels() : 1);
}

std::optional<dnnl::matmul::primitive_desc>
tpcrt::findProduct(const dnnl::engine &engine, const Desc &a, const Desc &b,
                   const Desc &c, const Desc *bias, const dnnl::post_ops &ops) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  attributes.set_post_ops(ops);
  dnnl::matmul::desc desc =
      bias ? dnnl::matmul::desc(a, b, *bias, c) : dnnl::matmul::desc(a, b, c);
  dnnl::matmul::primitive_desc descriptor(desc, attributes, engine,
                                          /*allow_empty=*/true);
  if (!descriptor.get(true) ||
      std::string_view(descriptor.impl_info_str()).starts_with("ref"))
    return std::nullopt;
  return descriptor;
}

Result<Matmul> Matmul::create(const MatmulStep &step, MatmulContext &context) {
  try {
    return MatmulPlanner(step, context).plan();
  } catch (const dnnl::error &error) {
    return fail("oneDNN cannot plan the matmul: {} (status {})", error.what(),
                static_cast<int>(error.status));
  }
}

std::string Matmul::implementation() const {
  if (simple)
    return "loops";
  if (blocked)
    return blocked->kernels->name;
  return std::string(descriptor.impl_info_str()) + (fused ? "" : " + loops");
}

Result<Matmul> MatmulPlanner::plan() {
  const MatmulForm &form = matmul.form;
  if (form.isEmpty() || form.k() == 0 || !runsInLibrary(form.c.type))
    return std::move(matmul);
  splitBatch();
  auto exact = [](ElementType type) {
    return type == ElementType::F16 ? ElementType::F32 : type;
  };
  Types own{exact(form.a.type), exact(form.b.type), exact(form.c.type)};
  Types wide{ElementType::F32, ElementType::F32, ElementType::F32};
  if (!(own.a == own.b && tryFusedOrNot(own)) && !tryFusedOrNot(wide))
    return fail("oneDNN has no kernel for a matmul of {} x {} x {}", form.m(),
                form.k(), form.n());
  matmul.simple = false;
  if (tryBlocked())
    return std::move(matmul);
  matmul.primitive = dnnl::matmul(matmul.descriptor);
  placeScratch();
  return std::move(matmul);
}

/// The primitive takes the batch dimension that saves most executions.
void MatmulPlanner::splitBatch() {
  matmul.outer = matmul.form.batch;
  auto largest = std::max_element(
      matmul.outer.begin(), matmul.outer.end(),
      [](const auto &x, const auto &y) { return x.size < y.size; });
  if (largest == matmul.outer.end())
    return;
  // The results of a broadcast c would overwrite each other in any order.
  if (largest->cStride <= 0)
    return;
  matmul.batch = *largest;
  matmul.outer.erase(largest);
}

MatmulOperand MatmulPlanner::operand(const MatrixView &view,
                                     int64_t batchStride, ElementType type,
                                     bool dense) const {
  MatmulOperand result;
  result.type = type;
  MatrixView usual = withUsualStrides(view);
  uint64_t batch = matmul.batch.size;
  result.staged =
      dense || type != view.type || !liesAsMatrix(usual) || batchStride < 0;
  result.desc =
      result.staged
          ? makeDesc(denseView(view), batch,
                     batchStride == 0 ? 0 : view.rows * view.cols, type)
          : makeDesc(usual, batch, batchStride, type);
  return result;
}

bool MatmulPlanner::tryFusedOrNot(Types types) {
  matmul.fused = true;
  if (tryTypes(types))
    return true;
  if (step.epilogue.empty())
    return false;
  matmul.fused = false;
  types.c = ElementType::F32;
  return tryTypes(types);
}

bool MatmulPlanner::tryTypes(Types types) {
  return tryLayouts(types, false) || tryLayouts(types, true);
}

PackedWeights MatmulPlanner::weightsKey() const {
  PackedWeights key;
  key.ref = step.b;
  key.view = matmul.form.b;
  bool batched = matmul.batch.size > 0 && matmul.batch.bStride != 0;
  key.batch = batched ? matmul.batch.size : 1;
  key.batchStride = batched ? matmul.batch.bStride : 0;
  return key;
}

bool MatmulPlanner::tryLayouts(Types types, bool dense) {
  const MatmulForm &form = matmul.form;
  auto stage = [&](const MatrixView &view) {
    return dense &&
           !(view.colStride == 1 && view.rowStride == int64_t(view.cols));
  };
  matmul.a = operand(form.a, matmul.batch.aStride, types.a, stage(form.a));
  matmul.b = operand(form.b, matmul.batch.bStride, types.b, stage(form.b));
  matmul.c = operand(form.c, matmul.batch.cStride, types.c, stage(form.c));
  // c is written through strides only where its rows are contiguous.
  if (!matmul.c.staged && withUsualStrides(form.c).colStride != 1)
    matmul.c = operand(form.c, matmul.batch.cStride, types.c, true);
  placeEpilogue(types);

  bool packable = step.packB && !matmul.form.swapped;
  for (const MatmulBatchDim &dim : matmul.outer)
    packable &= dim.bStride == 0;
  if (!packable)
    return tryPrimitive(matmul.b.desc);

  PackedWeights key = weightsKey();
  key.type = types.b;
  matmul.packed = context.find(key, [&](const Desc &desc) {
    return desc.data.ndims == matmul.b.desc.data.ndims && tryPrimitive(desc);
  });
  if (matmul.packed >= 0) {
    matmul.b.staged = false;
    return true;
  }
  Desc any(matmul.b.desc.dims(), matmul.b.desc.data_type(),
           dnnl::memory::format_tag::any);
  if (!tryPrimitive(any))
    return tryPrimitive(matmul.b.desc);
  key.desc = matmul.descriptor.weights_desc();
  // oneDNN may like the weights best as they lie.
  if (key.desc == matmul.b.desc && !matmul.b.staged)
    return true;
  matmul.packed = context.packed.size();
  matmul.b.staged = false;
  matmul.b.desc = key.desc;
  context.packed.push_back(key);
  return true;
}

/// Without fusion c is the f32 sums.
void MatmulPlanner::placeEpilogue(Types types) {
  const MatmulForm &form = matmul.form;
  matmul.hasBias = step.epilogue.bias.has_value();
  matmul.bias = {};
  if (!matmul.fused)
    matmul.c = operand(form.c, matmul.batch.cStride, types.c, true);
  else if (matmul.hasBias)
    matmul.bias = operand(biasView(form), 0, types.c, false);
}

dnnl::post_ops MatmulPlanner::postOps() const {
  using dnnl::algorithm;
  dnnl::post_ops ops;
  auto activate = [&](algorithm kind, float alpha = 0) {
    ops.append_eltwise(1, kind, alpha, 0);
  };
  switch (step.epilogue.activation) {
  case Activation::None:
    break;
  case Activation::GeluErf:
    activate(algorithm::eltwise_gelu_erf);
    break;
  case Activation::GeluTanh:
    activate(algorithm::eltwise_gelu_tanh);
    break;
  case Activation::Silu:
    activate(algorithm::eltwise_swish, 1);
    break;
  case Activation::Tanh:
    activate(algorithm::eltwise_tanh);
    break;
  }
  return ops;
}

/// True if oneDNN has an optimized kernel for the operands' descriptors.
bool MatmulPlanner::tryPrimitive(const Desc &weights) {
  bool bias = matmul.fused && matmul.hasBias;
  auto found = findProduct(context.engine, matmul.a.desc, weights,
                           matmul.c.desc, bias ? &matmul.bias.desc : nullptr,
                           matmul.fused ? postOps() : dnnl::post_ops());
  if (found)
    matmul.descriptor = *found;
  return found.has_value();
}

/// True if our own kernels multiply by the packed weights faster.
bool MatmulPlanner::tryBlocked() {
  const MatmulForm &form = matmul.form;
  if (matmul.packed < 0 || !form.batch.empty() ||
      withUsualStrides(form.c).colStride != 1)
    return false;
  const PackedWeights &weights = context.packed[matmul.packed];
  std::optional<BlockedWeights> blocks = asBlocked(weights.desc);
  const BlockedKernels *kernels = chooseBlockedKernels(weights.type, form.m());
  if (!blocks || !kernels)
    return false;
  int64_t element = byteSize(weights.type);
  Matmul::Blocked &blocked = matmul.blocked.emplace();
  blocked.kernels = kernels;
  BlockedProduct &shape = blocked.shape;
  shape.type = weights.type;
  shape.m = form.m(), shape.n = form.n(), shape.k = form.k();
  shape.columns = blocks->columns;
  shape.blockBytes = blocks->blockBytes;
  shape.cRowStride = form.c.rowStride;
  shape.cType = form.c.type;
  shape.activation = form.activation;
  bool whole = kernels->readsOdd || shape.k * element % 4 == 0;
  blocked.staged = form.a.type != weights.type ||
                   withUsualStrides(form.a).colStride != 1 || !whole;
  shape.aRowBytes = blocked.staged ? (shape.k * element + 3) / 4 * 4
                                   : form.a.rowStride * element;
  if (blocked.staged)
    blocked.stageOffset = reserve(shape.m * shape.aRowBytes);
  blocked.scratchOffset = reserve(kernels->scratchBytes(shape));
  return true;
}

uint64_t MatmulPlanner::reserve(uint64_t size) {
  uint64_t offset = matmul.scratchSize;
  matmul.scratchSize += (size + 63) / 64 * 64;
  return offset;
}

void MatmulPlanner::placeScratch() {
  for (MatmulOperand *operand : {&matmul.a, &matmul.b, &matmul.c, &matmul.bias})
    if (operand->staged)
      operand->stageOffset = reserve(operand->desc.get_size());
  matmul.scratchpadOffset =
      reserve(matmul.descriptor.scratchpad_desc().get_size());
}
