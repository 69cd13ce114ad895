// What the two sides of a migration say to each other (docs/migration.md):
//
//   source                                     destination
//   kHello: which machine, how much memory  ->
//                                           <- kReady
//   kDisk, kPages, again and again          ->
//   (the guest stands from here on)
//   kDisk, kPages, kState, kStateEnd        ->
//                                           <- kLoaded: it could run
//   kGo: it is yours                        ->
//                                           <- kRuns
//
// If memory follows later (kHello has said so), the source sends kMissing before kState, and from kStateEnd
// on:
//
//                                           <- kWanted: somebody waits for these pages
//   kPages, those first, and after kGo all  ->
//                                           <- kComplete: no more is needed
//
// Instead of any of its own the destination may say kRefused, with a sentence. Each message is a header of 24
// bytes (kind and length of what follows, and a checksum of it; little-endian), and that many bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "migration/connection.h"

namespace eidolon::migration {

enum class Kind : uint32_t {
  kHello = 0x4f4c4548,  ///< the first four bytes of a migration spell HELO
  kReady = 1,
  kPages,
  kState,
  kStateEnd,
  kLoaded,
  kGo,
  kRuns,
  kRefused,
  kMissing,  ///< pages that are not there yet, or not as they are by now (page_set.h)
  kWanted,   ///< numbers of pages, 8 bytes each
  kComplete,
  kDisk,  ///< a part of a disk (disk_parts.h), before kState
};

struct Message {
  Kind kind;
  std::vector<uint8_t> payload;
};

inline constexpr uint64_t kLongestPayload = uint64_t{4} << 20;

Result<> send_message(Connection& to, Kind kind, Bytes payload = {});
/// A longer payload than kLongestPayload is no message.
Result<Message> receive_message(Connection& from, int patience_seconds = Connection::kPatienceSeconds);
/// The next message, which has to be of this kind; a refusal's sentence is the error.
Result<Message> expect(Connection& from, Kind kind, int patience_seconds = Connection::kPatienceSeconds);
/// What is to be said of a message that nobody waits for: a refusal's sentence, or that it is none.
[[nodiscard]] Error unexpected_message(const Message& message);
Result<> send_refusal(Connection& to, const std::string& sentence);

}  // namespace eidolon::migration
