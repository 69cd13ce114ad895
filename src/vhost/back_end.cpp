#include "vhost/back_end.h"

#include <cstring>

#include "base/try.h"
#include "device/virtio/ring.h"

namespace eidolon::vhost {

namespace {

MemoryRegion region_of(const BackEnd::Memory& memory) {
  return {.guest = memory.guest, .size = memory.bytes.size(), .user = memory.guest, .offset = 0};
}

}  // namespace

Result<BackEnd> BackEnd::reach(const std::string& socket, uint32_t config_bytes) {
  Result<BackEnd> found = greet(EIDOLON_TRY(Connection::open(socket)), config_bytes);
  if (!found)
    return fail(
        "the back end at '{}' cannot serve this device: {}; see whether it is one of vhost-user and of "
        "this kind, and whether another machine uses it",
        socket, found.error().message);
  return found;
}

Result<BackEnd> BackEnd::greet(Connection connection, uint32_t config_bytes) {
  BackEnd back_end(std::move(connection));
  EIDOLON_TRY(back_end.agree(config_bytes));
  return back_end;
}

Result<> BackEnd::agree(uint32_t config_bytes) {
  features_ = EIDOLON_TRY(connection_.ask_number(Request::kGetFeatures));
  if ((features_ & device::virtio::kFeatureVersion1) == 0) return fail("it is older than virtio 1.0");
  has_protocol_ = (features_ & kFeatureProtocol) != 0;
  uint64_t agreed = 0;
  if (has_protocol_) {
    agreed = EIDOLON_TRY(connection_.ask_number(Request::kGetProtocolFeatures)) &
             (kProtocolQueues | kProtocolAcknowledge | kProtocolConfig);
    EIDOLON_TRY(connection_.tell_number(Request::kSetProtocolFeatures, agreed));
    if ((agreed & kProtocolAcknowledge) != 0) connection_.acknowledge_all();
  }
  EIDOLON_TRY(connection_.tell(Request::kSetOwner, {}));
  if ((agreed & kProtocolQueues) != 0) queues_ = EIDOLON_TRY(connection_.ask_number(Request::kGetQueueCount));
  if (config_bytes == 0) return {};
  if ((agreed & kProtocolConfig) == 0) return fail("it does not tell the device's configuration");
  return read_config(config_bytes);
}

Result<> BackEnd::read_config(uint32_t bytes) {
  const ConfigPart part = {.offset = 0, .size = bytes, .flags = 0};
  std::vector<uint8_t> message(sizeof part + bytes);
  std::memcpy(message.data(), &part, sizeof part);
  const std::vector<uint8_t> answer = EIDOLON_TRY(connection_.ask(Request::kGetConfig, message));
  if (answer.size() != message.size()) return fail("it does not tell the device's configuration");
  config_.assign(answer.begin() + sizeof part, answer.end());
  return {};
}

Result<> BackEnd::start(uint64_t features, const Memory& first, const Memory& second,
                        std::span<const Ring> rings) {
  EIDOLON_TRY(
      connection_.tell_number(Request::kSetFeatures, features | (has_protocol_ ? kFeatureProtocol : 0)));
  const MemoryTable table = {.regions = {region_of(first), region_of(second)}};
  EIDOLON_TRY(connection_.tell(Request::kSetMemoryTable, bytes_of(table), {first.file, second.file}));
  for (uint32_t index = 0; index < rings.size(); ++index) EIDOLON_TRY(start_ring(index, rings[index]));
  return {};
}

Result<> BackEnd::start_ring(uint32_t index, const Ring& ring) {
  const auto tell_state = [this, index](Request request, uint32_t value) {
    const RingState state = {.index = index, .value = value};
    return connection_.tell(request, bytes_of(state));
  };
  const RingAddresses addresses = {.index = index,
                                   .flags = 0,
                                   .descriptors = ring.descriptors,
                                   .used = ring.used,
                                   .available = ring.available,
                                   .log = 0};
  EIDOLON_TRY(tell_state(Request::kSetRingSize, ring.size));
  EIDOLON_TRY(tell_state(Request::kSetRingBase, 0));
  EIDOLON_TRY(connection_.tell(Request::kSetRingAddresses, bytes_of(addresses)));
  EIDOLON_TRY(connection_.tell_number(Request::kSetRingCall, index & kRingMask, {ring.call}));
  EIDOLON_TRY(connection_.tell_number(Request::kSetRingKick, index & kRingMask, {ring.kick}));
  if (has_protocol_) EIDOLON_TRY(tell_state(Request::kSetRingEnable, 1));
  return {};
}

Result<> BackEnd::stop(unsigned rings) {
  for (uint32_t index = 0; index < rings; ++index) {
    const RingState state = {.index = index, .value = 0};
    const std::vector<uint8_t> answer = EIDOLON_TRY(connection_.ask(Request::kGetRingBase, bytes_of(state)));
    if (answer.size() != sizeof state) return fail("it does not say where a ring has stopped");
  }
  return {};
}

}  // namespace eidolon::vhost
