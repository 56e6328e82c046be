// The element types of tensors, numbered as in the artifact's schema.
#ifndef TPCRT_ELEMENTTYPE_H
#define TPCRT_ELEMENTTYPE_H

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tpcrt {

enum class ElementType : uint8_t { F32, F64, BF16, F16, I32, I64, Bool };

inline constexpr unsigned numElementTypes = 7;

/// Bytes of one element.
constexpr size_t byteSize(ElementType type) {
  constexpr size_t sizes[numElementTypes] = {4, 8, 2, 2, 4, 8, 1};
  return sizes[static_cast<uint8_t>(type)];
}

constexpr bool isFloat(ElementType type) {
  return type == ElementType::F32 || type == ElementType::F64 ||
         type == ElementType::BF16 || type == ElementType::F16;
}

/// The name in messages and tensor specs: f32, f64, bf16, f16, i32, i64, bool.
constexpr std::string_view typeName(ElementType type) {
  constexpr std::string_view names[numElementTypes] = {
      "f32", "f64", "bf16", "f16", "i32", "i64", "bool"};
  return names[static_cast<uint8_t>(type)];
}

/// The type that typeName names so; "i1" is accepted for bool.
inline std::optional<ElementType> parseTypeName(std::string_view name) {
  for (unsigned i = 0; i < numElementTypes; ++i)
    if (typeName(static_cast<ElementType>(i)) == name)
      return static_cast<ElementType>(i);
  if (name == "i1")
    return ElementType::Bool;
  return std::nullopt;
}

} // namespace tpcrt

#endif // TPCRT_ELEMENTTYPE_H
