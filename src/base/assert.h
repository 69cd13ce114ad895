// EIDOLON_ASSERT: an invariant of the monitor itself. No guest input may reach a failing one.
// It stays on in release builds: a monitor that has lost its invariants must stop before it harms.
#pragma once

#define EIDOLON_ASSERT(condition)                            \
  (__builtin_expect(!!(condition), 1) ? static_cast<void>(0) \
                                      : ::eidolon::detail::assertion_failed(#condition, __FILE__, __LINE__))

namespace eidolon::detail {
[[noreturn]] void assertion_failed(const char* condition, const char* file, int line);
}
