// Who takes doorbells, and what it has of them.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "memory/doorbells.h"

namespace eidolon::device::pci {

/// Takes doorbells as a host's kernel does: one at an address.
class DoorbellTaker final : public memory::Doorbells {
 public:
  bool connect(uint64_t address, int event) override { return !full && taken.emplace(address, event).second; }
  void disconnect(uint64_t address, int event) override {
    EXPECT_EQ(taken[address], event);
    taken.erase(address);
  }
  using Taken = std::map<uint64_t, int>;
  Taken taken;
  bool full = false;
};

}  // namespace eidolon::device::pci
