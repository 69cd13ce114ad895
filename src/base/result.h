// What the host or the user did wrong: a Result whose error is one sentence that says what to do.
// (What the guest does wrong is a cpu::Fault; a bug of ours is an EIDOLON_ASSERT.)
#pragma once

#include <fmt/format.h>

#include <expected>
#include <string>
#include <utility>

namespace eidolon {

struct Error {
  std::string message;  ///< one sentence for the user, without a final newline
};

template <typename T = void>
using Result = std::expected<T, Error>;

/// An error for a function that returns any Result: `return fail("cannot open {}: {}", path, why);`
template <typename... Args>
[[nodiscard]] std::unexpected<Error> fail(fmt::format_string<Args...> format, Args&&... args) {
  return std::unexpected(Error{fmt::format(format, std::forward<Args>(args)...)});
}

}  // namespace eidolon
