// What every fuzz target of devices does now and then: a snapshot that is loaded back, damaged or not.
#pragma once

#include <vector>

#include "base/state_stream.h"
#include "input.h"

namespace eidolon::fuzz {

inline void snapshot(Stateful& part, InputBytes& input) {
  StateWriter writer;
  part.save(writer);
  std::vector<uint8_t> bytes = writer.bytes();
  for (unsigned damage = input.take<uint8_t>() % 8; damage > 0; --damage)
    bytes[input.take<uint16_t>() % bytes.size()] = input.take<uint8_t>();
  StateReader reader(bytes);
  part.load(reader);
}

}  // namespace eidolon::fuzz
