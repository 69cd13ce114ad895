// The processors of one machine, as they reach each other. Complete before any of them runs.
#pragma once

#include <vector>

#include "memory/guest_memory.h"

namespace eidolon::cpu {

class Cpu;

class Peers {
 public:
  /// By number: the first is 0. It lives as long as this.
  void add(Cpu& cpu) { cpus_.push_back(&cpu); }

  /// The memory map has changed: every processor forgets its translations before its next instruction. From
  /// any thread.
  void map_changed() const;

 private:
  friend class Alone;
  friend void protect_code_page(Cpu& cpu, memory::GuestPhysical page);
  std::vector<Cpu*> cpus_;
};

/// While it lives, no other processor of the machine executes anything. On the processor's thread, which
/// gives up its turn until it has all: what it knew of its virtual TLB may have changed. It must not outlive
/// a wait.
class Alone {
 public:
  explicit Alone(Cpu& cpu);
  ~Alone();
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;

 private:
  Cpu& cpu_;
  const Peers* const peers_;  ///< null: there are no others
};

/// The page is marked to have translations of this processor's (GuestMemory::mark_code): when this returns,
/// no processor stores to it without asking. On the processor's thread, which gives up its turn meanwhile if
/// others have to be asked.
void protect_code_page(Cpu& cpu, memory::GuestPhysical page);

}  // namespace eidolon::cpu
