// The packets of a CD-ROM drive that ask about the drive and its disc.
#include <algorithm>
#include <utility>

#include "device/storage/ata_cdrom.h"
#include "device/storage/big_endian.h"
#include "device/storage/scsi_operations.h"

namespace eidolon::device::storage::ata {

using namespace scsi;

namespace {

constexpr uint16_t kNoProfile = 0, kCdRom = 0x08, kDvdRom = 0x10;
constexpr uint64_t kMostCdBlocks = 80 * 60 * 75;  ///< of 80 minutes
constexpr uint8_t kDataTrack = 0x14, kLeadOut = 0xaa;

uint64_t allocated_10(const Drive::Cdb& cdb) { return get_big(std::span(cdb).subspan(7, 2)); }

/// A place on the disc, in minutes, seconds and frames if that was asked for: these count from two seconds
/// on.
void append_place(std::vector<uint8_t>& bytes, uint64_t block, bool msf) {
  if (!msf) return append_big(bytes, 4, block);
  const uint64_t frame = block + 150;
  append_big(bytes, 2, std::min<uint64_t>(frame / 75 / 60, 255));
  append_big(bytes, 1, frame / 75 % 60);
  append_big(bytes, 1, frame % 75);
}

void append_feature(std::vector<uint8_t>& bytes, uint16_t code, bool persistent, bool current,
                    const std::vector<uint8_t>& data) {
  append_big(bytes, 2, code);
  bytes.push_back(static_cast<uint8_t>(persistent << 1 | current));
  bytes.push_back(static_cast<uint8_t>(data.size()));
  bytes.insert(bytes.end(), data.begin(), data.end());
}

}  // namespace

uint16_t Cdrom::profile() const {
  if (!present()) return kNoProfile;
  return blocks() > kMostCdBlocks ? kDvdRom : kCdRom;
}

/// GET EVENT STATUS NOTIFICATION (MMC-6, 6.7): only polled, and only of the medium.
void Cdrom::event_status(Command& command, const Cdb& cdb) {
  constexpr uint8_t kPolled = 1, kMediaClass = 4, kMediaMask = 1u << kMediaClass, kNothing = 0x80;
  if ((cdb[1] & kPolled) == 0) return check(command, kInvalidField);
  std::vector<uint8_t> bytes;
  if ((cdb[4] & kMediaMask) == 0) {
    bytes = {0, 2, kNothing, kMediaMask};
  } else {
    const auto state = static_cast<uint8_t>(tray_open_ | present() << 1);
    bytes = {0, 6, kMediaClass, kMediaMask, static_cast<uint8_t>(std::exchange(event_, Event::kNone)), state,
             0, 0};
  }
  answer(command, std::move(bytes), allocated_10(cdb));
}

/// GET CONFIGURATION (MMC-6, 6.6): all features, the current ones, or one.
void Cdrom::configuration(Command& command, const Cdb& cdb) {
  struct Feature {
    uint16_t code;
    bool persistent;
    bool current;
    std::vector<uint8_t> data;
  };
  const uint16_t now = profile();
  const auto is = [now](uint16_t other) { return static_cast<uint8_t>(now == other); };
  const bool any = now != kNoProfile;
  const std::vector<Feature> features = {
      {0x0000, true, true, {0, kDvdRom, is(kDvdRom), 0, 0, kCdRom, is(kCdRom), 0}},  // profiles
      {0x0001, true, true, {0, 0, 0, 7, 1, 0, 0, 0}},                                // core: on SATA or ATAPI
      {0x0002, true, true, {2, 0, 0, 0}},                                            // morphing: events
      {0x0003, true, true, {0x29, 0, 0, 0}},            // removable: a tray with a lock
      {0x0010, false, any, {0, 0, 8, 0, 0, 1, 0, 0}},   // random readable, 2,048 bytes
      {0x001e, false, is(kCdRom) != 0, {0, 0, 0, 0}},   // CD read
      {0x001f, false, is(kDvdRom) != 0, {1, 0, 0, 0}},  // DVD read
  };
  const unsigned kind = cdb[1] & 3;
  const auto first = static_cast<uint16_t>(get_big(std::span(cdb).subspan(2, 2)));
  if (kind == 3) return check(command, kInvalidField);
  std::vector<uint8_t> bytes(8);
  put_big(std::span(bytes).last(2), now);
  for (const Feature& feature : features) {
    if (feature.code < first || (kind == 1 && !feature.current) || (kind == 2 && feature.code != first))
      continue;
    append_feature(bytes, feature.code, feature.persistent, feature.current, feature.data);
  }
  put_big(std::span(bytes).first(4), bytes.size() - 4);
  answer(command, std::move(bytes), allocated_10(cdb));
}

/// MODE SENSE (SPC-3, 6.9 and 6.10) with MMC's pages: error recovery, and what the drive can do.
void Cdrom::mode_sense(Command& command, const Cdb& cdb) {
  constexpr uint8_t kRecovery = 0x01, kCapabilities = 0x2a, kAllPages = 0x3f, kSavedValues = 3;
  const uint8_t page = cdb[2] & 0x3f, which = cdb[2] >> 6;
  if (which == kSavedValues) return check(command, kNoSavedValues);
  if (page != kRecovery && page != kCapabilities && page != kAllPages) return check(command, kInvalidField);
  const uint8_t medium = tray_open_ ? 0x71 : !present() ? 0x70 : 0x01;
  const bool long_form = cdb[0] == kModeSense10;
  std::vector<uint8_t> bytes(long_form ? 8 : 4);
  bytes[long_form ? 2 : 1] = medium;
  if (page != kCapabilities) bytes.insert(bytes.end(), {kRecovery, 6, 0, 5, 0, 0, 0, 0});
  if (page != kRecovery) {
    const auto lock = static_cast<uint8_t>(0x29 | locked_ << 1);  // a tray that ejects and locks
    bytes.insert(bytes.end(), {kCapabilities, 18, 0x3b, 0,    0x70, 0, lock, 0, 0x02, 0xc2, 0, 2,
                               0x02,          0,  0x02, 0xc2, 0,    0, 0,    0});
  }
  if (long_form) {
    put_big(std::span(bytes).first(2), bytes.size() - 2);
  } else {
    bytes[0] = static_cast<uint8_t>(bytes.size() - 1);
  }
  answer(command, std::move(bytes), long_form ? allocated_10(cdb) : cdb[4]);
}

/// READ TOC/PMA/ATIP (MMC-6, 6.25): one session with one data track.
void Cdrom::read_toc(Command& command, const Cdb& cdb) {
  if (!need_disc(command)) return;
  const bool msf = (cdb[1] & 2) != 0;
  const unsigned format = (cdb[2] & 0xf) != 0 ? cdb[2] & 0xf : cdb[9] >> 6;
  const uint8_t first = cdb[6];
  std::vector<uint8_t> bytes = {0, 0, 1, 1};
  const auto track = [&](uint8_t number, uint64_t block) {
    bytes.insert(bytes.end(), {0, kDataTrack, number, 0});
    append_place(bytes, block, msf);
  };
  const auto point = [&](uint8_t number, uint8_t minute, uint8_t second, uint8_t frame) {
    bytes.insert(bytes.end(), {1, kDataTrack, 0, number, 0, 0, 0, 0, minute, second, frame});
  };
  if (format == 0 && (first <= 1 || first == kLeadOut)) {
    if (first <= 1) track(1, 0);
    track(kLeadOut, blocks());
  } else if (format == 1) {
    track(1, 0);
  } else if (format == 2) {
    std::vector<uint8_t> end;
    append_place(end, blocks(), true);
    point(0xa0, 1, 0, 0);
    point(0xa1, 1, 0, 0);
    point(0xa2, end[1], end[2], end[3]);
    point(1, 0, 2, 0);
  } else {
    return check(command, kInvalidField);
  }
  put_big(std::span(bytes).first(2), bytes.size() - 2);
  answer(command, std::move(bytes), allocated_10(cdb));
}

void Cdrom::disc_information(Command& command, const Cdb& cdb) {
  if (!need_disc(command)) return;
  if ((cdb[1] & 7) != 0) return check(command, kInvalidField);
  std::vector<uint8_t> bytes(34);
  bytes[1] = static_cast<uint8_t>(bytes.size() - 2);
  bytes[2] = 0x0e;                                // finished, and so is its last session
  bytes[3] = bytes[4] = bytes[5] = bytes[6] = 1;  // one track, one session
  bytes[7] = 0x20;                                // for general use
  answer(command, std::move(bytes), allocated_10(cdb));
}

/// READ DISC STRUCTURE (MMC-6, 6.22): where a DVD's data is.
void Cdrom::disc_structure(Command& command, const Cdb& cdb) {
  constexpr uint64_t kDvdDataStart = 0x30000;
  if (!need_disc(command)) return;
  if (profile() != kDvdRom) return check(command, {.key = kIllegalRequest, .code = 0x30, .qualifier = 2});
  if (cdb[1] != 0 || cdb[6] != 0 || cdb[7] != 0) return check(command, kInvalidField);
  std::vector<uint8_t> bytes(4 + 2048);
  put_big(std::span(bytes).first(2), bytes.size() - 2);
  bytes[4] = 0x01;  // DVD-ROM
  bytes[5] = 0x0f;  // 120 mm, no rate given
  bytes[6] = 0x01;  // one layer
  put_big(std::span(bytes).subspan(8, 4), kDvdDataStart);
  put_big(std::span(bytes).subspan(12, 4), kDvdDataStart + blocks() - 1);
  answer(command, std::move(bytes), get_big(std::span(cdb).subspan(8, 2)));
}

void Cdrom::mechanism_status(Command& command, const Cdb& cdb) {
  std::vector<uint8_t> bytes(8);
  bytes[1] = static_cast<uint8_t>(tray_open_ << 4);
  answer(command, std::move(bytes), get_big(std::span(cdb).subspan(8, 2)));
}

}  // namespace eidolon::device::storage::ata
