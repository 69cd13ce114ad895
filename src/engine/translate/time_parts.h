// Where the time of a run goes, by sampling: the processor's thread keeps a word that says what it is doing,
// and a thread of ours looks at it about once a millisecond. No clock is read on the way, and while nobody
// samples the word costs a store where generated code is left and entered.
//
// The times between two looks vary, so that a guest's periodic timer cannot hide from them.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

namespace eidolon::engine::translate {

enum class Part : uint8_t {
  kMonitor,      ///< what no other part names
  kGenerated,    ///< generated code
  kTranslating,  ///< making blocks
  kStepping,     ///< the step engine
  kExits,        ///< generated code has left: page walks, look-ups of blocks, links, saved vector state
  kEvents,       ///< interrupts being delivered
  kAsleep,       ///< the guest's processor is halted
};
inline constexpr size_t kParts = 7;
using PartWord = std::atomic<Part>;

/// What is being done from here to the end of the scope.
class InPart {
 public:
  InPart(PartWord& word, Part part) : word_(word), before_(word.load(std::memory_order_relaxed)) {
    word_.store(part, std::memory_order_relaxed);
  }
  ~InPart() { word_.store(before_, std::memory_order_relaxed); }
  InPart(const InPart&) = delete;
  InPart& operator=(const InPart&) = delete;

 private:
  PartWord& word_;
  const Part before_;
};

struct TimesByPart {
  uint64_t run_ns = 0;        ///< inside Engine::run()
  uint64_t processor_ns = 0;  ///< of that, on a processor of the host
  std::array<uint64_t, kParts> samples{};

  [[nodiscard]] uint64_t all_samples() const;
  /// In run(), by the share of the samples; 0 without samples.
  [[nodiscard]] uint64_t ns(Part part) const;
};

class PartSampler {
 public:
  explicit PartSampler(const PartWord& word) : word_(word) {}

  /// One Engine::run(), from construction to destruction, on the thread that runs it.
  class Run {
   public:
    explicit Run(PartSampler* sampler);
    ~Run();
    Run(const Run&) = delete;
    Run& operator=(const Run&) = delete;

   private:
    PartSampler* const sampler_;  ///< null: nobody asked
    uint64_t wall_ = 0, processor_ = 0;
    std::jthread looker_;
  };
  /// Not during a Run.
  [[nodiscard]] const TimesByPart& times() const { return times_; }

 private:
  void look(const std::stop_token& stop);

  const PartWord& word_;
  TimesByPart times_;  ///< while a Run lasts, its samples belong to the looker
};

}  // namespace eidolon::engine::translate
