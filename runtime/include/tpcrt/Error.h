// The runtime's error type. No function of the runtime throws or aborts: what
// can fail returns a Result, whose error is one message for the user that says
// what was expected, what was found, and where.
#ifndef TPCRT_ERROR_H
#define TPCRT_ERROR_H

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace tpcrt {

struct Error {
  std::string message;
};

template <class T> using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> makeError(std::string message) {
  return tl::unexpected<Error>(Error{std::move(message)});
}

} // namespace tpcrt

#endif // TPCRT_ERROR_H
