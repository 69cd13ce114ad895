#include "device/storage/cfi_flash.h"

#include <algorithm>
#include <array>
#include <bit>
#include <functional>

#include "base/bits.h"

namespace eidolon::device {

namespace {

constexpr uint64_t kSector = 512;  ///< what a medium is written in
constexpr uint32_t kVersion = 2;   ///< of the saved state; 1 had no buffer

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
  kBufferedProgram = 0xe8,
  kReadArray = 0xff,
};

constexpr uint8_t kEraseError = 0x20, kProgramError = 0x10;
constexpr uint8_t kWrongSequence = kEraseError | kProgramError;
constexpr uint8_t kStatusBits = 0xba;  ///< ready, and the errors that there are
constexpr uint8_t kIntel = 0x89, kDeviceCode = 0x18;

/// What the chip says of itself (JEP137, table 1): its size, its blocks of 4 KiB, and its buffer.
uint8_t query(uint64_t offset, uint64_t size) {
  // From 0x1f on: typical times, and how much longer it can take, of programming a byte, programming from the
  // buffer, erasing a block and erasing all of the chip, which it cannot, as powers of two.
  constexpr std::array<uint8_t, 0x17> kFixed = {'Q',  'R', 'Y', 1, 0, 0x31, 0, 0, 0, 0, 0, 0x45,
                                                0x55, 0,   0,   7, 7, 10,   0, 4, 4, 4, 0};
  const uint64_t last_block = size / CfiFlash::kBlock - 1;
  if (offset >= 0x10 && offset < 0x10 + kFixed.size()) return kFixed[offset - 0x10];
  switch (offset) {
    case 0x27:
      return static_cast<uint8_t>(std::bit_width(size - 1));
    case 0x2a:
      return std::countr_zero(CfiFlash::kBufferBytes);
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
  status_ = kReady;
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
      return status_;
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
      program(offset, {&value, 1});
      break;
    case Mode::kErase:
      value == kConfirm ? erase(offset) : finish(kWrongSequence);
      break;
    case Mode::kLock:  // there are no locks: what asks for them or against them has its way
      finish(value == kConfirm || value == kLockConfirm ? 0 : kWrongSequence);
      break;
    case Mode::kBufferCount:
      expect_bytes(value);
      break;
    case Mode::kBufferData:
      take_byte(offset, value);
      break;
    case Mode::kBufferConfirm:
      value == kConfirm ? program(buffer_.start, std::span(buffer_.bytes).first(buffer_.count))
                        : finish(kWrongSequence);
      break;
    default:
      command(value);
  }
}

/// `last` is one less than the number of bytes.
void CfiFlash::expect_bytes(uint8_t last) {
  if (last >= kBufferBytes) return finish(kWrongSequence);
  buffer_.count = last + 1;
  buffer_.taken = 0;
  buffer_.bytes.fill(0xff);
  mode_ = Mode::kBufferData;
}

/// The first byte says where all of them are, in any order: behind it, and in the same block.
void CfiFlash::take_byte(uint64_t offset, uint8_t value) {
  if (buffer_.taken == 0) buffer_.start = offset;
  const uint64_t at = offset - buffer_.start;
  if (at >= buffer_.count || !buffer_.fits_block()) return finish(kWrongSequence);
  buffer_.bytes[at] = value;
  if (++buffer_.taken == buffer_.count) mode_ = Mode::kBufferConfirm;
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
    case kBufferedProgram:
      status_ |= kReady;  // the buffer is free
      mode_ = Mode::kBufferCount;
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

void CfiFlash::program(uint64_t offset, std::span<const uint8_t> bytes) {
  const auto place = std::span(contents_).subspan(offset, bytes.size());
  const std::vector<uint8_t> before(place.begin(), place.end());
  std::ranges::transform(before, bytes, place.begin(), std::bit_and<uint8_t>());
  if (std::ranges::equal(place, before) || store(offset, bytes.size())) return finish();
  std::ranges::copy(before, place.begin());
  finish(kProgramError);
}

void CfiFlash::erase(uint64_t offset) {
  const uint64_t block = align_down(offset, kBlock);
  const auto place = std::span(contents_).subspan(block, kBlock);
  const std::vector<uint8_t> before(place.begin(), place.end());
  std::ranges::fill(place, uint8_t{0xff});
  if (store(block, kBlock)) return finish();
  std::ranges::copy(before, place.begin());
  finish(kEraseError);
}

void CfiFlash::finish(uint8_t errors) {
  status_ |= kReady | errors;
  mode_ = Mode::kStatus;
}

bool CfiFlash::store(uint64_t offset, uint64_t length) {
  const uint64_t begin = align_down(offset, kSector), end = align_up(offset + length, kSector);
  const iovec part{.iov_base = contents_.data() + begin, .iov_len = end - begin};
  return medium_.write(begin, {&part, 1}) == storage::IoStatus::kDone;
}

/// Whether write() can go on with it.
bool CfiFlash::possible(Mode mode, const Buffer& buffer) const {
  switch (mode) {
    case Mode::kBufferData:
      return buffer.count <= kBufferBytes && buffer.taken < buffer.count && buffer.start < contents_.size() &&
             (buffer.taken == 0 || buffer.fits_block());
    case Mode::kBufferConfirm:
      return buffer.count <= kBufferBytes && buffer.start < contents_.size() && buffer.fits_block();
    default:
      return mode <= Mode::kLast;
  }
}

void CfiFlash::save(StateWriter& to) const {
  std::lock_guard lock(mutex_);
  to.begin(name(), kVersion);
  to(mode_, status_);
  buffer_fields(buffer_, to);
  to.end();
}

void CfiFlash::load(StateReader& from) {
  std::lock_guard lock(mutex_);
  Mode mode{};
  uint8_t status = 0;
  Buffer buffer;
  const uint32_t version = from.begin(name());
  from(mode, status);
  if (version >= kVersion) {
    buffer_fields(buffer, from);
  } else {
    status |= kReady;  // it was always
  }
  from.end();
  if (from.failed() || !possible(mode, buffer)) return;
  mode_ = mode;
  status_ = status & kStatusBits;
  buffer_ = buffer;
}

}  // namespace eidolon::device
