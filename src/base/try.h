// EIDOLON_TRY(expression): the value of a std::expected, or return its error from this function.
// Works for Result (host errors) and cpu::Outcome (guest faults) alike.
#pragma once

#include <expected>
#include <utility>

#define EIDOLON_TRY(expression)                                      \
  ({                                                                 \
    auto&& eidolon_try_result = (expression);                        \
    if (!eidolon_try_result.has_value()) [[unlikely]]                \
      return std::unexpected(std::move(eidolon_try_result).error()); \
    ::eidolon::detail::take(std::move(eidolon_try_result));          \
  })

namespace eidolon::detail {
template <typename T, typename E>
T take(std::expected<T, E>&& result) {
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}
}  // namespace eidolon::detail
