// Between numpy's (and DLPack's) arrays and the runtime's tensors.
#include "Binding.h"

using namespace tpc::python;
using tpcrt::ElementType;
using tpcrt::HostTensor;

namespace {

constexpr uint8_t code(nb::dlpack::dtype_code code) {
  return static_cast<uint8_t>(code);
}

std::optional<ElementType> elementOf(nb::dlpack::dtype type) {
  using enum nb::dlpack::dtype_code;
  if (type.lanes != 1)
    return std::nullopt;
  struct Row {
    uint8_t code, bits;
    ElementType element;
  };
  static constexpr Row rows[] = {{code(Float), 32, ElementType::F32},
                                 {code(Float), 64, ElementType::F64},
                                 {code(Float), 16, ElementType::F16},
                                 {code(Bfloat), 16, ElementType::BF16},
                                 {code(Int), 32, ElementType::I32},
                                 {code(Int), 64, ElementType::I64},
                                 {code(Bool), 8, ElementType::Bool}};
  for (const Row &row : rows)
    if (row.code == type.code && row.bits == type.bits)
      return row.element;
  return std::nullopt;
}

nb::dlpack::dtype dtypeOf(ElementType element) {
  using enum nb::dlpack::dtype_code;
  auto bits = static_cast<uint8_t>(8 * tpcrt::byteSize(element));
  switch (element) {
  case ElementType::BF16:
    return {code(UInt), 16, 1};
  case ElementType::I32:
  case ElementType::I64:
    return {code(Int), bits, 1};
  case ElementType::Bool:
    return {code(Bool), 8, 1};
  default:
    return {code(Float), bits, 1};
  }
}

} // namespace

ElementType tpc::python::elementNamed(const std::string &name) {
  if (auto element = tpcrt::parseTypeName(name))
    return *element;
  throw Failure("expected a type f32, f64, bf16, f16, i32, i64 or bool, found "
                "\"" +
                name + "\"");
}

HostTensor tpc::python::viewOf(const InputArray &array,
                               const std::optional<std::string> &type) {
  std::optional<ElementType> element =
      type ? elementNamed(*type) : elementOf(array.dtype());
  if (!element || tpcrt::byteSize(*element) * 8 != array.dtype().bits)
    throw Failure("expected an array of f32, f64, bf16, f16, i32, i64 or bool, "
                  "found another type of " +
                  std::to_string(array.dtype().bits) + " bits");
  std::vector<uint64_t> shape;
  for (size_t dim = 0; dim < array.ndim(); ++dim)
    shape.push_back(array.shape(dim));
  return HostTensor::view(*element, std::move(shape),
                          const_cast<void *>(array.data()));
}

std::vector<tpcrt::NamedTensor>
tpc::python::viewsOf(const std::vector<NamedArray> &arrays) {
  std::vector<tpcrt::NamedTensor> views;
  for (const auto &[name, array, type] : arrays)
    views.push_back({name, viewOf(array, type)});
  return views;
}

nb::tuple tpc::python::toPython(HostTensor tensor) {
  auto *owned = new HostTensor(std::move(tensor));
  nb::capsule owner(owned, [](void *pointer) noexcept {
    delete static_cast<HostTensor *>(pointer);
  });
  std::vector<size_t> shape(owned->shape().begin(), owned->shape().end());
  nb::ndarray<nb::numpy> array(owned->data(), shape.size(), shape.data(), owner,
                               nullptr, dtypeOf(owned->type()));
  return nb::make_tuple(array, std::string(tpcrt::typeName(owned->type())));
}
