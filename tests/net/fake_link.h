// A cable that whoever tests a card holds the other end of.
#pragma once

#include "device/net/link.h"

namespace eidolon::device::net {

class FakeLink final : public Link {
 public:
  void plug(Card* new_card) override { card = new_card; }
  void wake() override { ++wakes; }
  Card* card = nullptr;
  unsigned wakes = 0;
};

}  // namespace eidolon::device::net
