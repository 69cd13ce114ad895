// Commands for a logical unit, with their data in pieces.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <vector>

#include "device/storage/scsi_operations.h"
#include "device/storage/scsi_unit.h"
#include "storage/memory_medium.h"

namespace eidolon::device::storage::scsi {

inline Cdb cdb(std::initializer_list<uint8_t> bytes) {
  Cdb result{};
  std::ranges::copy(bytes, result.begin());
  return result;
}

/// Operation, flags, address and length in the form of ten bytes, and of sixteen.
inline Cdb cdb_10(uint8_t operation, uint32_t block, uint16_t count, uint8_t flags = 0) {
  Cdb result = cdb({operation, flags});
  put_big(std::span(result).subspan(2, 4), block);
  put_big(std::span(result).subspan(7, 2), count);
  return result;
}
inline Cdb cdb_16(uint8_t operation, uint64_t block, uint32_t count, uint8_t flags = 0) {
  Cdb result = cdb({operation, flags});
  put_big(std::span(result).subspan(2, 8), block);
  put_big(std::span(result).subspan(10, 4), count);
  return result;
}

/// Key, code and qualifier in one number.
constexpr uint32_t number(const Sense& sense) {
  return uint32_t{sense.key} << 16 | uint32_t{sense.code} << 8 | sense.qualifier;
}

/// With so much room; what came is cut to its length.
inline Answer run_in(Unit& unit, const Cdb& command, std::vector<uint8_t>& data) {
  const size_t half = data.size() / 2;
  const iovec pieces[] = {{data.data(), half}, {data.data() + half, data.size() - half}};
  const Answer answer = unit.execute({.cdb = command, .to_guest = pieces});
  data.resize(std::min<uint64_t>(data.size(), answer.moved));
  return answer;
}
inline std::vector<uint8_t> data_of(Unit& unit, const Cdb& command, size_t room = 512) {
  std::vector<uint8_t> data(room);
  EXPECT_TRUE(run_in(unit, command, data).good());
  return data;
}
inline Answer run_out(Unit& unit, const Cdb& command, std::vector<uint8_t> data = {}) {
  const size_t half = data.size() / 2;
  const iovec pieces[] = {{data.data(), half}, {data.data() + half, data.size() - half}};
  return unit.execute({.cdb = command, .from_guest = pieces});
}
inline uint32_t sense_of(Unit& unit, const Cdb& command, std::vector<uint8_t> data = {}) {
  return number(run_out(unit, command, std::move(data)).sense);
}

}  // namespace eidolon::device::storage::scsi
