// Who takes doorbells, and what it has of them.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "memory/doorbells.h"

namespace eidolon::device::pci {

/// Takes doorbells as a host's kernel does: one at an address.
class DoorbellTaker final : public memory::Doorbells {
 public:
  bool connect(const memory::Doorbell& doorbell) override {
    return !full && taken.emplace(doorbell.address, doorbell.event).second;
  }
  void disconnect(const memory::Doorbell& doorbell) override {
    EXPECT_EQ(taken[doorbell.address], doorbell.event);
    taken.erase(doorbell.address);
  }
  using Taken = std::map<uint64_t, int>;
  Taken taken;
  bool full = false;
};

}  // namespace eidolon::device::pci
