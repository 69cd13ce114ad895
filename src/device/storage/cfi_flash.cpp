#include "device/storage/cfi_flash.h"

#include <algorithm>
#include <array>
#include <bit>

#include "base/bits.h"

namespace eidolon::device {

namespace {

constexpr uint64_t kSector = 512;  ///< what a medium is written in

enum Command : uint8_t {
  kLockConfirm = 0x01,
  kProgramAlternate = 0x10,
  kEraseBlock = 0x20,
  kProgramByte = 0x40,
  kClearStatus = 0x50,
  kLockSetup = 0x60,
  kReadStatus = 0x70,
  kReadIdentity = 0x90,
  kReadQuery = 0x98,
  kConfirm = 0xd0,
  kReadArray = 0xff,
};

constexpr uint8_t kReady = 0x80, kEraseError = 0x20, kProgramError = 0x10, kErrors = 0x3a;
constexpr uint8_t kIntel = 0x89, kDeviceCode = 0x18;

/// What the chip says of itself (JEP137, table 1): its size, its blocks of 4 KiB, and that it has no buffer
/// to program many bytes at once.
uint8_t query(uint64_t offset, uint64_t size) {
  constexpr std::array<uint8_t, 0x17> kFixed = {'Q',  'R', 'Y', 1, 0, 0x31, 0, 0, 0, 0, 0, 0x45,
                                                0x55, 0,   0,   7, 0, 10,   0, 4, 0, 4, 0};
  const uint64_t last_block = size / CfiFlash::kBlock - 1;
  if (offset >= 0x10 && offset < 0x10 + kFixed.size()) return kFixed[offset - 0x10];
  switch (offset) {
    case 0x27:
      return static_cast<uint8_t>(std::bit_width(size - 1));
    case 0x2c:
      return 1;  // one region of blocks of the same size
    case 0x2d:
      return static_cast<uint8_t>(last_block);
    case 0x2e:
      return static_cast<uint8_t>(last_block >> 8);
    case 0x2f:
      return static_cast<uint8_t>(CfiFlash::kBlock >> 8);
    case 0x30:
      return static_cast<uint8_t>(CfiFlash::kBlock >> 16);
    case 0x31:
      return 'P';
    case 0x32:
      return 'R';
    case 0x33:
      return 'I';
    case 0x34:
      return '1';
    case 0x35:
      return '0';
    default:
      return 0;
  }
}

}  // namespace

Result<std::unique_ptr<CfiFlash>> CfiFlash::create(storage::Medium& medium) {
  if (medium.size() == 0 || medium.size() > kMostBytes || medium.size() % kBlock != 0)
    return fail(
        "a variable store has {} bytes, and a flash chip whole blocks of {} up to {} MiB; name another file",
        medium.size(), kBlock, kMostBytes >> 20);
  std::unique_ptr<CfiFlash> flash(new CfiFlash(medium));
  const iovec all{.iov_base = flash->contents_.data(), .iov_len = flash->contents_.size()};
  if (medium.read(0, {&all, 1}) != storage::IoStatus::kDone)
    return fail("the variable store cannot be read; check the host's disk");
  return flash;
}

void CfiFlash::reset() {
  std::lock_guard lock(mutex_);
  mode_ = Mode::kArray;
  status_ = 0;
}

uint8_t CfiFlash::read_byte(uint64_t offset) const {
  switch (mode_) {
    case Mode::kArray:
      return offset < contents_.size() ? contents_[offset] : 0xff;
    case Mode::kIdentity:
      return offset % kBlock == 0 ? kIntel : offset % kBlock == 1 ? kDeviceCode : 0;
    case Mode::kQuery:
      return query(offset % kBlock, contents_.size());
    default:
      return kReady | status_;
  }
}

uint64_t CfiFlash::io_read(uint64_t offset, unsigned size) {
  std::lock_guard lock(mutex_);
  uint64_t value = 0;
  for (unsigned i = 0; i < size; ++i) value |= uint64_t{read_byte(offset + i)} << (8 * i);
  return value;
}

/// The chip sits on an eight-bit bus: a wider write is one write per byte.
void CfiFlash::io_write(uint64_t offset, unsigned size, uint64_t value) {
  std::lock_guard lock(mutex_);
  for (unsigned i = 0; i < size; ++i)
    if (offset + i < contents_.size()) write(offset + i, static_cast<uint8_t>(value >> (8 * i)));
}

void CfiFlash::write(uint64_t offset, uint8_t value) {
  switch (mode_) {
    case Mode::kProgram:
      program(offset, value);
      mode_ = Mode::kStatus;
      break;
    case Mode::kErase:
      mode_ = Mode::kStatus;
      if (value == kConfirm) {
        erase(offset);
      } else {
        status_ |= kEraseError | kProgramError;  // a wrong sequence of commands
      }
      break;
    case Mode::kLock:  // there are no locks: what asks for them or against them has its way
      mode_ = Mode::kStatus;
      if (value != kConfirm && value != kLockConfirm) status_ |= kEraseError | kProgramError;
      break;
    default:
      command(value);
  }
}

/// What is no command has no effect.
void CfiFlash::command(uint8_t value) {
  switch (value) {
    case kProgramByte:
    case kProgramAlternate:
      mode_ = Mode::kProgram;
      break;
    case kEraseBlock:
      mode_ = Mode::kErase;
      break;
    case kLockSetup:
      mode_ = Mode::kLock;
      break;
    case kClearStatus:
      status_ = 0;
      break;
    case kReadStatus:
      mode_ = Mode::kStatus;
      break;
    case kReadIdentity:
      mode_ = Mode::kIdentity;
      break;
    case kReadQuery:
      mode_ = Mode::kQuery;
      break;
    case kReadArray:
      mode_ = Mode::kArray;
      break;
    default:
      break;
  }
}

void CfiFlash::program(uint64_t offset, uint8_t value) {
  const uint8_t before = contents_[offset];
  contents_[offset] = before & value;
  if (contents_[offset] == before || store(offset, 1)) return;
  contents_[offset] = before;
  status_ |= kProgramError;
}

void CfiFlash::erase(uint64_t offset) {
  const uint64_t block = align_down(offset, kBlock);
  const auto begin = contents_.begin() + static_cast<std::ptrdiff_t>(block);
  const std::vector<uint8_t> before(begin, begin + kBlock);
  std::fill_n(begin, kBlock, uint8_t{0xff});
  if (store(block, kBlock)) return;
  std::ranges::copy(before, begin);
  status_ |= kEraseError;
}

bool CfiFlash::store(uint64_t offset, uint64_t length) {
  const uint64_t begin = align_down(offset, kSector), end = align_up(offset + length, kSector);
  const iovec part{.iov_base = contents_.data() + begin, .iov_len = end - begin};
  return medium_.write(begin, {&part, 1}) == storage::IoStatus::kDone;
}

void CfiFlash::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), 1);
  to(mode_, status_);
  to.end();
}

void CfiFlash::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  Mode mode{};
  uint8_t status = 0;
  from.begin(name());
  from(mode, status);
  from.end();
  if (from.failed() || mode > Mode::kLast) return;
  mode_ = mode;
  status_ = status & kErrors;
}

}  // namespace eidolon::device
