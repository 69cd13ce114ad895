#include "cpu/peers.h"

#include <bit>

#include "cpu/cpu.h"

namespace eidolon::cpu {

void Peers::map_changed() const {
  for (Cpu* cpu : cpus_) cpu->events.raise(kEventMapChanged);
}

// All take the turns in the same order, so that two of them do not wait for each other.
Alone::Alone(Cpu& cpu) : cpu_(cpu) {
  if (cpu_.peers == nullptr || cpu_.peers->cpus_.size() == 1) return;
  cpu_.turn.give();
  for (Cpu* peer : cpu_.peers->cpus_) peer->turn.enter();
}

Alone::~Alone() {
  if (cpu_.peers == nullptr || cpu_.peers->cpus_.size() == 1) return;
  for (Cpu* peer : cpu_.peers->cpus_)
    if (peer != &cpu_) peer->turn.give();
}

void protect_code_page(Cpu& cpu, memory::GuestPhysical page) {
  cpu.mmu.protect(page);
  uint64_t writers = cpu.peers == nullptr ? 0 : cpu.memory.writers(page);
  if (writers == 0) return;
  cpu.turn.give();
  for (; writers != 0; writers &= writers - 1) {
    Cpu& peer = *cpu.peers->cpus_[static_cast<unsigned>(std::countr_zero(writers))];
    peer.turn.visit([&peer, page] { peer.mmu.protect(page); });
  }
  cpu.turn.take();
}

}  // namespace eidolon::cpu
