// Memory whose pages come later: a thread that touches a missing one stands until it has been placed
// (userfaultfd(2), UFFDIO_REGISTER_MODE_MISSING).
//
// Hosts let everybody have this for accesses of the program itself (UFFD_USER_MODE_ONLY, Linux 5.11), and for
// those that system calls make on its behalf only whom they trust: root, who may open /dev/userfaultfd, or
// all with vm.unprivileged_userfaultfd = 1. Without it a system call that meets a missing page fails.
#pragma once

#include <poll.h>

#include <cstdint>
#include <optional>
#include <span>

#include "base/file.h"
#include "base/result.h"
#include "migration/connection.h"

namespace eidolon::migration {

class Userfault {
 public:
  enum class Serves : uint8_t {
    kProgram,  ///< the program's own accesses
    kAll,      ///< those of the host's kernel too, such as KVM's and those of system calls
  };
  /// The most that the host allows, but not more than `most`.
  static Result<Userfault> create(Serves most = Serves::kAll);
  [[nodiscard]] Serves serves() const { return serves_; }

  // `memory`: whole pages of a private mapping. What is touched there before it was placed waits.
  Result<> watch(std::span<uint8_t> memory) const;
  /// Nobody waits any more, and what is missing is zeros.
  void leave(std::span<uint8_t> memory) const;

  /// For poll(): somebody waits.
  [[nodiscard]] pollfd watched() const { return {.fd = fd_.get(), .events = POLLIN, .revents = 0}; }
  /// The host address of an access that waits; nothing: of none.
  [[nodiscard]] std::optional<uint64_t> take() const;

  // Has a page there, and whoever waits for it go on.
  /// No content: zeros. An error if there is a page already, for then somebody may have seen another content.
  Result<> place(uint8_t* page, Bytes content) const;
  /// Zeros, if nothing is there.
  Result<> fill(uint8_t* page) const;

 private:
  Userfault(FileDescriptor fd, Serves serves) : fd_(std::move(fd)), serves_(serves) {}
  FileDescriptor fd_;
  Serves serves_;
};

}  // namespace eidolon::migration
