#include "device/storage/nvme_identify.h"

#include <algorithm>
#include <cstring>

namespace eidolon::device::storage::nvme {

namespace {

template <typename T>
void put(IdentifyData& data, unsigned at, T value) {
  std::memcpy(data.data() + at, &value, sizeof value);
}

void put_text(IdentifyData& data, unsigned at, size_t length, std::string_view text, char padding) {
  std::fill_n(data.begin() + at, length, static_cast<uint8_t>(padding));
  std::copy_n(text.begin(), std::min(length, text.size()), data.begin() + at);
}

/// FNV-1a, for names that are the same each time; not for secrets.
uint64_t hash(std::string_view text, uint64_t seed) {
  uint64_t value = 0xcbf29ce484222325 ^ seed;
  for (const char c : text) value = (value ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return value;
}

constexpr unsigned kBytesOfBlockCount = 8;

}  // namespace

IdentifyData identify_controller(const std::string& serial, const Namespace& space) {
  IdentifyData data{};
  put<uint16_t>(data, 0, kPciVendor);
  put<uint16_t>(data, 2, kPciVendor);
  put_text(data, 4, 20, serial, ' ');
  put_text(data, 24, 40, "Eidolon NVMe disk", ' ');
  put_text(data, 64, 8, kFirmware, ' ');
  put<uint8_t>(data, 72, 6);                                       // RAB: recommended burst, 64 commands
  put_text(data, 73, 3, std::string_view("\0\x54\x52", 3), '\0');  // IEEE: 52-54-00, a local one
  put<uint8_t>(data, 77, kTransferShift);                          // MDTS
  put<uint32_t>(data, 80, kVersion14);
  put<uint8_t>(data, 111, 1);                                         // CNTRLTYPE: I/O controller
  put<uint8_t>(data, 258, 3);                                         // ACL: 4 ABORT commands
  put<uint8_t>(data, 259, kEventRequests - 1);                        // AERL
  put<uint8_t>(data, 260, 1u << 1 | 1);                               // FRMW: one slot, read-only
  put<uint8_t>(data, 261, 1u << 2);                                   // LPA: offsets in log pages
  put<uint8_t>(data, 262, kErrorEntries - 1);                         // ELPE
  put<uint16_t>(data, 266, 343);                                      // WCTEMP, in kelvins
  put<uint16_t>(data, 268, 353);                                      // CCTEMP
  put<uint64_t>(data, 280, space.blocks() * Namespace::kBlockBytes);  // TNVMCAP
  put<uint8_t>(data, 512, 0x66);                                      // SQES: 64 bytes
  put<uint8_t>(data, 513, 0x44);                                      // CQES: 16 bytes
  put<uint16_t>(data, 514, 0);                                        // MAXCMD
  put<uint32_t>(data, 516, 1);                                        // NN
  put<uint16_t>(data, 520, 1u << 0 | 1u << 2 | 1u << 3);  // ONCS: COMPARE, DATASET MANAGEMENT, WRITE ZEROES
  put<uint8_t>(data, 525, 3u << 1 | 1);                   // VWC: there; FLUSH takes every namespace, too
  const std::string name = "nqn.2024-01.dev.eidolon:" + serial;
  put_text(data, 768, 256, name, '\0');  // SUBNQN
  put<uint16_t>(data, 2048, 2500);       // PSD0: 25 W
  return data;
}

IdentifyData identify_namespace(const Namespace& space) {
  IdentifyData data{};
  for (unsigned at = 0; at < 3 * kBytesOfBlockCount; at += kBytesOfBlockCount)
    put<uint64_t>(data, at, space.blocks());                         // NSZE, NCAP, NUSE
  put<uint8_t>(data, 33, 1u << 3);                                   // DLFEAT: WRITE ZEROES may deallocate
  put<uint64_t>(data, 48, space.blocks() * Namespace::kBlockBytes);  // NVMCAP
  put<uint8_t>(data, 99, space.read_only() ? 1 : 0);                 // NSATTR: write protected
  put<uint8_t>(data, 128 + 2, Namespace::kBlockShift);  // LBAF0: no metadata, blocks of 512 bytes
  return data;
}

IdentifyData identify_list(uint32_t after) {
  IdentifyData data{};
  if (after < Namespace::kId) put<uint32_t>(data, 0, Namespace::kId);
  return data;
}

IdentifyData identify_descriptors(const std::string& serial) {
  constexpr uint8_t kUuid = 3, kUuidBytes = 16;
  IdentifyData data{};
  put<uint8_t>(data, 0, kUuid);
  put<uint8_t>(data, 1, kUuidBytes);
  put<uint64_t>(data, 4, hash(serial, 0));
  put<uint64_t>(data, 12, hash(serial, 1));
  data[4 + 6] = static_cast<uint8_t>((data[4 + 6] & 0x0f) | 0x80);  // version 8: made as its maker likes
  data[4 + 8] = static_cast<uint8_t>((data[4 + 8] & 0x3f) | 0x80);
  return data;
}

}  // namespace eidolon::device::storage::nvme
