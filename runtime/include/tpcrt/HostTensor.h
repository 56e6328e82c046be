// A dense row-major tensor in host memory: what callers pass in and get back.
#ifndef TPCRT_HOSTTENSOR_H
#define TPCRT_HOSTTENSOR_H

#include "tpcrt/ElementType.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tpcrt {

/// The number of elements of `shape`. The caller knows that it fits (every
/// shape that the runtime hands out does).
inline uint64_t numElements(const std::vector<uint64_t> &shape) {
  uint64_t count = 1;
  for (uint64_t size : shape)
    count *= size;
  return count;
}

/// "2x8xf32"; "f32" for a scalar.
inline std::string describeType(ElementType type,
                                const std::vector<uint64_t> &shape) {
  std::string text;
  for (uint64_t size : shape)
    text += std::to_string(size) + "x";
  return text += typeName(type);
}

/// Owns its bytes, or is a view of the caller's.
class HostTensor {
public:
  HostTensor() = default;

  /// Zero-initialized.
  HostTensor(ElementType type, std::vector<uint64_t> shape)
      : elementType(type), dims(std::move(shape)),
        storage(numElements(dims) * tpcrt::byteSize(type)) {}

  /// A view of `data`, which must hold all elements and outlive the view.
  static HostTensor view(ElementType type, std::vector<uint64_t> shape,
                         void *data) {
    HostTensor tensor;
    tensor.elementType = type;
    tensor.dims = std::move(shape);
    tensor.external = static_cast<std::byte *>(data);
    return tensor;
  }

  ElementType type() const { return elementType; }
  const std::vector<uint64_t> &shape() const { return dims; }
  uint64_t size() const { return numElements(dims); }
  uint64_t byteSize() const { return size() * tpcrt::byteSize(elementType); }
  std::byte *data() { return external ? external : storage.data(); }
  const std::byte *data() const { return external ? external : storage.data(); }
  template <class T> T *as() { return reinterpret_cast<T *>(data()); }
  template <class T> const T *as() const {
    return reinterpret_cast<const T *>(data());
  }
  std::string describe() const { return describeType(elementType, dims); }

private:
  ElementType elementType = ElementType::F32;
  std::vector<uint64_t> dims;
  std::vector<std::byte> storage;
  std::byte *external = nullptr;
};

} // namespace tpcrt

#endif // TPCRT_HOSTTENSOR_H
