// A drive behind an ATA interface: what IDE and AHCI controllers need of it. A command goes through it so:
//
//   begin(task) --> Command --move() the data, in one or many parts--> complete() --> end()
//        |                                                                              |
//        +-- a command that failed at once, or is done at once (finished()) ------------+
//
// begin() and end() are quick and come with the controller's lock held; they see and change the drive's
// state. move() and complete() take time: they are called from any thread without a lock, and use only the
// Command and the medium. A packet device's PACKET command is followed by begin_packet() when its twelve
// bytes are there.
#pragma once

#include <sys/uio.h>

#include <array>
#include <span>
#include <vector>

#include "base/state_stream.h"
#include "device/storage/ata_registers.h"
#include "device/storage/medium.h"

namespace eidolon::device::storage::ata {

enum class Data : uint8_t { kNone, kIn, kOut, kPacket };

/// What complete() does.
enum class Work : uint8_t { kNothing, kFlush, kVerify, kTrim };

struct Command {
  static constexpr uint32_t kSector = 512;

  TaskFile task;  ///< the results, in the end
  Data data = Data::kNone;
  Work work = Work::kNothing;
  bool dma = false;
  bool queued = false;     ///< NCQ
  bool own_data = false;   ///< the data is `bytes`, not the medium's
  uint8_t status = kIdle;  ///< in the end
  uint8_t error = 0;       ///< in the end
  IoStatus io = IoStatus::kDone;
  uint8_t operation = 0;       ///< of a packet: its operation code
  uint32_t block = kSector;    ///< of PIO: bytes for each interrupt
  uint64_t length = 0;         ///< bytes of data
  uint64_t offset = 0;         ///< on the medium
  std::vector<uint8_t> bytes;  ///< data of the drive itself, of `length`

  [[nodiscard]] bool failed() const { return (status & kError) != 0; }
  /// Nothing takes time: only end() is left.
  [[nodiscard]] bool finished() const { return failed() || (data == Data::kNone && work == Work::kNothing); }
  void fail(uint8_t why) {
    status = kIdle | kError;
    error = why;
    data = Data::kNone;
    work = Work::kNothing;
    length = 0;
  }
  void save(StateWriter& to) const;
  void load(StateReader& from);
};

class Drive {
 public:
  using Cdb = std::array<uint8_t, 12>;

  virtual ~Drive() = default;

  [[nodiscard]] virtual Command begin(const TaskFile& task) = 0;
  [[nodiscard]] virtual Command begin_packet(const Command& packet, const Cdb& cdb) = 0;
  /// Status and error are final afterwards.
  virtual void end(Command& command);

  /// Moves the part of the data from byte `at` on. What went wrong is also noted in the command.
  IoStatus move(Command& command, uint64_t at, std::span<const iovec> parts);
  void complete(Command& command);

  /// `hard`: power-on or a reset of the bus; else by software.
  virtual void reset(bool hard) = 0;
  [[nodiscard]] virtual uint64_t signature() const = 0;  ///< LBA after a reset; count is 1
  [[nodiscard]] bool is_packet_device() const { return signature() == kPacketSignature; }
  /// Whether what a snapshot says of a command's data lies on the medium.
  [[nodiscard]] bool fits(const Command& command) const {
    return command.own_data || (command.offset <= bytes() && command.length <= bytes() - command.offset);
  }
  virtual void save(StateWriter& to) const = 0;
  virtual void load(StateReader& from) = 0;

 protected:
  [[nodiscard]] virtual uint64_t bytes() const = 0;  ///< that can be read
  [[nodiscard]] virtual IoStatus transfer_medium(const Command& command, uint64_t at,
                                                 std::span<const iovec> parts) = 0;
  /// The drive's own data has come as a whole.
  virtual IoStatus work_on(Command& command) = 0;
};

}  // namespace eidolon::device::storage::ata
