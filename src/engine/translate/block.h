// A translated block, and the sites where its code may leave for the monitor.
#pragma once

#include <array>
#include <cstdint>

#include "engine/translate/mode.h"
#include "engine/translate/string_form.h"
#include "isa/instruction.h"

namespace eidolon::engine::translate {

struct Block;

/// Bytes outside a block that its code was made to rely on: a range of its page.
struct Watch {
  uint16_t begin = 0, end = 0;
};

enum class SiteKind : uint8_t {
  kJump,      ///< direct jump to `target`, not linked yet
  kIndirect,  ///< indirect jump that the jump cache did not know; the target is in Frame::address
  kMemory,    ///< the virtual TLB missed; the linear address is in Frame::address
  kStep,      ///< the instruction at the site has to be stepped
  kString,    ///< (the rest of) a string instruction
  kEvent,     ///< an event is pending at the head of the block
  kPage,      ///< the head of the block does not know that its page is still mapped
  kExtended,  ///< the block uses x87 or vector state, which is not in the host's registers
};

inline constexpr uint32_t kNone = ~uint32_t{0};

/// A set of arithmetic flags in a byte.
class FlagSet {
 public:
  constexpr FlagSet() = default;
  explicit constexpr FlagSet(uint32_t rflags)
      : bits_(static_cast<uint8_t>((rflags & kLow) | ((rflags & x86::kFlagOf) != 0 ? kOverflow : 0))) {}
  [[nodiscard]] constexpr uint32_t rflags() const {
    return (bits_ & kLow) | ((bits_ & kOverflow) != 0 ? static_cast<uint32_t>(x86::kFlagOf) : 0);
  }

 private:
  static constexpr uint8_t kLow = x86::kFlagsArithmetic & 0xff;
  static constexpr uint8_t kOverflow = 2;  // where RFLAGS has a 1
  uint8_t bits_ = 0;
};

/// A place in a block's code from which the monitor is entered, with what it takes to find the guest's exact
/// state. There is more than one to a guest instruction, so they are kept small.
struct Site {
  Block* block;
  /// kJump: linear address; kMemory, constant: of the access; kIndirect, of a return: bytes that rsp has
  /// moved already
  uint64_t target;
  Block* linked = nullptr;  ///< kJump: the block that `patch` goes to
  uint32_t patch =
      kNone;  ///< kJump: offset of the rel32 that goes to the stub until it is linked; spans: to it
  uint32_t stub = kNone;  ///< of `patch`: offset of the stub
  /// kMemory, kIndirect: where to try again; kEvent, kPage, kExtended and kString: where to go on
  uint32_t resume = kNone;
  uint32_t next_link = kNone;  ///< kJump: the next site that is linked to the same block
  /// kStep: the instruction in the InstructionPool, if cpu::execute_sensitive has it
  uint32_t sensitive = kNone;
  uint16_t mnemonic = 0;       ///< kStep: what has to be stepped
  uint16_t guest_offset = 0;   ///< of the guest instruction, from the block's start
  uint16_t in_slot = 0;        ///< bit n: guest register n is in State::gpr, not in the host's register
  uint16_t size = 0;           ///< kMemory: bytes that are checked
  uint16_t access_offset = 0;  ///< kMemory: of the access that comes first, from the lowest byte checked
  uint16_t slot_valid = 0;     ///< spans: guest registers that are (also) in their slots
  StringForm form;             ///< kString
  FlagSet live_in, live_out;   ///< of the guest instruction; the other flags may be stale
  uint8_t address_register : 4 = 0, index_register : 4 = 0;  ///< spans: as Builder::look_up() has them
  SiteKind kind = SiteKind::kStep;
  bool write : 1 = false;      ///< kMemory: the access is one
  bool write_tag : 1 = false;  ///< kMemory: the check is for a write, of this access or of one that shares it
  bool constant : 1 = false;   ///< kMemory: the linear address is `target`, not Frame::address
  bool spans : 1 =
      false;  ///< kMemory: of several accesses, and of two pages not prepared for (meet_two_pages)
  bool loop : 1 = false;      ///< kJump: to the block's own entry_loop, or nowhere
  bool unshared : 1 = false;  ///< kJump: to the instruction at the site, in a block that shares no checks
  bool is_landing : 1 =
      false;  ///< kJump: of a return; the page may have been mapped elsewhere since the call
  bool divide_error : 1 = false;  ///< kStep: a division that raises #DE
  bool hoisted : 1 = false;  ///< kMemory: before its time; what a walk cannot answer is not yet to be told
  bool flags_saved : 1 = false;  ///< guest flags are in Frame::saved_flags, not in the host's flags
};
static_assert(sizeof(Site) == 64);

/// Where one guest instruction's code ends, for faults that the host processor raises in it.
struct FaultPoint {
  Block* block;
  uint32_t host_end;  ///< offset just behind the code of the instruction
  uint16_t guest_offset;
  uint16_t in_slot;
  FlagSet live_in, live_out;
  bool flags_saved;
};

/// The ways into a block, by what is asked first. But for kBody they are emitted when somebody wants to come
/// that way: most blocks are entered in one or two.
enum class Entry : uint8_t {
  kBody,      ///< nothing: jumps forward within the page
  kEvents,    ///< whether an event is pending: jumps backward within the page
  kChecked,   ///< whether its pages are still mapped, then events
  kSaved,     ///< kChecked, for whoever has the flags in Frame::saved_flags
  kHost,      ///< kChecked, for whoever has them in the host's flags
  kReturned,  ///< kChecked, for returns that are predicted to go here: whether they do (builder_returns.cpp)
};
inline constexpr unsigned kEntries = 6;

/// A block lies on one page, but for a block of one instruction that goes on in the next linear page.
struct Block {
  static constexpr uint64_t kNoPage = ~uint64_t{0};

  uint64_t rip;                    ///< linear address (translated code has CS base 0)
  uint64_t physical;               ///< guest-physical address of the first byte
  uint64_t second_page = kNoPage;  ///< guest-physical address of the page that it goes on in
  Mode mode;
  bool valid = true;
  bool unshared = false;  ///< every access has a check of its own (spans.h)
  bool may_be_copied = false;
  bool flags_live_in = true;
  bool flags_saved_in = false;  ///< flags_live_in: entries find the guest's flags in Frame::saved_flags
  uint16_t length = 0;          ///< guest bytes
  uint32_t page_id = 0;
  uint32_t second_page_id = 0;
  std::array<uint32_t, kEntries> entries{};  ///< offsets by Entry; 0: not emitted
  uint32_t entry_loop = 0;                   ///< the block's jump to itself (builder_loop.cpp)
  uint32_t begin = 0, end = 0;               ///< its code, but for entries that were wanted later
  uint32_t cold_begin = 0, cold_end = 0;     ///< its code that hardly ever runs: the ways to the monitor
  uint32_t first_site = 0, site_count = 0;
  uint32_t first_relocation = 0, relocation_count = 0;  ///< of one that may be copied (builder_copy.cpp)
  std::array<Watch, 2> watches{};
  /// Of a call: the rel32 of what is noted for its return, and the landing of the call's own.
  uint32_t landing_patch = kNone, landing_stub = kNone;
  uint32_t incoming = kNone;  ///< list of kJump sites linked to this block
  uint32_t instructions = 0;
  Block* next_in_bucket = nullptr;
  Block* next_in_page = nullptr;
  Block* next_in_second_page = nullptr;

  [[nodiscard]] uint32_t entry(Entry which) const { return entries[static_cast<unsigned>(which)]; }
  [[nodiscard]] uint32_t& entry(Entry which) { return entries[static_cast<unsigned>(which)]; }
  [[nodiscard]] bool crosses() const { return second_page != kNoPage; }
  /// Linear address of the page behind the one that it starts on.
  [[nodiscard]] uint64_t second_rip() const { return (rip | x86::kPageMask) + 1; }
  /// Whether its code depends on any of the `size` bytes at `address`, guest-physical and within a page.
  [[nodiscard]] bool depends_on(uint64_t address, uint64_t size) const {
    const auto touches = [&](uint64_t from, uint64_t to) { return from < address + size && address < to; };
    const uint64_t page = physical & ~x86::kPageMask;
    for (const Watch& watch : watches)
      if (watch.begin != watch.end && touches(page + watch.begin, page + watch.end)) return true;
    if (!crosses()) return touches(physical, physical + length);
    const uint64_t page_end = (physical | x86::kPageMask) + 1;
    return touches(physical, page_end) || touches(second_page, second_page + (physical + length - page_end));
  }
};

}  // namespace eidolon::engine::translate
