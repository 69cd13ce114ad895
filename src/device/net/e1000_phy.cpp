#include "device/net/e1000_phy.h"

namespace eidolon::device::net::e1000 {

namespace {

constexpr unsigned kControl = 0, kStatus = 1, kId1 = 2, kId2 = 3, kAdvertised = 4, kPartner = 5,
                   kExpansion = 6, kNextPage = 7, kGigabitControl = 9, kGigabitStatus = 10,
                   kExtendedStatus = 15, kSpecificControl = 16, kSpecificStatus = 17, kInterruptEnable = 18,
                   kExtendedControl = 20, kLeds = 24;

// kControl
constexpr uint16_t kReset = 1u << 15, kLoopback = 1u << 14, kSpeedLow = 1u << 13, kNegotiate = 1u << 12,
                   kPowerDown = 1u << 11, kIsolate = 1u << 10, kRestart = 1u << 9, kFullDuplex = 1u << 8,
                   kSpeedHigh = 1u << 6;
constexpr uint16_t kControlBits =
    kLoopback | kSpeedLow | kNegotiate | kPowerDown | kIsolate | kFullDuplex | 1u << 7 | kSpeedHigh;
// kStatus: 100BASE-X and 10BASE-T in both duplexes, extended status, no preamble needed, can negotiate.
constexpr uint16_t kAbilities = 0x7949, kNegotiated = 1u << 5, kLink = 1u << 2;
// kAdvertised
constexpr uint16_t kFull100 = 1u << 8, kHalf100 = 1u << 7, kFull10 = 1u << 6;
// kPartner: it has got our page, and can do all that IEEE 802.3 lets it say here but PAUSE.
constexpr uint16_t kPartnerAbilities = 0x41e1;
constexpr uint16_t kFull1000 = 1u << 9, kHalf1000 = 1u << 8;  ///< of kGigabitControl
constexpr uint16_t kPartnerGigabit = 0x3c00;  ///< both receivers are well; it can do both duplexes

struct Row {
  uint8_t index;
  uint16_t initial;
  uint16_t writable;
};
constexpr std::array kRows = std::to_array<Row>({
    {kControl, kNegotiate | kFullDuplex | kSpeedHigh, kControlBits},
    {kId1, 0x0141, 0},
    {kId2, 0x0c20, 0},
    {kAdvertised, 0x0de1, 0xafff},
    {kExpansion, 0x0004, 0},
    {kNextPage, 0x2001, 0xafff},
    {kGigabitControl, 0x0e00, 0xff00},
    {kExtendedStatus, 0x3000, 0},
    {kSpecificControl, 0x0360, 0xffff},
    {kInterruptEnable, 0, 0xffff},
    {kExtendedControl, 0x0d60, 0xffff},
    {kLeds, 0x4100, 0xffff},
    {26, 0x000a, 0xffff},  // extended control 2
    {29, 0, 0xffff},       // page for ...
    {30, 0, 0xffff},       // ... what the manual does not describe
});

}  // namespace

void Phy::reset() {
  registers_ = {};
  for (const Row& row : kRows) registers_[row.index] = row.initial;
  link_was_lost_ = false;
}

bool Phy::link_up() const { return plugged_ && (registers_[kControl] & (kPowerDown | kIsolate)) == 0; }
bool Phy::loops_back() const { return (registers_[kControl] & kLoopback) != 0; }

Phy::Speed Phy::speed() const {
  const uint16_t control = registers_[kControl];
  if ((control & kNegotiate) == 0) {
    if ((control & kSpeedHigh) != 0) return Speed::k1000;
    return (control & kSpeedLow) != 0 ? Speed::k100 : Speed::k10;
  }
  if ((registers_[kGigabitControl] & (kFull1000 | kHalf1000)) != 0) return Speed::k1000;
  return (registers_[kAdvertised] & (kFull100 | kHalf100)) != 0 ? Speed::k100 : Speed::k10;
}

bool Phy::full_duplex() const {
  if ((registers_[kControl] & kNegotiate) == 0) return (registers_[kControl] & kFullDuplex) != 0;
  switch (speed()) {
    case Speed::k1000:
      return (registers_[kGigabitControl] & kFull1000) != 0;
    case Speed::k100:
      return (registers_[kAdvertised] & kFull100) != 0;
    case Speed::k10:
      return (registers_[kAdvertised] & kFull10) != 0;
  }
  return true;
}

/// A lost link is seen once, even if it is back (802.3, 22.2.4.2.13).
uint16_t Phy::status() const {
  const bool up = link_up() && !link_was_lost_;
  const bool negotiated = link_up() && (registers_[kControl] & kNegotiate) != 0;
  return static_cast<uint16_t>(kAbilities | (up ? kLink : 0) | (negotiated ? kNegotiated : 0));
}

/// Speed, duplex, that both are resolved, and the link.
uint16_t Phy::specific_status() const {
  if (!link_up()) return 0;
  return static_cast<uint16_t>(static_cast<unsigned>(speed()) << 14 | (full_duplex() ? 1u << 13 : 0) |
                               1u << 11 | 1u << 10);
}

uint16_t Phy::read(unsigned index) {
  switch (index) {
    case kStatus: {
      const uint16_t value = status();
      link_was_lost_ = !link_up();
      return value;
    }
    case kPartner:
      return link_up() ? kPartnerAbilities : uint16_t{0};
    case kExpansion:
      return static_cast<uint16_t>(registers_[index] | (link_up() ? 3 : 0));  // it can negotiate, and has
    case kGigabitStatus:
      return link_up() && speed() == Speed::k1000 ? kPartnerGigabit : uint16_t{0};
    case kSpecificStatus:
      return specific_status();
    default:
      return registers_[index];
  }
}

bool Phy::write(unsigned index, uint16_t value) {
  const bool was_up = link_up();
  const Speed old_speed = speed();
  if (index == kControl && (value & kReset) != 0) {
    reset();
  } else {
    for (const Row& row : kRows)
      if (row.index == index)
        registers_[index] = static_cast<uint16_t>((row.initial & ~row.writable) | (value & row.writable));
  }
  if (was_up && !link_up()) link_was_lost_ = true;
  const bool again = index == kControl && (value & (kRestart | kReset)) != 0 && link_up();
  return again || was_up != link_up() || old_speed != speed();
}

bool Phy::set_cable(bool plugged) {
  const bool was_up = link_up();
  plugged_ = plugged;
  if (was_up && !link_up()) link_was_lost_ = true;
  return was_up != link_up();
}

void Phy::load(StateReader& from) {
  std::array<uint16_t, kRegisters> loaded{};
  from(loaded, link_was_lost_);
  for (const Row& row : kRows)
    registers_[row.index] =
        static_cast<uint16_t>((row.initial & ~row.writable) | (loaded[row.index] & row.writable));
}

}  // namespace eidolon::device::net::e1000
