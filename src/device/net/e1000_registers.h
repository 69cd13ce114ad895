// The registers of Intel's 8254x network cards (PCI/PCI-X Family of Gigabit Ethernet Controllers Software
// Developer's Manual, 317453, chapter 13), as far as an 82540EM has them.
//
// Registers that only keep what is written are rows of kBank: where, which bits can be written, and what they
// are after a reset. Those that do something as well are in the bank and in e1000_registers.cpp; counters,
// filters, rings and interrupts have files of their own.
#pragma once

#include <array>
#include <cstdint>
#include <utility>

#include "base/state_stream.h"

namespace eidolon::device::net::e1000 {

// In the bank.
inline constexpr uint32_t kCtrl = 0x0000, kCtrlExt = 0x0018, kRctl = 0x0100, kTctl = 0x0400, kVet = 0x0038;
inline constexpr uint32_t kTxdctl = 0x3828, kRxcsum = 0x5000, kPba = 0x1000, kRsrpd = 0x2c00;

// Not in the bank.
inline constexpr uint32_t kStatus = 0x0008, kEecd = 0x0010, kEerd = 0x0014, kMdic = 0x0020;
inline constexpr uint32_t kIcr = 0x00c0, kItr = 0x00c4, kIcs = 0x00c8, kIms = 0x00d0, kImc = 0x00d8;
inline constexpr uint32_t kReceiveRing = 0x2800, kTransmitRing = 0x3800;
inline constexpr uint32_t kCounters = 0x4000, kCountersEnd = 0x4100;
inline constexpr uint32_t kMulticastTable = 0x5200, kAddressTable = 0x5400, kVlanTable = 0x5600,
                          kFiltersEnd = 0x5800;

// kCtrl (13.4.1)
inline constexpr uint32_t kCtrlFullDuplex = 1u << 0, kCtrlSpeed1000 = 2u << 8, kCtrlReset = 1u << 26;
inline constexpr uint32_t kCtrlVlanMode = 1u << 30, kCtrlPhyReset = 1u << 31;

// kCtrlExt (13.4.3)
inline constexpr uint32_t kCtrlExtEepromReset = 1u << 13;

// kStatus (13.4.2)
inline constexpr uint32_t kStatusFullDuplex = 1u << 0, kStatusLinkUp = 1u << 1;
inline constexpr unsigned kStatusSpeedShift = 6, kStatusAutoSpeedShift = 8;

// kRctl (13.4.22)
inline constexpr uint32_t kRctlEnable = 1u << 1, kRctlUnicastPromiscuous = 1u << 3;
inline constexpr uint32_t kRctlMulticastPromiscuous = 1u << 4, kRctlLong = 1u << 5, kRctlBroadcast = 1u << 15;
inline constexpr uint32_t kRctlLoopback = 3u << 6, kRctlVlanFilter = 1u << 18, kRctlCfiFilter = 1u << 19;
inline constexpr uint32_t kRctlCfi = 1u << 20, kRctlSizeTimes16 = 1u << 25, kRctlStripCrc = 1u << 26;

// kTctl (13.4.33)
inline constexpr uint32_t kTctlEnable = 1u << 1, kTctlPad = 1u << 3;

// kRxcsum (13.4.55)
inline constexpr uint32_t kRxcsumIp = 1u << 8, kRxcsumTcp = 1u << 9;

/// What a register does for being there: it keeps the bits that can be written.
struct BankRow {
  uint32_t offset;
  uint32_t writable;
  uint32_t initial = 0;
};

inline constexpr std::array kBank = std::to_array<BankRow>({
    {kCtrl, 0x58fc1be9, kCtrlFullDuplex | kCtrlSpeed1000},
    {kCtrlExt, 0x00400ff8},
    {0x0028, 0xffffffff, 0x00c28001},  // FCAL: where PAUSE frames go ...
    {0x002c, 0x0000ffff, 0x00000100},  // FCAH
    {0x0030, 0x0000ffff, 0x00008808},  // FCT: ... and their type
    {kVet, 0xffffffff, 0x00008100},
    {kRctl, 0x06dfb3fe},
    {0x0170, 0x0000ffff},  // FCTTV
    {0x0178, 0xc000ffff},  // TXCW, for optical transceivers
    {kTctl, 0x013ffffa},
    {0x0410, 0x3fffffff, 0x00602008},  // TIPG
    {0x0458, 0x0000ffff},              // AIT
    {0x0e00, 0xffffffff, 0x07068302},  // LEDCTL
    {kPba, 0x0000ffff, 0x00000030},    // KiB to receive into; the other half follows
    {0x2160, 0x8000fff8},              // FCRTL
    {0x2168, 0x0000fff8},              // FCRTH
    {0x2820, 0x0000ffff},              // RDTR
    {0x2828, 0x013f3f3f, 0x00010000},  // RXDCTL
    {0x282c, 0x0000ffff},              // RADV
    {kRsrpd, 0x00000fff},
    {0x3000, 0x00000001},  // TXDMAC
    {0x3820, 0x0000ffff},  // TIDV
    {kTxdctl, 0xff3f3f3f},
    {0x382c, 0x0000ffff},              // TADV
    {0x3830, 0xffffffff, 0x01000400},  // TSPMT
    {kRxcsum, 0x000003ff},
    {0x5800, 0x0000000f},  // WUC
    {0x5808, 0x000f00ff},  // WUFC
    {0x5820, 0xffffffff},  // MANC
});

/// Where a register is in kBank, or kBank.size().
constexpr size_t bank_index(uint32_t offset) {
  size_t index = 0;
  while (index < kBank.size() && kBank[index].offset != offset) ++index;
  return index;
}

class Bank {
 public:
  Bank() { reset(); }
  void reset() {
    for (size_t i = 0; i < kBank.size(); ++i) values_[i] = kBank[i].initial;
  }
  template <uint32_t kOffset>
  [[nodiscard]] uint32_t get() const {
    static_assert(bank_index(kOffset) < kBank.size());
    return values_[bank_index(kOffset)];
  }
  template <uint32_t kOffset>
  [[nodiscard]] bool has(uint32_t bits) const {
    return (get<kOffset>() & bits) != 0;
  }
  // By the guest. What is not in the bank reads as zero.
  [[nodiscard]] uint32_t read(uint32_t offset) const {
    const size_t index = bank_index(offset);
    return index < kBank.size() ? values_[index] : 0;
  }
  void write(uint32_t offset, uint32_t value) {
    const size_t index = bank_index(offset);
    if (index < kBank.size()) values_[index] = value & kBank[index].writable;
  }
  void save(StateWriter& to) const { to(values_); }
  void load(StateReader& from) {
    from(values_);
    for (size_t i = 0; i < kBank.size(); ++i) values_[i] &= kBank[i].writable | kBank[i].initial;
  }

 private:
  std::array<uint32_t, kBank.size()> values_{};
};

}  // namespace eidolon::device::net::e1000
