// A folder of another process: the file system device (virtio 1.2, 5.11), served over vhost-user by a program
// such as virtiofsd.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "device/virtio/device.h"
#include "memory/guest_memory.h"

namespace eidolon::vhost {

/// `tag` is what the guest mounts. `memory` is shared and outlives the device.
Result<std::unique_ptr<device::virtio::Device>> make_fs(std::string name, const std::string& socket,
                                                        const std::string& tag, memory::GuestMemory& memory);

}  // namespace eidolon::vhost
