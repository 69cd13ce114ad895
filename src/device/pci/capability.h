// One entry of a function's list of capabilities.
#pragma once

#include "base/state_stream.h"

namespace eidolon::device::pci {

class ConfigSpace;

/// Its registers are in the function's ConfigSpace; what they do is here. All calls but the constructor's
/// come with the function's configuration lock held, so a capability calls neither the function nor the
/// device.
class Capability {
 public:
  Capability() = default;
  virtual ~Capability() = default;
  Capability(const Capability&) = delete;
  Capability& operator=(const Capability&) = delete;

  /// Software wrote to configuration space (anywhere), or it was reset or loaded.
  virtual void config_changed(ConfigSpace& config) = 0;
  /// State outside configuration space.
  virtual void reset() {}
  virtual void save(StateWriter& /*to*/) const {}
  virtual void load(StateReader& /*from*/) {}
};

}  // namespace eidolon::device::pci
