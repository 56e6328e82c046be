// Short forms for building and passing on errors inside the runtime.
#ifndef TPCRT_SUPPORT_FAIL_H
#define TPCRT_SUPPORT_FAIL_H

#include "tpcrt/Error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace tpcrt {

/// fail("{}: expected {} bytes, found {}", ...)
template <class... Args>
tl::unexpected<Error> fail(fmt::format_string<Args...> format, Args &&...args) {
  return makeError(fmt::format(format, std::forward<Args>(args)...));
}

} // namespace tpcrt

/// Passes on the error of a Result<void>.
#define TPCRT_TRY(expression)                                                  \
  if (auto tpcrtResult = (expression); !tpcrtResult)                           \
  return tl::unexpected<::tpcrt::Error>(std::move(tpcrtResult.error()))

#define TPCRT_CONCAT2(a, b) a##b
#define TPCRT_CONCAT(a, b) TPCRT_CONCAT2(a, b)
#define TPCRT_ASSIGN_IMPL(temporary, declaration, expression)                  \
  auto temporary = (expression);                                               \
  if (!temporary)                                                              \
    return tl::unexpected<::tpcrt::Error>(std::move(temporary.error()));       \
  declaration = std::move(*temporary)

/// TPCRT_ASSIGN(auto x, f()): x is the value of the Result, or its error is
/// passed on.
#define TPCRT_ASSIGN(declaration, expression)                                  \
  TPCRT_ASSIGN_IMPL(TPCRT_CONCAT(tpcrtResult, __LINE__), declaration,          \
                    expression)

#endif // TPCRT_SUPPORT_FAIL_H
