// A network card of another process: the network device (virtio 1.2, 5.1), served over vhost-user. One pair
// of queues, and no control queue, which would be the monitor's to serve.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "device/net/link.h"
#include "device/virtio/device.h"
#include "memory/guest_memory.h"

namespace eidolon::vhost {

/// `memory` is shared and outlives the device.
Result<std::unique_ptr<device::virtio::Device>> make_net(std::string name, const std::string& socket,
                                                         const device::net::MacAddress& address,
                                                         memory::GuestMemory& memory);

}  // namespace eidolon::vhost
