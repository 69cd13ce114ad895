#include "engine/translate/large_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <chrono>
#include <cstring>
#include <thread>

#include "engine/translate/code_cache.h"

namespace eidolon::engine::translate {
namespace {

constexpr size_t kCache = 4 * LargePages::kSize;

TEST(LargePages, CacheIsAlignedForThemInBothViews) {
  const auto cache = CodeCache::create(kCache);
  ASSERT_TRUE(cache);
  EXPECT_EQ(reinterpret_cast<uintptr_t>((*cache)->writable()) % LargePages::kSize, 0u);
  EXPECT_EQ((*cache)->executable(0) % LargePages::kSize, 0u);
}

/// Code that is written and read while its memory is gathered is never another.
TEST(LargePages, WhatIsWrittenMeanwhileStays) {
  for (const auto backing : {CodeCache::Backing::kFile, CodeCache::Backing::kAnonymous}) {
    const auto made = CodeCache::create(kCache, backing);
    ASSERT_TRUE(made);
    CodeCache& cache = **made;
    const auto* seen = reinterpret_cast<const uint8_t*>(cache.executable(0));
    for (uint32_t offset = 0; offset < kCache; offset += 64)
      std::memcpy(cache.writable() + offset, &offset, 4);
    cache.filled_up_to(kCache);
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
    uint32_t round = 1;
    for (; std::chrono::steady_clock::now() < end; ++round) {
      for (uint32_t offset = 4; offset < kCache; offset += 4096) {
        std::memcpy(cache.writable() + offset, &round, 4);
        uint32_t back = 0;
        std::memcpy(&back, seen + offset, 4);
        ASSERT_EQ(back, round);
      }
    }
    for (uint32_t offset = 0; offset < kCache; offset += 64) {
      uint32_t back = 0;
      std::memcpy(&back, seen + offset, 4);
      ASSERT_EQ(back, offset);
    }
  }
}

/// A cache that goes away while its memory is being gathered.
TEST(LargePages, MayBeLeftHalfDone) {
  for (int i = 0; i < 20; ++i) {
    const auto cache = CodeCache::create(kCache);
    ASSERT_TRUE(cache);
    std::memset((*cache)->writable(), 0xc3, kCache);
    (*cache)->filled_up_to(kCache / 2);
    (*cache)->filled_up_to(kCache);
  }
}

}  // namespace
}  // namespace eidolon::engine::translate
