#include "device/storage/nvme_log.h"

#include <cstring>

namespace eidolon::device::storage::nvme {

namespace {

std::vector<uint8_t> error_log(const Events& events) {
  const auto entries = events.error_log();
  std::vector<uint8_t> page(sizeof entries);
  std::memcpy(page.data(), entries.data(), page.size());
  return page;
}

std::vector<uint8_t> health_log(const Events& events, const Namespace::Counters& counters) {
  constexpr uint64_t kBlocksOfUnit = 1000;
  constexpr uint16_t kTemperature = 303;  // kelvins: a cool disk
  std::vector<uint8_t> page(512);
  const auto put = [&page](size_t at, auto value) { std::memcpy(&page[at], &value, sizeof value); };
  const auto units = [](uint64_t blocks) { return (blocks + kBlocksOfUnit - 1) / kBlocksOfUnit; };
  put(1, kTemperature);
  put(3, uint8_t{100});  // percent of the spare blocks are left ...
  put(4, uint8_t{10});   // ... and fewer than these would be too few
  put(32, units(counters.read_blocks));
  put(48, units(counters.written_blocks));
  put(64, counters.read_commands.load());
  put(80, counters.write_commands.load());
  put(112, uint64_t{1});  // power cycles
  put(160, counters.errors.load());
  put(176, events.errors());
  return page;
}

std::vector<uint8_t> firmware_log() {
  std::vector<uint8_t> page(512);
  page[0] = 1;  // slot 1 is the active one
  std::memset(&page[8], ' ', 8);
  std::memcpy(&page[8], kFirmware, std::strlen(kFirmware));
  return page;
}

}  // namespace

std::vector<uint8_t> make_log_page(uint8_t number, const Events& events,
                                   const Namespace::Counters& counters) {
  switch (number) {
    case kErrorLog:
      return error_log(events);
    case kHealthLog:
      return health_log(events, counters);
    case kFirmwareLog:
      return firmware_log();
    default:
      return {};
  }
}

}  // namespace eidolon::device::storage::nvme
