// Where code is mapped: what the heads of blocks and the look-up of blocks ask, kept as long as the guest's
// invalidations allow.
//
// - A page ID stands for (linear page, physical page, user or supervisor). Frame::page_ids holds, by hash of
//   linear page and user, the IDs that are known to hold now; the head of a block compares its own.
// - The fetch cache spares the page walk when a block has to be found.
//
// INVLPG drops its page only. MOV CR3 drops what is not global; the IDs of the address space that was left
// are put aside and come back with it, if it comes back under its PCID without a flush.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/translate/frame.h"
#include "mmu/mapping_observer.h"
#include "mmu/slot_set.h"

namespace eidolon::engine::translate {

class CodeMappings final : public mmu::MappingObserver {
 public:
  CodeMappings(cpu::Cpu& cpu, Frame& frame);
  ~CodeMappings() override;
  CodeMappings(const CodeMappings&) = delete;
  CodeMappings& operator=(const CodeMappings&) = delete;

  /// Guest-physical address of the instruction at `rip` if it may be fetched from RAM or ROM.
  [[nodiscard]] std::optional<memory::GuestPhysical> fetch_address(uint64_t rip, bool user);
  /// Lets heads of blocks on the page of `rip`, which fetch_address has just answered, pass for `id`.
  void know(uint64_t rip, bool user, uint32_t id);
  /// IDs lose their meaning.
  void forget_ids();

  void page_forgotten(uint64_t linear) override;
  void context_changed(uint64_t from, uint64_t to) override;
  void all_forgotten() override;

 private:
  static constexpr unsigned kFetchEntries = 512;
  static constexpr uint64_t kGlobal = 0;  ///< in place of a context: holds in all
  struct FetchEntry {
    uint64_t page = ~uint64_t{0};  ///< linear page | user
    uint64_t context = kGlobal;
    memory::GuestPhysical physical = 0;
  };
  struct LargePage {
    uint64_t base, size;
  };
  static constexpr unsigned kLargePages = 64;
  static constexpr unsigned kSavedContexts = 8, kSavedIds = 256;
  struct SavedId {
    uint32_t slot, id;
  };
  struct Saved {
    uint64_t context = 0;
    unsigned count = 0;
    std::array<SavedId, kSavedIds> ids;
  };

  [[nodiscard]] static uint64_t page_key(uint64_t linear, bool user) {
    return (linear & ~x86::kPageMask) | (user ? 1 : 0);
  }
  [[nodiscard]] FetchEntry& fetch_entry(uint64_t linear) {
    return fetch_cache_[linear >> x86::kPageShift & (kFetchEntries - 1)];
  }
  void note_large(uint64_t linear, uint64_t size);
  void forget_current();

  cpu::Cpu& cpu_;
  Frame& frame_;
  std::array<FetchEntry, kFetchEntries> fetch_cache_{};
  mmu::SlotSet<Frame::kPageIds> local_{};  ///< slots of page_ids whose page is not global
  std::array<Saved, kSavedContexts> saved_{};
  unsigned turn_ = 0;
  /// Large pages that code was fetched from: INVLPG of any address in one drops it all. Full: any INVLPG
  /// does.
  std::array<LargePage, kLargePages> large_{};
  unsigned large_count_ = 0;
};

}  // namespace eidolon::engine::translate
