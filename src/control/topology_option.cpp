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

/// As it was typed.
struct Parts {
  std::optional<unsigned> total, most;
  Topology shape;
  bool shaped = false;
};

Result<Parts> split(std::string_view text) {
  Parts parts;
  while (true) {
    const std::string_view item = text.substr(0, text.find(','));
    const size_t equals = item.find('=');
    if (equals == item.npos) {
      if (parts.total) return fail("--cpus names the number of processors twice; give it once");
      parts.total = EIDOLON_TRY(parse_count(item));
    } else if (item.substr(0, equals) == "max") {
      parts.most = EIDOLON_TRY(parse_count(item.substr(equals + 1)));
    } else {
      const std::string_view level = item.substr(0, equals);
      unsigned* const count = level == "sockets"   ? &parts.shape.sockets
                              : level == "cores"   ? &parts.shape.cores
                              : level == "threads" ? &parts.shape.threads
                                                   : nullptr;
      if (count == nullptr)
        return fail("--cpus does not know '{}'; it takes a number, max=, or sockets=, cores= and threads=",
                    level);
      *count = EIDOLON_TRY(parse_count(item.substr(equals + 1)));
      parts.shaped = true;
    }
    if (item.size() == text.size()) return parts;
    text.remove_prefix(item.size() + 1);
  }
}

}  // namespace

Result<ProcessorsOption> parse_processors(std::string_view text) {
  const Parts parts = EIDOLON_TRY(split(text));
  if (parts.most && !parts.total)
    return fail("--cpus: max= goes with the number of processors at the start, as in 2,max={}", *parts.most);
  if (parts.most && *parts.total > *parts.most)
    return fail("--cpus: {} processors at the start are more than max={}", *parts.total, *parts.most);
  const unsigned present = parts.most ? *parts.total : 0;
  const std::optional<unsigned> all = parts.most ? parts.most : parts.total;
  if (!parts.shaped) return ProcessorsOption{Topology::of(*all), present};
  const Topology& shape = parts.shape;
  if (!shape.valid())
    return fail("--cpus: there can be at most {} processors in all", Topology::kMostProcessors);
  if (all && *all != shape.processors())
    return fail("--cpus: {} sockets of {} cores of {} threads are {} processors, not {}", shape.sockets,
                shape.cores, shape.threads, shape.processors(), *all);
  return ProcessorsOption{shape, present};
}

}  // namespace eidolon::control
