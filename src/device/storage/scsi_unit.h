// A logical unit: a SCSI device as its transport sees it (SAM-5, chapter 4). A command comes as a whole, with
// places in guest memory for its data, and is carried out at once; what is wrong with it comes back as sense
// data.
#pragma once

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "base/state_stream.h"
#include "device/storage/big_endian.h"
#include "device/storage/pieces.h"
#include "device/storage/scsi_sense.h"

namespace eidolon::device::storage::scsi {

/// No command here is longer; what a shorter one lacks is zeros.
using Cdb = std::array<uint8_t, 16>;

[[nodiscard]] inline uint64_t field(const Cdb& cdb, unsigned at, unsigned length) {
  return get_big(std::span(cdb).subspan(at, length));
}

/// Data is in guest memory, which may change at any moment: what is believed is copied once.
struct Request {
  Cdb cdb{};
  std::span<const iovec> from_guest = {};
  std::span<const iovec> to_guest = {};
  [[nodiscard]] uint64_t sent() const { return length(from_guest); }
  [[nodiscard]] uint64_t room() const { return length(to_guest); }

 private:
  static uint64_t length(std::span<const iovec> pieces) {
    uint64_t sum = 0;
    for (const iovec& piece : pieces) sum += piece.iov_len;
    return sum;
  }
};

struct Answer {
  Sense sense{};         ///< if there is one, the status is CHECK CONDITION, else GOOD
  uint64_t moved = 0;    ///< bytes of data, whichever way
  bool overrun = false;  ///< there was less room, or less data, than the command is about; nothing was done
  [[nodiscard]] bool good() const { return sense.key == 0 && !overrun; }
};

[[nodiscard]] inline Answer failed(const Sense& sense) { return {.sense = sense}; }

/// Data of the unit's own, cut off where the command allows no more.
[[nodiscard]] inline Answer answer(const Request& request, std::span<const uint8_t> bytes,
                                   uint64_t allocated) {
  const std::span<const uint8_t> part = bytes.first(std::min<uint64_t>(bytes.size(), allocated));
  if (request.room() < part.size()) return {.overrun = true};
  scatter(part, request.to_guest);
  return {.moved = part.size()};
}

class Unit {
 public:
  virtual ~Unit() = default;
  /// Takes time. From any thread, several at once.
  [[nodiscard]] virtual Answer execute(const Request& request) = 0;
  /// The same where it takes neither long nor waiting. nullopt: it is to be executed; nothing is known of how
  /// much of the data was moved.
  [[nodiscard]] virtual std::optional<Answer> execute_at_once(const Request& /*request*/) {
    return std::nullopt;
  }
  /// With no command under way. `why` is what the next command is told.
  virtual void reset(const Sense& why) = 0;
  virtual void save(StateWriter& to) const = 0;
  /// On failure the unit has been reset.
  virtual void load(StateReader& from) = 0;
};

}  // namespace eidolon::device::storage::scsi
