// Checks everything in a decoded module outside its step lists: the mesh,
// placements, parameters, states and tables. See CheckProgram.cpp for steps.
#include "artifact/Checks.h"
#include "support/Fail.h"
#include "support/SizeMath.h"

#include <set>

using namespace tpcrt;

namespace {

constexpr uint64_t maxDevices = 4096;
constexpr uint64_t maxRank = 32;

Result<void> checkMesh(const Mesh &mesh) {
  uint64_t devices = 1;
  std::set<std::string_view> names;
  for (const MeshAxis &axis : mesh.axes) {
    if (!names.insert(axis.name).second)
      return fail("mesh: two axes are named '{}'", axis.name);
    if (axis.size == 0)
      return fail("mesh axis '{}': expected a size of at least 1", axis.name);
    devices *= axis.size;
    if (devices > maxDevices)
      return fail("mesh: expected at most {} devices", maxDevices);
  }
  return {};
}

Result<void> checkParameter(const Module &module, const Parameter &parameter) {
  TPCRT_TRY(checkPlacedTensor(module.mesh, parameter));
  if (!isElementType(parameter.storedType))
    return fail("unknown stored element type {}",
                static_cast<unsigned>(parameter.storedType));
  std::vector<uint64_t> viewShape = parameter.shape;
  uint64_t sources = 1;
  if (parameter.stackDim != -1) {
    if (parameter.stackDim < 0 ||
        uint64_t(parameter.stackDim) >= viewShape.size())
      return fail("stack_dim {} is not a dimension of rank {}",
                  parameter.stackDim, viewShape.size());
    sources = viewShape[parameter.stackDim];
    viewShape.erase(viewShape.begin() + parameter.stackDim);
  }
  if (parameter.sources.size() != sources)
    return fail("expected {} stored tensors, found {}", sources,
                parameter.sources.size());
  for (const StridedSource &source : parameter.sources) {
    auto bytes =
        checkedBytes(source.storedShape, byteSize(parameter.storedType));
    if (!bytes)
      return fail("stored tensor '{}': its shape is too large", source.tensor);
    if (source.strides.size() != viewShape.size())
      return fail("stored tensor '{}': expected {} strides, found {}",
                  source.tensor, viewShape.size(), source.strides.size());
    std::vector<ViewDim> dims;
    for (size_t d = 0; d < viewShape.size(); ++d)
      dims.push_back({viewShape[d], source.strides[d]});
    uint64_t elements = *bytes / byteSize(parameter.storedType);
    if (!viewFits(source.offset, dims, elements))
      return fail("stored tensor '{}': the view leaves its {} elements",
                  source.tensor, elements);
  }
  return {};
}

/// Checks each of a list of named things, and that their names differ.
template <class T, class Fn>
Result<void> checkNamed(std::string_view what, const std::vector<T> &list,
                        Fn check) {
  std::set<std::string_view> names;
  for (const T &item : list) {
    if (!names.insert(item.name).second)
      return fail("two {}s are named '{}'", what, item.name);
    if (auto result = check(item); !result)
      return fail("{} '{}': {}", what, item.name, result.error().message);
  }
  return {};
}

} // namespace

bool tpcrt::isElementType(ElementType type) {
  return static_cast<uint8_t>(type) < numElementTypes;
}

Result<void> tpcrt::checkAxisParts(const Mesh &mesh,
                                   std::vector<AxisPart> parts) {
  for (const AxisPart &part : parts) {
    if (part.axis >= mesh.axes.size())
      return fail("axis {} of a mesh of {} axes", part.axis, mesh.axes.size());
    const MeshAxis &axis = mesh.axes[part.axis];
    uint64_t product = uint64_t(part.pre) * part.size;
    if (product == 0 || axis.size % product != 0)
      return fail("axis '{}' of size {} has no part ({}){}", axis.name,
                  axis.size, part.pre, part.size);
  }
  std::sort(parts.begin(), parts.end(), [](const auto &a, const auto &b) {
    return std::tie(a.axis, a.pre, a.size) < std::tie(b.axis, b.pre, b.size);
  });
  // Parts of one axis are apart when the minor one starts below the major one.
  for (size_t i = 1; i < parts.size(); ++i) {
    const AxisPart &major = parts[i - 1], &minor = parts[i];
    if (major.axis == minor.axis && minor.pre % (major.pre * major.size) != 0)
      return fail("axis '{}' is used twice", mesh.axes[major.axis].name);
  }
  return {};
}

Result<void> tpcrt::checkPlacedTensor(const Mesh &mesh,
                                      const PlacedTensor &tensor) {
  if (!isElementType(tensor.type))
    return fail("unknown element type {}", static_cast<unsigned>(tensor.type));
  if (tensor.shape.size() > maxRank)
    return fail("expected at most {} dimensions, found {}", maxRank,
                tensor.shape.size());
  if (tensor.placement.size() != tensor.shape.size())
    return fail("expected a placement of {} dimensions, found {}",
                tensor.shape.size(), tensor.placement.size());
  if (!checkedBytes(tensor.shape, byteSize(tensor.type)))
    return fail("its shape is too large");
  std::vector<AxisPart> parts;
  for (const auto &dim : tensor.placement)
    parts.insert(parts.end(), dim.begin(), dim.end());
  return checkAxisParts(mesh, std::move(parts));
}

Result<void> tpcrt::checkModule(const Module &module) {
  TPCRT_TRY(checkMesh(module.mesh));
  if (module.device > DeviceKind::Cuda)
    return fail("unknown kind of device {}",
                static_cast<unsigned>(module.device));
  TPCRT_TRY(checkNamed("parameter", module.parameters, [&](const auto &p) {
    return checkParameter(module, p);
  }));
  TPCRT_TRY(checkNamed("state", module.states, [&](const auto &s) {
    return checkPlacedTensor(module.mesh, s);
  }));
  for (size_t i = 0; i < module.deviceScalars.size(); ++i)
    if (module.deviceScalars[i].size() != module.mesh.numDevices())
      return fail("device scalar {}: expected {} values, found {}", i,
                  module.mesh.numDevices(), module.deviceScalars[i].size());
  return checkNamed("program", module.programs, [&](const auto &program) {
    return checkProgram(module, program);
  });
}
