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

/// The addresses that cards get if none is given.
class Addresses {
 public:
  explicit Addresses(const std::string& identity) : seed_(identity.empty() ? random() : hash(identity)) {}

  /// For a network that a machine has to itself.
  static device::net::MacAddress own(size_t number) { return with_end(kFirstEnd + number); }
  /// For one where cards of several machines meet, which must not have the same one.
  [[nodiscard]] device::net::MacAddress shared(size_t number) const { return with_end(seed_ + number); }

 private:
  static constexpr uint64_t kFirstEnd = 0x123456;

  /// FNV-1a: as good for addresses as any, and the same in every version.
  static uint64_t hash(const std::string& text) {
    uint64_t value = 0xcbf29ce484222325;
    for (const char letter : text) value = (value ^ static_cast<uint8_t>(letter)) * 0x100000001b3;
    return value ^ value >> 32;
  }
  static uint64_t random() { return std::random_device()(); }
  static device::net::MacAddress with_end(uint64_t end) {
    device::net::MacAddress address = device::net::kFirstAddress;
    for (size_t i = 3; i < address.size(); ++i) address[i] = static_cast<uint8_t>(end >> (8 * (5 - i)));
    return address;
  }
  const uint64_t seed_;
};

Result<NetworkConfig::Card> parse_card(std::string_view name) {
  using Card = NetworkConfig::Card;
  constexpr std::pair<std::string_view, Card> kCards[] = {{"virtio", Card::kVirtio},
                                                          {"e1000", Card::kE1000},
                                                          {"ne2000", Card::kNe2000},
                                                          {"ne2000-isa", Card::kNe2000Isa}};
  for (const auto& [known, card] : kCards)
    if (name == known) return card;
  return fail("there is no network card '{}'; say card=virtio, e1000, ne2000 or ne2000-isa", name);
}

Result<> apply(std::string_view word, NetworkConfig& network) {
  constexpr std::string_view kCard = "card=", kAddress = "mac=", kCapture = "pcap=";
  if (word.starts_with(kCard)) {
    network.card = EIDOLON_TRY(parse_card(word.substr(kCard.size())));
  } else if (word.starts_with(kAddress)) {
    network.address = EIDOLON_TRY(parse_address(word.substr(kAddress.size())));
  } else if (word.starts_with(kCapture) && word.size() > kCapture.size()) {
    network.capture_path = word.substr(kCapture.size());
  } else {
    return fail("--net does not know ',{}'; a network may be followed by ,card=, ,mac= and ,pcap=FILE", word);
  }
  return {};
}

Result<NetworkConfig> parse_network(std::string_view text, size_t number, const Addresses& addresses) {
  using Kind = NetworkConfig::Kind;
  constexpr std::string_view kSwitch = "switch=", kPasst = "passt=", kInterface = "ifname=",
                             kServed = "vhost-user=";
  NetworkConfig network;
  const std::string_view kind = text.substr(0, text.find(','));
  if (kind == "user") {
    network.kind = Kind::kUser;
    network.address = Addresses::own(number);
  } else if (kind.starts_with(kSwitch) && kind.size() > kSwitch.size()) {
    network.kind = Kind::kSwitch;
    network.switch_path = kind.substr(kSwitch.size());
    network.address = addresses.shared(number);
  } else if (kind == "passt" || (kind.starts_with(kPasst) && kind.size() > kPasst.size())) {
    network.kind = Kind::kPasst;
    if (kind != "passt") network.switch_path = kind.substr(kPasst.size());
    network.address = Addresses::own(number);
  } else if (kind.starts_with(kServed) && kind.size() > kServed.size()) {
    network.kind = Kind::kVhostUser;
    network.switch_path = kind.substr(kServed.size());
    network.address = addresses.shared(number);
  } else if (kind == "tap") {
    network.kind = Kind::kTap;
    network.address = addresses.shared(number);
  } else {
    return fail(
        "--net does not know '{}'; it takes none, user, switch=SOCKET, tap, passt or vhost-user=SOCKET",
        kind);
  }
  for (text.remove_prefix(kind.size()); !text.empty();) {
    text.remove_prefix(1);
    const std::string_view word = text.substr(0, text.find(','));
    if (network.kind == Kind::kTap && word.starts_with(kInterface)) {
      network.interface = word.substr(kInterface.size());
    } else {
      EIDOLON_TRY(apply(word, network));
    }
    text.remove_prefix(word.size());
  }
  if (network.kind == Kind::kTap && network.interface.empty())
    return fail("--net tap needs the name of the host's device; say --net tap,ifname=tap0");
  const bool has_other = network.card != NetworkConfig::Card::kVirtio || !network.capture_path.empty();
  if (network.kind == Kind::kVhostUser && has_other)
    return fail(
        "what serves a card over vhost-user serves a virtio card and shows its frames to nobody; leave out "
        ",card= and ,pcap=");
  return network;
}

/// That no two have what only one can have.
Result<> check_apart(std::span<const NetworkConfig> networks, const NetworkConfig& added) {
  for (const NetworkConfig& network : networks) {
    if (network.address == added.address)
      return fail("two cards of a machine cannot have the same address; leave out ,mac= with one of them");
    if (!added.interface.empty() && network.interface == added.interface)
      return fail("two cards cannot have the tap device '{}'; name another one for one of them",
                  added.interface);
    if (!added.capture_path.empty() && network.capture_path == added.capture_path)
      return fail("two cards cannot be captured in '{}'; name another file for one of them",
                  added.capture_path);
  }
  return {};
}

}  // namespace

Result<std::vector<NetworkConfig>> parse_networks(std::span<const std::string> texts,
                                                  const std::string& identity) {
  const Addresses addresses(identity);
  std::vector<NetworkConfig> networks;
  if (texts.size() == 1 && texts.front() == "none") return networks;
  if (texts.size() > machine::kMostNetworks)
    return fail("a machine has {} network cards at most; leave out some of --net", machine::kMostNetworks);
  for (const std::string& text : texts) {
    if (text == "none" || text.starts_with("none,"))
      return fail("--net none means that there is no card; leave it or the rest of '--net' out");
    NetworkConfig network = EIDOLON_TRY(parse_network(text, networks.size(), addresses));
    EIDOLON_TRY(check_apart(networks, network));
    networks.push_back(std::move(network));
  }
  return networks;
}

}  // namespace eidolon::control
