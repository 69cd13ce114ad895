#include "control/balloon_command.h"

#include <algorithm>

namespace eidolon::control {

namespace {

using device::virtio::Balloon;
using Json = nlohmann::json;

/// A guest that runs answers within milliseconds.
constexpr std::chrono::seconds kPatience{2};

struct Name {
  Balloon::Statistic statistic;
  const char* name;
};
constexpr Name kNames[] = {{Balloon::kSwappedIn, "swapped_in"},
                           {Balloon::kSwappedOut, "swapped_out"},
                           {Balloon::kMajorFaults, "major_faults"},
                           {Balloon::kMinorFaults, "minor_faults"},
                           {Balloon::kFree, "free"},
                           {Balloon::kTotal, "total"},
                           {Balloon::kAvailable, "available"},
                           {Balloon::kCaches, "caches"},
                           {Balloon::kHugePages, "huge_pages"},
                           {Balloon::kHugePageFailures, "huge_page_failures"}};

Json statistics_of(const Balloon::Report& report) {
  Json answer = Json::object();
  for (const Name& one : kNames)
    if (report.statistics[one.statistic]) answer[one.name] = *report.statistics[one.statistic];
  return answer;
}

}  // namespace

Result<Json> balloon(const Json& request, const Commanded& on) {
  Balloon* const balloon = on.machine.balloon();
  const uint64_t all = on.machine.memory_bytes();
  if (balloon == nullptr)
    return fail("this machine has no balloon; start it without --balloon none and --engine lockstep");
  const auto memory = request.find("memory");
  if (memory != request.end()) {
    if (!memory->is_number_unsigned()) return fail("\"memory\" takes a number of bytes");
    const auto kept = memory->get<uint64_t>();
    if (kept > all) return fail("the machine has {} MiB of memory; ask for no more than that", all >> 20);
    balloon->set_target(all - kept);
  }
  // One that is paused would be waited for in vain.
  const bool asks = memory == request.end() && !on.machine.paused();
  const Balloon::Report report = balloon->report(asks ? kPatience : std::chrono::seconds(0));
  const auto rest = [all](uint64_t given) { return all - std::min(given, all); };
  Json answer = {{"memory", all},
                 {"target", rest(report.target)},
                 {"kept", rest(report.given)},
                 {"driver", report.driver}};
  if (asks) answer["statistics"] = statistics_of(report);
  return answer;
}

}  // namespace eidolon::control
