// Checks a program's ports and steps: that every buffer lies inside its memory
// and is large enough for what the step does with it.
#include "artifact/Checks.h"
#include "support/Fail.h"
#include "support/SizeMath.h"

#include <algorithm>
#include <set>

using namespace tpcrt;

namespace {

/// Of buffers that lie inside their memory.
bool overlap(const BufferRef &a, const BufferRef &b) {
  return a.space == b.space && a.index == b.index &&
         a.offset < b.offset + b.size && b.offset < a.offset + a.size;
}

class ProgramChecker {
public:
  ProgramChecker(const Module &module, const Program &program)
      : module(module), program(program) {}

  Result<void> check() const;

private:
  /// `elementSize` also is the alignment that the step needs.
  Result<void> checkRef(std::string_view role, const BufferRef &ref,
                        bool written, uint64_t elementSize = 1) const;
  Result<void> checkPorts(std::string_view what,
                          const std::vector<Port> &ports) const;
  Result<void> check(const KernelStep &step, bool isOwnStep = true) const;
  Result<void> checkGenerated(const std::optional<KernelStep> &step) const;
  Result<void> check(const MatmulStep &step) const;
  Result<void> check(const GroupedMatmulStep &step) const;
  Result<void> checkEpilogue(const MatmulStep &step) const;
  Result<void> check(const AttentionStep &step) const;
  Result<void> check(const CollectiveStep &step) const;

  const Module &module;
  const Program &program;
};

Result<void> ProgramChecker::checkRef(std::string_view role,
                                      const BufferRef &ref, bool written,
                                      uint64_t elementSize) const {
  uint64_t count = 0, limit = 0;
  switch (ref.space) {
  case Space::Arena:
    count = 1;
    limit = program.arenaBytes;
    break;
  case Space::Parameter:
    count = module.parameters.size();
    limit = ref.index < count ? module.parameters[ref.index].blockBytes() : 0;
    break;
  case Space::State:
    count = module.states.size();
    limit = ref.index < count ? module.states[ref.index].blockBytes() : 0;
    break;
  case Space::Constant:
    count = module.constants.size();
    limit = ref.index < count ? module.constants[ref.index].size() : 0;
    break;
  case Space::DeviceScalar:
    count = module.deviceScalars.size();
    limit = sizeof(int64_t);
    break;
  default:
    return fail("{}: unknown memory space {}", role,
                static_cast<unsigned>(ref.space));
  }
  if (ref.index >= count)
    return fail("{}: index {} of {}", role, ref.index, count);
  auto end = checkedAdd(ref.offset, ref.size);
  if (!end || *end > limit)
    return fail("{}: bytes [{}, +{}) leave its memory of {} bytes", role,
                ref.offset, ref.size, limit);
  if (written && ref.space != Space::Arena && ref.space != Space::State)
    return fail("{}: written, but not in the arena or a state", role);
  if (ref.offset % elementSize != 0)
    return fail("{}: offset {} is not a multiple of {}", role, ref.offset,
                elementSize);
  return {};
}

Result<void> ProgramChecker::checkPorts(std::string_view what,
                                        const std::vector<Port> &ports) const {
  std::set<std::string_view> names;
  for (const Port &port : ports) {
    auto check = [&]() -> Result<void> {
      if (!names.insert(port.name).second)
        return fail("its name appears twice");
      TPCRT_TRY(checkPlacedTensor(module.mesh, port));
      if (port.buffer.space != Space::Arena)
        return fail("expected a buffer in the arena");
      TPCRT_TRY(checkRef("buffer", port.buffer, true, byteSize(port.type)));
      if (port.buffer.size != port.blockBytes())
        return fail("expected a buffer of {} bytes, found {}",
                    port.blockBytes(), port.buffer.size);
      return {};
    };
    if (auto result = check(); !result)
      return fail("{} '{}': {}", what, port.name, result.error().message);
  }
  return {};
}

Result<void> ProgramChecker::check(const KernelStep &step,
                                   bool isOwnStep) const {
  if (step.kernel >= module.kernels.size())
    return fail("kernel {} of {}", step.kernel, module.kernels.size());
  if (step.inputs > step.buffers.size())
    return fail("{} inputs of {} buffers", step.inputs, step.buffers.size());
  bool onGpu = module.device == DeviceKind::Cuda;
  constexpr uint32_t maxThreads = 1024;
  if (step.tiles > uint64_t(onGpu ? INT32_MAX : INT64_MAX))
    return fail("too many tiles: {}", step.tiles);
  if (onGpu ? step.threads == 0 || step.threads > maxThreads
            : step.threads != 0)
    return fail("{} threads", step.threads);
  for (size_t i = 0; i < step.buffers.size(); ++i)
    TPCRT_TRY(checkRef(fmt::format("buffer {}", i), step.buffers[i],
                       i >= step.inputs));
  // A kernel that stands for another step may leave them out: that has types.
  if (!step.outputTypes.empty() || isOwnStep)
    if (step.outputTypes.size() != step.buffers.size() - step.inputs ||
        !std::ranges::all_of(step.outputTypes, isElementType))
      return fail("expected the element types of {} outputs, found {}",
                  step.buffers.size() - step.inputs, step.outputTypes.size());
  return {};
}

/// The kernel that a step has beside the library's.
Result<void>
ProgramChecker::checkGenerated(const std::optional<KernelStep> &step) const {
  if (!step)
    return {};
  if (module.device != DeviceKind::Cuda)
    return fail("a generated kernel is for GPUs only");
  return check(*step, /*isOwnStep=*/false);
}

Result<void> ProgramChecker::check(const MatmulStep &step) const {
  auto checkOperand = [&](std::string_view role, const BufferRef &ref,
                          ElementType type, ViewDim row, ViewDim column,
                          int64_t MatmulBatchDim::*batchStride,
                          bool written) -> Result<void> {
    if (!isElementType(type) || type == ElementType::Bool)
      return fail("{}: no matmul on element type {}", role,
                  isElementType(type) ? typeName(type) : "unknown");
    TPCRT_TRY(checkRef(role, ref, written, byteSize(type)));
    std::vector<ViewDim> dims{row, column};
    for (const MatmulBatchDim &dim : step.batch)
      dims.push_back({dim.size, dim.*batchStride});
    if (!viewFits(0, dims, ref.size / byteSize(type)))
      return fail("{}: its strides leave the buffer of {} bytes", role,
                  ref.size);
    return {};
  };
  TPCRT_TRY(checkOperand("a", step.a, step.aType, {step.m, step.aMStride},
                         {step.k, step.aKStride}, &MatmulBatchDim::aStride,
                         false));
  TPCRT_TRY(checkOperand("b", step.b, step.bType, {step.k, step.bKStride},
                         {step.n, step.bNStride}, &MatmulBatchDim::bStride,
                         false));
  TPCRT_TRY(checkOperand("c", step.c, step.cType, {step.m, step.cMStride},
                         {step.n, step.cNStride}, &MatmulBatchDim::cStride,
                         true));
  // Even where stride 0 or an empty dimension makes the buffers small.
  std::vector<uint64_t> sizes{step.m, step.n, step.k};
  for (const MatmulBatchDim &dim : step.batch)
    sizes.push_back(dim.size);
  if (!checkedBytes(sizes, 8))
    return fail("its sizes are too large");
  auto mixes = [](ElementType type) {
    return isFloat(type) && type != ElementType::F64;
  };
  bool floats = mixes(step.aType) && mixes(step.bType) && mixes(step.cType);
  bool same = step.aType == step.bType && step.bType == step.cType;
  if (!floats && !same)
    return fail("expected f32, bf16 and f16 in any mix, or one type for all; "
                "found {}, {} and {}",
                typeName(step.aType), typeName(step.bType),
                typeName(step.cType));
  if (step.packB && step.b.space != Space::Parameter)
    return fail("b is to be packed, but is not a parameter");
  if (step.generated && !step.epilogue.empty())
    return fail("a generated kernel computes no bias or activation");
  TPCRT_TRY(checkGenerated(step.generated));
  return step.epilogue.empty() ? Result<void>() : checkEpilogue(step);
}

/// Of a step whose c is good.
Result<void> ProgramChecker::checkEpilogue(const MatmulStep &step) const {
  const auto &[bias, activation] = step.epilogue;
  ElementType type = step.cType;
  if (activation > Activation::Tanh)
    return fail("unknown activation {}", static_cast<unsigned>(activation));
  if (!isFloat(type) || type == ElementType::F64)
    return fail("expected a result of f32, bf16 or f16 to add a bias to or to "
                "activate, found {}",
                typeName(type));
  if (!bias)
    return {};
  TPCRT_TRY(checkRef("bias", *bias, false, byteSize(type)));
  if (bias->size / byteSize(type) < step.n)
    return fail("bias: {} bytes are too few for {} elements of {}", bias->size,
                step.n, typeName(type));
  if (overlap(*bias, step.c))
    return fail("bias and c overlap");
  return {};
}

Result<void> ProgramChecker::check(const GroupedMatmulStep &step) const {
  if (!isElementType(step.type) || !isFloat(step.type))
    return fail("rows: no grouped matmul on element type {}",
                isElementType(step.type) ? typeName(step.type) : "unknown");
  if (step.choiceType != ElementType::I32 &&
      step.choiceType != ElementType::I64)
    return fail("choices: expected i32 or i64, found {}",
                isElementType(step.choiceType) ? typeName(step.choiceType)
                                               : "unknown");
  auto [n, c, e, d, f] = std::tuple(step.n, step.c, step.e, step.d, step.f);
  // First, so that the products below fit, and with room for what is padded and
  // kept for each thread.
  constexpr uint64_t room = 1 << 20;
  if (!checkedBytes({n, c, d}, room) || !checkedBytes({n, c, f}, room) ||
      !checkedBytes({e, d, f}, room))
    return fail("its sizes are too large");
  auto checkTensor = [&](std::string_view role, const BufferRef &ref,
                         ElementType type, const std::vector<ViewDim> &dims,
                         bool written = false) -> Result<void> {
    TPCRT_TRY(checkRef(role, ref, written, byteSize(type)));
    if (!viewFits(0, dims, ref.size / byteSize(type)))
      return fail("{}: its elements leave the buffer of {} bytes", role,
                  ref.size);
    if (!written && overlap(ref, step.result))
      return fail("{} and result overlap", role);
    return {};
  };
  TPCRT_TRY(checkTensor("result", step.result, step.type,
                        {{n * c, int64_t(f)}, {f, 1}}, /*written=*/true));
  TPCRT_TRY(checkTensor("rows", step.rows, step.type,
                        {{step.rowPerChoice ? n * c : n, int64_t(d)}, {d, 1}}));
  TPCRT_TRY(
      checkTensor("choices", step.choices, step.choiceType, {{n * c, 1}}));
  TPCRT_TRY(
      checkTensor("weights", step.weights, step.type,
                  {{e, step.eStride}, {d, step.dStride}, {f, step.fStride}}));
  if (step.pack && step.weights.space != Space::Parameter)
    return fail("weights are to be packed, but are not a parameter");
  return checkGenerated(step.generated);
}

Result<void> ProgramChecker::check(const AttentionStep &step) const {
  auto checkTensor = [&](std::string_view role, const BufferRef &ref,
                         ElementType type, std::vector<ViewDim> dims,
                         bool written = false) -> Result<void> {
    TPCRT_TRY(checkRef(role, ref, written, byteSize(type)));
    if (!viewFits(0, dims, ref.size / byteSize(type)))
      return fail("{}: its strides leave the buffer of {} bytes", role,
                  ref.size);
    return {};
  };
  auto checkType = [&](std::string_view role, ElementType type,
                       bool good) -> Result<void> {
    if (!isElementType(type) || !good)
      return fail("{}: no attention on element type {}", role,
                  isElementType(type) ? typeName(type) : "unknown");
    return {};
  };
  auto isInteger = [](ElementType type) {
    return type == ElementType::I32 || type == ElementType::I64;
  };
  auto [b, s, t, k, g, d, v] =
      std::tuple(step.b, step.s, step.t, step.k, step.g, step.d, step.v);

  TPCRT_TRY(checkType("query", step.type, isFloat(step.type)));
  const auto &q = step.queryStrides, &r = step.resultStrides;
  TPCRT_TRY(checkTensor("query", step.query, step.type,
                        {{b, q[0]}, {s, q[1]}, {k, q[2]}, {g, q[3]}, {d, 1}}));
  TPCRT_TRY(checkTensor("key", step.key, step.type,
                        {{b, step.keyStrides[0]},
                         {t, step.keyStrides[1]},
                         {k, step.keyStrides[2]},
                         {d, 1}}));
  TPCRT_TRY(checkTensor("value", step.value, step.type,
                        {{b, step.valueStrides[0]},
                         {t, step.valueStrides[1]},
                         {k, step.valueStrides[2]},
                         {v, 1}}));
  TPCRT_TRY(checkTensor("result", step.result, step.type,
                        {{b, r[0]}, {s, r[1]}, {k, r[2]}, {g, r[3]}, {v, 1}},
                        /*written=*/true));
  std::vector<std::pair<std::string_view, BufferRef>> operands{
      {"query", step.query}, {"key", step.key}, {"value", step.value}};
  if (step.bias) {
    const auto &strides = step.biasStrides;
    TPCRT_TRY(checkType("bias", step.biasType, isFloat(step.biasType)));
    TPCRT_TRY(checkTensor("bias", *step.bias, step.biasType,
                          {{b, strides[0]},
                           {k, strides[1]},
                           {g, strides[2]},
                           {s, strides[3]},
                           {t, strides[4]}}));
    operands.push_back({"bias", *step.bias});
  }
  if (step.lengths) {
    TPCRT_TRY(
        checkType("lengths", step.lengthsType, isInteger(step.lengthsType)));
    TPCRT_TRY(
        checkTensor("lengths", *step.lengths, step.lengthsType, {{b, 1}}));
    operands.push_back({"lengths", *step.lengths});
  }
  if (step.offset) {
    TPCRT_TRY(checkType("offset", step.offsetType, isInteger(step.offsetType)));
    TPCRT_TRY(checkTensor("offset", *step.offset, step.offsetType,
                          {{b, step.offsetStride}}));
    operands.push_back({"offset", *step.offset});
  }
  if (step.sinks) {
    TPCRT_TRY(checkType("sinks", step.sinksType, isFloat(step.sinksType)));
    TPCRT_TRY(checkTensor("sinks", *step.sinks, step.sinksType,
                          {{k, int64_t(g)}, {g, 1}}));
    operands.push_back({"sinks", *step.sinks});
  }
  // Even where stride 0 or an empty dimension makes the buffers small.
  if (!checkedBytes({b, s, t, k, g, d}, 8) ||
      !checkedBytes({b, s, t, k, g, v}, 8))
    return fail("its sizes are too large");
  for (const auto &[role, ref] : operands)
    if (overlap(ref, step.result))
      return fail("{} and result overlap", role);
  if (step.window && (*step.window == 0 || *step.window > uint64_t(INT64_MAX)))
    return fail("expected a window of at least 1, found {}", *step.window);
  if (step.softcap && !(*step.softcap > 0))
    return fail("expected a positive softcap, found {}", *step.softcap);
  return checkGenerated(step.generated);
}

Result<void> ProgramChecker::check(const CollectiveStep &step) const {
  if (step.kind > CollectiveKind::Permute)
    return fail("unknown collective {}", static_cast<unsigned>(step.kind));
  if (step.reduction > Reduction::Min)
    return fail("unknown reduction {}", static_cast<unsigned>(step.reduction));
  if (!isElementType(step.type))
    return fail("unknown element type {}", static_cast<unsigned>(step.type));
  TPCRT_TRY(checkAxisParts(module.mesh, step.axes));
  TPCRT_TRY(checkRef("src", step.src, false, byteSize(step.type)));
  TPCRT_TRY(checkRef("dst", step.dst, true, byteSize(step.type)));

  uint64_t members = groupSize(step.axes);
  auto checkSize = [&](std::string_view role, const BufferRef &ref,
                       uint64_t multiple) -> Result<void> {
    auto needed = checkedBytes({multiple, step.count}, byteSize(step.type));
    if (!needed || ref.size < *needed)
      return fail("{}: {} bytes are too few for {} x {} elements of {}", role,
                  ref.size, multiple, step.count, typeName(step.type));
    return {};
  };
  TPCRT_TRY(checkSize("src", step.src, srcMultiple(step.kind, members)));
  TPCRT_TRY(checkSize("dst", step.dst, dstMultiple(step.kind, members)));

  bool inPlace = step.kind == CollectiveKind::AllReduce &&
                 step.src.space == step.dst.space &&
                 step.src.index == step.dst.index &&
                 step.src.offset == step.dst.offset;
  if (overlap(step.src, step.dst) && !inPlace)
    return fail("src and dst overlap");
  if (step.kind == CollectiveKind::Permute) {
    if (step.sources.size() != members)
      return fail("expected {} permute sources, found {}", members,
                  step.sources.size());
    for (uint32_t source : step.sources)
      if (source >= members)
        return fail("permute source {} in a group of {}", source, members);
  }
  if (step.oneLaunch && step.kind != CollectiveKind::AllReduce)
    return fail("expected one launch of an all_reduce only, found {}",
                collectiveName(step.kind));
  return {};
}

Result<void> ProgramChecker::check() const {
  if (program.arenaBytes > uint64_t(1) << 62)
    return fail("the arena of {} bytes is too large", program.arenaBytes);
  TPCRT_TRY(checkPorts("input", program.inputs));
  TPCRT_TRY(checkPorts("output", program.outputs));
  for (size_t i = 0; i < program.steps.size(); ++i) {
    const Step &step = program.steps[i];
    auto result =
        std::visit([&](const auto &body) { return check(body); }, step.body);
    if (!result)
      return fail("step {} '{}' ({}): {}", i, step.name, step.location,
                  result.error().message);
  }
  return {};
}

} // namespace

Result<void> tpcrt::checkProgram(const Module &module, const Program &program) {
  return ProgramChecker(module, program).check();
}
