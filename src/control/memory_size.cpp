#include "control/memory_size.h"

#include <charconv>

#include "x86/paging.h"

namespace eidolon::control {

Result<uint64_t> parse_memory_size(std::string_view text, std::string_view option) {
  uint64_t number = 0;
  const char* end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, number);
  const std::string_view unit(rest, static_cast<size_t>(end - rest));
  const bool gigabytes = unit == "G" || unit == "g";
  const bool megabytes = unit == "M" || unit == "m" || unit.empty();
  if (problem == std::errc::invalid_argument || (!gigabytes && !megabytes)) {
    return fail("{} cannot be '{}'; write a size such as 512M or 2G", option, text);
  }
  const unsigned shift = gigabytes ? 30 : 20;
  // Half of the address space is more than any host has, and leaves room for what is above RAM.
  constexpr uint64_t kLimit = uint64_t{1} << (x86::kPhysicalAddressBits - 1);
  if (problem == std::errc::result_out_of_range || number > (kLimit >> shift)) {
    return fail("{} {} is more than a guest can address; give at most {}G", option, text, kLimit >> 30);
  }
  if ((number << shift) < kMinimumMemory) {
    return fail("{} {} is too little for any kernel; give at least {}M, and 256M or more for Linux", option,
                text, kMinimumMemory >> 20);
  }
  return number << shift;
}

}  // namespace eidolon::control
