#include "cpu/peers.h"

#include <bit>

#include "cpu/cpu.h"

namespace eidolon::cpu {

void Peers::map_changed() const {
  for (Cpu* cpu : cpus_) cpu->events.raise(kEventMapChanged);
}

// All take the turns in the same order, so that two of them do not wait for each other.
Alone::Alone(Cpu& cpu)
    : cpu_(cpu), peers_(cpu.peers != nullptr && cpu.peers->cpus_.size() > 1 ? cpu.peers : nullptr) {
  if (peers_ == nullptr) return;
  cpu_.turn.give();
  for (Cpu* peer : peers_->cpus_) peer->turn.enter();
}

Alone::~Alone() {
  if (peers_ == nullptr) return;
  for (Cpu* peer : peers_->cpus_)
    if (peer != &cpu_) peer->turn.give();
}

void protect_code_page(Cpu& cpu, memory::GuestPhysical page) {
  cpu.mmu.protect(page);
  const uint64_t writers = cpu.peers == nullptr ? 0 : cpu.memory.writers(page);
  if (writers == 0) return;
  cpu.turn.aside([&cpu, writers, page] {
    for (uint64_t left = writers; left != 0; left &= left - 1) {
      Cpu& peer = *cpu.peers->cpus_[static_cast<unsigned>(std::countr_zero(left))];
      peer.turn.visit([&peer, page] { peer.mmu.protect(page); });
    }
  });
}

}  // namespace eidolon::cpu
