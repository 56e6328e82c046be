// Strings in JSON.
#ifndef TPCRT_SUPPORT_JSONTEXT_H
#define TPCRT_SUPPORT_JSONTEXT_H

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace tpcrt {

/// "text" in quotes, with what JSON wants escaped.
inline std::string jsonText(std::string_view text) {
  std::string result = "\"";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (result += '\\') += c;
    else if (byte < 0x20)
      result += fmt::format("\\u{:04x}", byte);
    else
      result += c;
  }
  return result += '"';
}

} // namespace tpcrt

#endif // TPCRT_SUPPORT_JSONTEXT_H
