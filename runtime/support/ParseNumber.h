// A number that is the whole of a text.
#ifndef TPCRT_SUPPORT_PARSENUMBER_H
#define TPCRT_SUPPORT_PARSENUMBER_H

#include <charconv>
#include <optional>
#include <string_view>

namespace tpcrt {

/// Decimal digits and nothing else, in the range of the type.
template <class T> std::optional<T> parseNumber(std::string_view text) {
  T value;
  auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    return std::nullopt;
  return value;
}

} // namespace tpcrt

#endif // TPCRT_SUPPORT_PARSENUMBER_H
