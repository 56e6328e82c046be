#include "failure/NumericsWatch.h"

#include "support/Fail.h"
#include "support/Float16.h"

#include <cmath>

using namespace tpcrt;

namespace {

struct TypedBuffer {
  BufferRef ref;
  ElementType type;
};

/// The buffers that a step writes. A matmul's may have gaps between rows; they
/// are part of the same tensor.
std::vector<TypedBuffer> writtenBy(const StepBody &body) {
  if (auto *kernel = std::get_if<KernelStep>(&body)) {
    std::vector<TypedBuffer> result;
    for (size_t i = 0; i < kernel->outputTypes.size(); ++i)
      result.push_back(
          {kernel->buffers[kernel->inputs + i], kernel->outputTypes[i]});
    return result;
  }
  if (auto *matmul = std::get_if<MatmulStep>(&body))
    return {{matmul->c, matmul->cType}};
  if (auto *grouped = std::get_if<GroupedMatmulStep>(&body))
    return {{grouped->result, grouped->type}};
  if (auto *attention = std::get_if<AttentionStep>(&body))
    return {{attention->result, attention->type}};
  const auto &collective = std::get<CollectiveStep>(body);
  uint64_t bytes = collective.count * byteSize(collective.type) *
                   dstMultiple(collective.kind, groupSize(collective.axes));
  BufferRef dst = collective.dst;
  dst.size = bytes;
  return {{dst, collective.type}};
}

float scalar(BFloat16 value) { return float(value); }
float scalar(Half value) { return float(value); }
float scalar(float value) { return value; }
double scalar(double value) { return value; }

template <class T>
std::optional<std::string> scan(const std::byte *data, uint64_t count,
                                ElementType type) {
  auto *values = reinterpret_cast<const T *>(data);
  for (uint64_t i = 0; i < count; ++i)
    if (auto value = scalar(values[i]); !std::isfinite(value))
      return fmt::format("{} at element {} of {} ({})",
                         std::isnan(value) ? "NaN" : "infinity", i, count,
                         typeName(type));
  return std::nullopt;
}

} // namespace

NumericsWatch::NumericsWatch(const Program &program, const Resolve &resolve) {
  for (const Step &step : program.steps) {
    std::vector<Output> &written = outputs.emplace_back();
    for (const TypedBuffer &buffer : writtenBy(step.body))
      if (isFloat(buffer.type))
        written.push_back({static_cast<const std::byte *>(resolve(buffer.ref)),
                           buffer.type,
                           buffer.ref.size / byteSize(buffer.type)});
  }
}

Result<void> NumericsWatch::check(size_t index, const Read &read) const {
  for (const Output &output : outputs[index]) {
    const std::byte *data = output.data;
    if (read) {
      TPCRT_ASSIGN(data, read(data, output.count * byteSize(output.type)));
    }
    std::optional<std::string> found;
    switch (output.type) {
    case ElementType::F32:
      found = scan<float>(data, output.count, output.type);
      break;
    case ElementType::F64:
      found = scan<double>(data, output.count, output.type);
      break;
    case ElementType::BF16:
      found = scan<BFloat16>(data, output.count, output.type);
      break;
    case ElementType::F16:
      found = scan<Half>(data, output.count, output.type);
      break;
    default:
      break; // integers
    }
    if (found)
      return fail("{}", *found);
  }
  return {};
}
