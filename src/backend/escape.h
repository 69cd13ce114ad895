// The keys that the monitor keeps for itself: Ctrl-A and then a letter, as other monitors have it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace eidolon::backend {

enum class EscapeCommand : uint8_t { kNone, kQuit, kHelp };

/// Sits between the terminal and the guest. One key at a time.
class EscapeFilter {
 public:
  static constexpr uint8_t kPrefix = 0x01;  ///< Ctrl-A

  struct Verdict {
    std::optional<uint8_t> to_guest;
    EscapeCommand command = EscapeCommand::kNone;
  };
  Verdict feed(uint8_t key);

 private:
  bool after_prefix_ = false;
};

/// Several lines, without a final newline.
[[nodiscard]] std::string_view escape_help();

}  // namespace eidolon::backend
