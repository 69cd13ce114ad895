#include "base/chunks.h"

#include <gtest/gtest.h>

#include <array>

namespace eidolon {
namespace {

struct alignas(64) Large {
  explicit Large(size_t its_number = 0) : number(its_number) {}
  size_t number;
  std::byte rest[1000]{};
};
static_assert(Chunks<Large>::kPerChunk > 1);
static_assert(Chunks<std::array<char, 100'000>>::kPerChunk == 1);

TEST(Chunks, ElementsStayWhereTheyAre) {
  Chunks<Large> chunks;
  std::vector<const Large*> places;
  for (size_t i = 0; i < 5 * Chunks<Large>::kPerChunk + 1; ++i) places.push_back(&chunks.emplace_back(i));
  EXPECT_EQ(chunks.size(), places.size());
  for (size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(&chunks[i], places[i]);
    EXPECT_EQ(chunks[i].number, i);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(places[i]) % alignof(Large), 0u);
  }
}

TEST(Chunks, WhatWasClearedIsUsedAgainAndIsNew) {
  Chunks<Large> chunks;
  const Large* first = &chunks.emplace_back(7u);
  for (size_t i = 0; i < 2 * Chunks<Large>::kPerChunk; ++i) chunks.emplace_back(7u);
  chunks.clear();
  EXPECT_EQ(chunks.size(), 0u);
  EXPECT_EQ(&chunks.emplace_back(), first);
  EXPECT_EQ(chunks[0].number, 0u);
}

TEST(Chunks, TheLastCanBeTakenBack) {
  Chunks<int> chunks;
  chunks.emplace_back(1);
  chunks.emplace_back(2);
  chunks.pop_back();
  EXPECT_EQ(chunks.emplace_back(), 0);
  EXPECT_EQ(chunks.size(), 2u);
  EXPECT_EQ(chunks[0], 1);
}

}  // namespace
}  // namespace eidolon
