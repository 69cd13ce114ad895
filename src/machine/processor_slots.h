// The places of processors that come and go while the machine runs: the register block by which the guest
// hears of it (device/chipset/cpu_hotplug.h), and the processors and local APICs behind it.
//
// All processors are there from the monitor's point of view, each with its thread. One that is not plugged in
// waits for a SIPI, and no message reaches its APIC.
#pragma once

#include <bitset>
#include <mutex>
#include <vector>

#include "base/result.h"
#include "base/state_stream.h"
#include "device/chipset/cpu_hotplug.h"
#include "machine/devices.h"
#include "machine/processors.h"
#include "memory/io_bus.h"
#include "x86/topology.h"

namespace eidolon::machine {

class ProcessorSlots final : public Stateful {
 public:
  /// The first `present` are plugged in, at least one. `processors` is complete; all outlive this.
  ProcessorSlots(const x86::Topology& topology, unsigned present, Devices& devices, Processors& processors);
  /// Before the machine runs.
  Result<> attach(memory::IoBus& ports);

  // From any thread that has no processor's turn. The error is one sentence.
  /// Plugs in the first one that is absent, and returns its number.
  Result<unsigned> add();
  /// Asks the guest to give back the last one that it has, which it does later or not at all.
  Result<unsigned> remove();
  /// Those that are plugged in.
  [[nodiscard]] std::vector<unsigned> present() const;
  [[nodiscard]] size_t size() const { return processors_.size(); }

  // The registers' state says who is plugged in. To be loaded after the local APICs.
  [[nodiscard]] std::string_view name() const override { return registers_.name(); }
  void reset() override { registers_.reset(); }
  void save(StateWriter& to) const override { registers_.save(to); }
  void load(StateReader& from) override;

 private:
  void follow_registers();
  void set_present(unsigned number, bool present);
  void ejected(unsigned number);

  Devices& devices_;
  Processors& processors_;
  /// Not held while a processor's turn is waited for: the processor may wait for this in ejected().
  std::mutex mutex_;
  std::bitset<x86::Topology::kMostProcessors> taken_;  ///< until ejected() is over
  device::CpuHotplug registers_;
};

}  // namespace eidolon::machine
