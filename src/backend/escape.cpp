#include "backend/escape.h"

namespace eidolon::backend {

EscapeFilter::Verdict EscapeFilter::feed(uint8_t key) {
  if (!after_prefix_) {
    after_prefix_ = key == kPrefix;
    if (after_prefix_) return {};
    return {.to_guest = key};
  }
  after_prefix_ = false;
  switch (key) {
    case kPrefix:
    case 'a':
      return {.to_guest = kPrefix};
    case 'x':
      return {.to_guest = {}, .command = EscapeCommand::kQuit};
    case 'h':
    case '?':
      return {.to_guest = {}, .command = EscapeCommand::kHelp};
    default:
      return {};  // a slip: neither the guest nor the monitor knows it
  }
}

std::string_view escape_help() {
  return "Ctrl-A x       switch the machine off and leave\n"
         "Ctrl-A h       this help\n"
         "Ctrl-A Ctrl-A  send Ctrl-A to the guest";
}

}  // namespace eidolon::backend
