// What the DSDT has where processors can come and go.
#pragma once

#include "boot/acpi.h"
#include "boot/aml.h"

namespace eidolon::boot {

/// For the scope of the system bus.
[[nodiscard]] aml::Bytes hotplug_devices(const AcpiConfig& config);
/// For the root: the method of the event.
[[nodiscard]] aml::Bytes hotplug_event();

}  // namespace eidolon::boot
