#include "control/net_option.h"

#include <charconv>
#include <random>

#include "base/try.h"

namespace eidolon::control {

namespace {

using machine::NetworkConfig;

/// Six bytes in hexadecimal, with colons. Neither a group's address nor nobody's.
Result<device::net::MacAddress> parse_address(std::string_view text) {
  device::net::MacAddress address{};
  bool good = text.size() == 3 * address.size() - 1;
  for (size_t i = 0; good && i < address.size(); ++i) {
    const char* begin = text.data() + 3 * i;
    const auto [end, error] = std::from_chars(begin, begin + 2, address[i], 16);
    good = error == std::errc() && end == begin + 2 && (i + 1 == address.size() || *end == ':');
  }
  if (!good || (address[0] & 1) != 0 || address == device::net::MacAddress{})
    return fail("'{}' is no address of a network card; say six bytes such as mac=52:54:00:12:34:56", text);
  return address;
}

/// Two machines on a switch must not have the same one.
device::net::MacAddress random_address() {
  device::net::MacAddress address = device::net::kFirstAddress;
  std::random_device random;
  for (size_t i = 3; i < address.size(); ++i) address[i] = static_cast<uint8_t>(random());
  return address;
}

Result<> apply(std::string_view word, NetworkConfig& network) {
  constexpr std::string_view kCard = "card=", kAddress = "mac=", kCapture = "pcap=";
  if (word == "card=virtio") {
    network.card = NetworkConfig::Card::kVirtio;
  } else if (word == "card=e1000") {
    network.card = NetworkConfig::Card::kE1000;
  } else if (word.starts_with(kCard)) {
    return fail("there is no network card '{}'; say card=virtio or card=e1000", word.substr(kCard.size()));
  } else if (word.starts_with(kAddress)) {
    network.address = EIDOLON_TRY(parse_address(word.substr(kAddress.size())));
  } else if (word.starts_with(kCapture) && word.size() > kCapture.size()) {
    network.capture_path = word.substr(kCapture.size());
  } else {
    return fail("--net does not know ',{}'; a network may be followed by ,card=, ,mac= and ,pcap=FILE", word);
  }
  return {};
}

}  // namespace

Result<NetworkConfig> parse_network(std::string_view text) {
  using Kind = NetworkConfig::Kind;
  constexpr std::string_view kSwitch = "switch=";
  NetworkConfig network;
  const std::string_view kind = text.substr(0, text.find(','));
  if (kind == "user") {
    network.kind = Kind::kUser;
  } else if (kind.starts_with(kSwitch) && kind.size() > kSwitch.size()) {
    network.kind = Kind::kSwitch;
    network.switch_path = kind.substr(kSwitch.size());
    network.address = random_address();
  } else if (kind != "none") {
    return fail("--net does not know '{}'; it takes none, user or switch=SOCKET", kind);
  } else if (kind != text) {
    return fail("--net none has no card; leave out '{}'", text.substr(kind.size()));
  }
  for (text.remove_prefix(kind.size()); !text.empty();) {
    text.remove_prefix(1);
    const std::string_view word = text.substr(0, text.find(','));
    EIDOLON_TRY(apply(word, network));
    text.remove_prefix(word.size());
  }
  return network;
}

}  // namespace eidolon::control
