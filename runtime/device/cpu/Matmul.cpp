// Runs planned matmuls on a device's operands, and packs weights.
#include "device/cpu/Matmul.h"

#include "support/Fail.h"
#include "support/StridedCopy.h"

#include <cstring>

using namespace tpcrt;

namespace {

/// The dimensions in which to copy between an operand and its dense copy.
std::vector<CopyDim> stagingDims(const MatrixView &view, uint64_t batch,
                                 int64_t batchStride) {
  // [batch, rows, cols], dense in dst.
  std::vector<CopyDim> dims;
  if (batch > 0 && batchStride != 0)
    dims.push_back({batch, int64_t(view.rows * view.cols), batchStride});
  dims.push_back({view.rows, int64_t(view.cols), view.rowStride});
  dims.push_back({view.cols, 1, view.colStride});
  return dims;
}

std::vector<CopyDim> reversed(std::vector<CopyDim> dims) {
  for (CopyDim &dim : dims)
    std::swap(dim.dstStride, dim.srcStride);
  return dims;
}

Error describe(const dnnl::error &error) {
  return {fmt::format("oneDNN: {} (status {})", error.what(),
                      static_cast<int>(error.status))};
}

} // namespace

DeviceMatmul::DeviceMatmul(const Matmul &matmul, const MatmulContext &context,
                           const MatmulPointers &operands, std::byte *scratch)
    : matmul(&matmul), base(operands), scratch(scratch) {
  if (matmul.form.swapped)
    std::swap(base.a, base.b);
  if (matmul.simple)
    return;
  if (matmul.blocked) {
    const Matmul::Blocked &blocked = *matmul.blocked;
    product = blocked.shape;
    product.a = blocked.staged ? scratch + blocked.stageOffset : base.a;
    product.b = base.b;
    product.c = base.c;
    product.bias = base.bias;
    product.scratch = scratch + blocked.scratchOffset;
    return;
  }
  auto bind = [&](const MatmulOperand &operand, const std::byte *lies) {
    return dnnl::memory(operand.desc, context.engine,
                        operand.staged ? scratch + operand.stageOffset
                                       : const_cast<std::byte *>(lies));
  };
  this->a = bind(matmul.a, base.a);
  this->b = bind(matmul.b, base.b);
  this->c = bind(matmul.c, base.c);
  scratchpad = dnnl::memory(matmul.descriptor.scratchpad_desc(), context.engine,
                            scratch + matmul.scratchpadOffset);
  arguments = {{DNNL_ARG_SRC, this->a.get()},
               {DNNL_ARG_WEIGHTS, this->b.get()},
               {DNNL_ARG_DST, this->c.get()},
               {DNNL_ARG_SCRATCHPAD, scratchpad.get()}};
  if (matmul.hasBias && matmul.fused) {
    bias = bind(matmul.bias, base.bias);
    arguments.push_back({DNNL_ARG_BIAS, bias.get()});
  }
}

Result<void> DeviceMatmul::run(const dnnl::stream &stream,
                               const ThreadTeam &team) {
  if (matmul->simple) {
    runSimpleMatmul(matmul->form, base);
    return {};
  }
  if (matmul->blocked) {
    runBlocked(team);
    return {};
  }
  try {
    runOuter(0, base, stream);
  } catch (const dnnl::error &error) {
    return tl::unexpected(describe(error));
  }
  return {};
}

void DeviceMatmul::runBlocked(const ThreadTeam &team) {
  if (matmul->blocked->staged) {
    const MatrixView &a = matmul->form.a;
    std::byte *rows = scratch + matmul->blocked->stageOffset;
    int64_t element = byteSize(product.type);
    copyStrided(rows, product.type, base.a, a.type,
                {{a.rows, product.aRowBytes / element, a.rowStride},
                 {a.cols, 1, a.colStride}});
    for (int64_t row = 0; row < product.m; ++row)
      std::memset(rows + row * product.aRowBytes + product.k * element, 0,
                  product.aRowBytes - product.k * element);
  }
  tpcrt::runBlocked(*matmul->blocked->kernels, product, team);
}

void DeviceMatmul::runOuter(size_t dim, const MatmulPointers &at,
                            const dnnl::stream &stream) {
  if (dim == matmul->outer.size())
    return runOnce(at, stream);
  const MatmulBatchDim &outer = matmul->outer[dim];
  const MatmulForm &form = matmul->form;
  for (int64_t i = 0; i < int64_t(outer.size); ++i)
    runOuter(dim + 1,
             {at.a + i * outer.aStride * int64_t(byteSize(form.a.type)),
              at.b + i * outer.bStride * int64_t(byteSize(form.b.type)),
              at.c + i * outer.cStride * int64_t(byteSize(form.c.type)),
              at.bias},
             stream);
}

void DeviceMatmul::runOnce(const MatmulPointers &at,
                           const dnnl::stream &stream) {
  const MatmulForm &form = matmul->form;
  const MatmulBatchDim &batch = matmul->batch;
  auto stageIn = [&](const MatmulOperand &operand, const MatrixView &view,
                     int64_t batchStride, const std::byte *from,
                     dnnl::memory &to) {
    if (operand.staged)
      copyStrided(scratch + operand.stageOffset, operand.type, from, view.type,
                  stagingDims(view, batch.size, batchStride));
    else if (!matmul->outer.empty())
      to.set_data_handle(const_cast<std::byte *>(from));
  };
  stageIn(matmul->a, form.a, batch.aStride, at.a, a);
  stageIn(matmul->b, form.b, batch.bStride, at.b, b);
  if (matmul->hasBias && matmul->fused)
    stageIn(matmul->bias, biasView(form), 0, at.bias, bias);
  if (!matmul->c.staged && !matmul->outer.empty())
    c.set_data_handle(at.c);
  dnnl::error::wrap_c_api(dnnl_primitive_execute(matmul->primitive.get(),
                                                 stream.get(), arguments.size(),
                                                 arguments.data()),
                          "could not execute a matmul");
  if (!matmul->fused)
    runEpilogue(
        form, batch,
        reinterpret_cast<const float *>(scratch + matmul->c.stageOffset), at);
  else if (matmul->c.staged)
    copyStrided(at.c, form.c.type, scratch + matmul->c.stageOffset,
                matmul->c.type,
                reversed(stagingDims(form.c, batch.size, batch.cStride)));
}

/// From a plain tensor with these strides; what it has more dimensions than
/// `desc` comes first and is of size 1.
static void reorder(const dnnl::engine &engine, const dnnl::memory::desc &desc,
                    dnnl::memory::dims strides, const std::byte *plain,
                    std::byte *packed) {
  dnnl::memory::dims dims = desc.dims();
  strides.erase(strides.begin(), strides.end() - dims.size());
  dnnl::stream stream(engine);
  dnnl::memory from({dims, desc.data_type(), strides}, engine,
                    const_cast<std::byte *>(plain));
  dnnl::memory to(desc, engine, packed);
  dnnl::reorder(from, to).execute(stream, from, to);
}

void tpcrt::packPanel(const dnnl::engine &engine, const PackedWeights &weights,
                      const std::byte *matrix, uint64_t panel, std::byte *dense,
                      std::byte *packed) {
  const MatrixView &view = weights.view;
  uint64_t begin = panel * weights.panelColumns;
  uint64_t columns = std::min(weights.panelColumns, view.cols - begin);
  if (columns < weights.panelColumns)
    std::memset(dense, 0,
                view.rows * weights.panelColumns * byteSize(weights.type));
  copyStrided(dense, weights.type,
              matrix + int64_t(begin) * view.colStride *
                           int64_t(byteSize(view.type)),
              view.type,
              {{view.rows, int64_t(weights.panelColumns), view.rowStride},
               {columns, 1, view.colStride}});
  int64_t width = weights.panelColumns;
  reorder(engine, weights.desc, {int64_t(view.rows) * width, width, 1}, dense,
          packed);
}

/// A whole matrix is reordered from where it lies. Where the library computes
/// in another type, and in panels, a dense copy comes between.
static Result<Buffer> packOne(const MatmulContext &context,
                              const PackedWeights &weights,
                              const Buffer &parameter) {
  const MatrixView &view = weights.view;
  const std::byte *source = parameter.data() + weights.ref.offset;
  TPCRT_ASSIGN(Buffer packed,
               Buffer::allocate(weights.bytes(), "a packed weight"));
  if (!weights.panelColumns && view.type == weights.type) {
    reorder(context.engine, weights.desc,
            {weights.batchStride, view.rowStride, view.colStride}, source,
            packed.data());
    return packed;
  }
  uint64_t elements =
      view.rows *
      (weights.panelColumns ? weights.panelColumns : weights.batch * view.cols);
  TPCRT_ASSIGN(Buffer dense, Buffer::allocate(elements * byteSize(weights.type),
                                              "a weight to pack"));
  if (!weights.panelColumns) {
    copyStrided(dense.data(), weights.type, source, view.type,
                stagingDims(view, weights.batch, weights.batchStride));
    reorder(context.engine, weights.desc,
            {int64_t(view.rows * view.cols), int64_t(view.cols), 1},
            dense.data(), packed.data());
    return packed;
  }
  std::byte *to = packed.data();
  for (uint64_t i = 0; i < weights.batch; ++i)
    for (uint64_t panel = 0; panel < weights.panels(); ++panel) {
      packPanel(context.engine, weights,
                source + int64_t(i) * weights.batchStride *
                             int64_t(byteSize(view.type)),
                panel, dense.data(), to);
      to += weights.desc.get_size();
    }
  return packed;
}

Result<void> tpcrt::packParameter(const MatmulContext &context,
                                  uint32_t parameter, DeviceMemory &memory) {
  try {
    for (size_t i = 0; i < context.packed.size(); ++i)
      if (context.packed[i].ref.index == parameter &&
          memory.packed[i].size() == 0) {
        TPCRT_ASSIGN(memory.packed[i], packOne(context, context.packed[i],
                                               memory.parameters[parameter]));
      }
  } catch (const dnnl::error &error) {
    return tl::unexpected(describe(error));
  }
  return {};
}
