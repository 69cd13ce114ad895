// Instruction fetch: from CS:RIP to an operation. A small table of code pages answers as long as the page
// translations it was filled from hold.
#pragma once

#include <array>

#include "engine/step/context.h"
#include "engine/step/operation_cache.h"

namespace eidolon::engine::step {

class Fetcher {
 public:
  Fetcher(cpu::Cpu& cpu, OperationCache& cache) : cpu_(cpu), cache_(cache) {}

  /// The operation at State::rip. #GP(0) beyond the limit of CS or off canonical space, #PF, #UD.
  [[nodiscard]] cpu::Outcome<const Operation*> fetch(isa::CodeSize size);

 private:
  struct Page {
    uint64_t tag = ~uint64_t{0};  ///< linear page, bit 0: CPL 3
    uint64_t generation = 0;
    const uint8_t* host = nullptr;
  };
  static constexpr unsigned kPages = 128;

  [[nodiscard]] const uint8_t* page_at(uint64_t linear);
  [[nodiscard]] const uint8_t* fill(uint64_t linear, uint64_t tag, Page& page);
  [[nodiscard]] cpu::Outcome<const Operation*> fetch_slowly(uint64_t linear, unsigned room,
                                                            const uint8_t* host, isa::CodeSize size);

  cpu::Cpu& cpu_;
  OperationCache& cache_;
  std::array<Page, kPages> pages_{};
};

}  // namespace eidolon::engine::step
