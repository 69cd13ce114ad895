// Locks on images against other machines: the protocol that QEMU uses as well, so that the two see each
// other. Byte 100 + n is locked by who needs permission n, byte 200 + n by who grants it to nobody else; all
// locks are shared ones, and whoever comes looks whether a byte of the other kind is taken.
#pragma once

#include <string>

#include "base/result.h"

namespace eidolon::backend::image {

enum class Access : uint8_t {
  kRead,   ///< nobody may write meanwhile
  kWrite,  ///< nobody else may open it
};

/// For as long as `fd` (or a duplicate) is open. `path` is for the message.
Result<> lock_image(int fd, const std::string& path, Access access);
/// Before it is closed.
void unlock_image(int fd);

}  // namespace eidolon::backend::image
