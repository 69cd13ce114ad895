// A disk of another process: the block device (virtio 1.2, 5.2), served over vhost-user.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "device/virtio/device.h"
#include "memory/guest_memory.h"

namespace eidolon::vhost {

/// `most_queues`: of which the back end may have fewer. `memory` is shared and outlives the device.
Result<std::unique_ptr<device::virtio::Device>> make_block(std::string name, const std::string& socket,
                                                           unsigned most_queues, memory::GuestMemory& memory);

}  // namespace eidolon::vhost
