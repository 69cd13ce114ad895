#include "control/topology_option.h"

#include <charconv>
#include <optional>

#include "base/try.h"

namespace eidolon::control {

using x86::Topology;

namespace {

Result<unsigned> parse_count(std::string_view text) {
  unsigned count = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  if (error != std::errc{} || end != text.data() + text.size() || count == 0 ||
      count > Topology::kMostProcessors)
    return fail("--cpus takes 1 to {} processors, not '{}'", Topology::kMostProcessors, text);
  return count;
}

}  // namespace

Result<Topology> parse_topology(std::string_view text) {
  Topology topology;
  std::optional<unsigned> total;
  bool shaped = false;
  while (true) {
    const std::string_view item = text.substr(0, text.find(','));
    const size_t equals = item.find('=');
    if (equals == item.npos) {
      if (total) return fail("--cpus names the number of processors twice; give it once");
      total = EIDOLON_TRY(parse_count(item));
    } else {
      const std::string_view level = item.substr(0, equals);
      unsigned* const count = level == "sockets"   ? &topology.sockets
                              : level == "cores"   ? &topology.cores
                              : level == "threads" ? &topology.threads
                                                   : nullptr;
      if (count == nullptr)
        return fail("--cpus does not know '{}'; it takes a number, or sockets=, cores= and threads=", level);
      *count = EIDOLON_TRY(parse_count(item.substr(equals + 1)));
      shaped = true;
    }
    if (item.size() == text.size()) break;
    text.remove_prefix(item.size() + 1);
  }
  if (!shaped) return Topology::of(*total);
  if (!topology.valid())
    return fail("--cpus: there can be at most {} processors in all", Topology::kMostProcessors);
  if (total && *total != topology.processors())
    return fail("--cpus: {} sockets of {} cores of {} threads are {} processors, not {}", topology.sockets,
                topology.cores, topology.threads, topology.processors(), *total);
  return topology;
}

}  // namespace eidolon::control
