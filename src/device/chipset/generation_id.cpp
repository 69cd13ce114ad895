#include "device/chipset/generation_id.h"

#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/try.h"
#include "x86/paging.h"

namespace eidolon::device {

Result<> GenerationId::place(memory::GuestMemory& memory) {
  EIDOLON_TRY(memory.add_region(kBase, x86::kPageSize, memory::RegionKind::kRom));
  number_ = memory.find(kBase)->host;
  return draw();
}

Result<> GenerationId::renew() {
  EIDOLON_TRY(draw());
  events_.raise_event(kEvent);
  return {};
}

Result<> GenerationId::draw() {
  std::array<uint8_t, kBytes> drawn{};
  if (getrandom(drawn.data(), drawn.size(), 0) != static_cast<ssize_t>(drawn.size()))
    return fail("this host gives no random numbers ({}); a guest needs one", std::strerror(errno));
  // SAFETY: the page is ours for as long as the machine lives, and longer than the number.
  std::memcpy(number_, drawn.data(), drawn.size());
  return {};
}

}  // namespace eidolon::device
