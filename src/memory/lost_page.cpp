// Signals: sigaction(2). BUS_ADRERR is what the kernel says of a page that it cannot supply.
#include "memory/lost_page.h"

#include <signal.h>
#include <unistd.h>

#include <mutex>
#include <string_view>

namespace eidolon::memory {

namespace {

struct sigaction previous;  // NOLINT: a signal handler has no argument; written before it is installed
std::once_flag installed;

// SAFETY: calls only async-signal-safe functions.
void on_bus_error(int signal, siginfo_t* info, void* context) {
  constexpr std::string_view kSentence =
      "\r\neidolon: a file that is the guest's memory has become shorter, or its disk is full or broken; the "
      "machine cannot go on\r\n";
  if (info->si_code == BUS_ADRERR) {
    [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kSentence.data(), kSentence.size());
  } else if ((previous.sa_flags & SA_SIGINFO) != 0) {
    return previous.sa_sigaction(signal, info, context);
  }
  // It happens again under the previous action once this returns, unless somebody has sent it.
  sigaction(signal, &previous, nullptr);
  if (info->si_code <= 0) raise(signal);
}

}  // namespace

void explain_lost_pages() {
  std::call_once(installed, [] {
    struct sigaction action {};
    action.sa_sigaction = on_bus_error;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;  // generated code has a guest's RSP in RSP
    sigemptyset(&action.sa_mask);
    sigaction(SIGBUS, nullptr, &previous);
    sigaction(SIGBUS, &action, nullptr);
  });
}

}  // namespace eidolon::memory
