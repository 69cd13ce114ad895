#include "engine/translate/time_parts.h"

#include <time.h>

#include <numeric>

namespace eidolon::engine::translate {

namespace {

uint64_t now(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}

}  // namespace

uint64_t TimesByPart::all_samples() const {
  return std::accumulate(samples.begin(), samples.end(), uint64_t{0});
}

uint64_t TimesByPart::ns(Part part) const {
  const uint64_t all = all_samples();
  if (all == 0) return 0;
  return static_cast<uint64_t>(static_cast<double>(run_ns) *
                               static_cast<double>(samples[static_cast<size_t>(part)]) /
                               static_cast<double>(all));
}

PartSampler::Run::Run(PartSampler* sampler) : sampler_(sampler) {
  if (sampler_ == nullptr) return;
  wall_ = now(CLOCK_MONOTONIC);
  processor_ = now(CLOCK_THREAD_CPUTIME_ID);
  looker_ = std::jthread([this](const std::stop_token& stop) { sampler_->look(stop); });
}

PartSampler::Run::~Run() {
  if (sampler_ == nullptr) return;
  looker_.request_stop();
  looker_.join();
  sampler_->times_.run_ns += now(CLOCK_MONOTONIC) - wall_;
  sampler_->times_.processor_ns += now(CLOCK_THREAD_CPUTIME_ID) - processor_;
}

void PartSampler::look(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any never;
  uint32_t random = 0x2545f491;
  for (;;) {
    random ^= random << 13;
    random ^= random >> 17;
    random ^= random << 5;
    std::unique_lock lock(mutex);
    if (never.wait_for(lock, stop, std::chrono::microseconds(500 + random % 1000), [] { return false; }) ||
        stop.stop_requested())
      return;
    ++times_.samples[static_cast<size_t>(word_.load(std::memory_order_relaxed))];
  }
}

}  // namespace eidolon::engine::translate
