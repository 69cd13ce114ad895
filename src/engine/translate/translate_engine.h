// Binary translation of one processor's code into a code cache, with StepEngine for what is not translated.
//
// How it works, from the outside in:
// - run() services events, finds the block for State::rip (translating it if need be) and enters generated
// code.
// - Generated code leaves at Sites (block.h) to the exit handler, which mends what was missing (links a jump,
// fills the
//   virtual TLB, steps one instruction) and goes on with the host address where to, or returns to run().
// - Blocks are keyed by linear address, guest-physical address and Mode. Direct jumps link blocks. A jump to
// another page
//   enters the target by its checked entry: it compares one word of Frame::page_ids, which says whether the
//   (linear page, physical page, mode) is known to be mapped. Whatever invalidates translations of addresses
//   empties that table.
// - A page with blocks is never writable in a virtual TLB (memory::GuestMemory::kHasCode), so stores to it
// come here and
//   drop just the blocks whose bytes they touch.
#pragma once

#include <memory>

#include "base/result.h"
#include "engine/engine.h"
#include "engine/translate/observer.h"
#include "engine/translate/round.h"
#include "engine/translate/statistics.h"

namespace eidolon::engine {

class TranslateEngine final : public Engine {
 public:
  struct Options {
    size_t cache_bytes = size_t{64} << 20;
    std::shared_ptr<translate::BlockObserver> observer;  ///< may be null
    bool sample_time = false;                            ///< so that report() can say where the time went
  };
  static Result<std::unique_ptr<TranslateEngine>> create(cpu::Cpu& cpu, const Options& options);
  static Result<std::unique_ptr<TranslateEngine>> create(cpu::Cpu& cpu) { return create(cpu, Options{}); }
  ~TranslateEngine() override;

  [[nodiscard]] std::string_view name() const override { return "translate"; }
  [[nodiscard]] Stop run() override;
  [[nodiscard]] const translate::Statistics& statistics() const;

  /// For lockstep, instead of run(): one block at a time, no block linked to another. prepare_thread() comes
  /// first, once on the calling thread. An engine is driven by run() or by this, not by both.
  void prepare_thread();
  [[nodiscard]] translate::Round run_round();
  [[nodiscard]] std::string report() const override;

 private:
  class Impl;
  explicit TranslateEngine(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace eidolon::engine
