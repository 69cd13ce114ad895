#include "memory/populate_ahead.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <chrono>
#include <thread>

#include "memory/guest_memory.h"

namespace eidolon::memory {
namespace {

constexpr uint64_t kPiece = uint64_t{1} << PopulateAhead::kPieceShift;
constexpr uint64_t kPieces = 16;

class PopulateAheadTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::array<uint8_t, 4096> page{};
    void* fresh = mmap(nullptr, page.size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    supported_ = madvise(fresh, page.size(), 23) == 0;  // MADV_POPULATE_WRITE
    munmap(fresh, page.size());
  }
  void SetUp() override {
    if (!supported_) GTEST_SKIP() << "this host's kernel cannot supply memory ahead (Linux 5.14)";
  }

  /// Whether the host has memory for the first page of the piece.
  bool is_there(uint64_t piece) {
    unsigned char resident = 0;
    EXPECT_EQ(mincore(memory_->bytes().data() + piece * kPiece, 4096, &resident), 0);
    return (resident & 1) != 0;
  }
  /// The thread has its own time.
  bool comes(uint64_t piece) {
    for (int tries = 0; tries < 5000 && !is_there(piece); ++tries)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return is_there(piece);
  }
  void write(uint64_t piece) { ASSERT_TRUE(memory_->enter_writer(piece * kPiece + 0x5000, 0)); }

  std::unique_ptr<GuestMemory> memory_ = [] {
    auto memory = GuestMemory::create(kPieces * kPiece);
    EXPECT_TRUE((*memory)->add_region(0, kPieces * kPiece, RegionKind::kRam));
    (*memory)->supply_ahead();
    return std::move(*memory);
  }();

 private:
  static inline bool supported_ = false;
};

TEST_F(PopulateAheadTest, Upward) {
  write(3);
  write(4);
  for (uint64_t piece = 5; piece < 5 + PopulateAhead::kAhead; ++piece) EXPECT_TRUE(comes(piece)) << piece;
  EXPECT_FALSE(is_there(5 + PopulateAhead::kAhead));
  EXPECT_FALSE(is_there(2));
}

TEST_F(PopulateAheadTest, Downward) {
  write(12);
  write(11);
  for (uint64_t piece = 11 - PopulateAhead::kAhead; piece < 11; ++piece) EXPECT_TRUE(comes(piece)) << piece;
  EXPECT_FALSE(is_there(10 - PopulateAhead::kAhead));
  EXPECT_FALSE(is_there(13));
}

TEST_F(PopulateAheadTest, GoesOnFromAPieceThatWasSupplied) {
  write(0);
  write(1);
  ASSERT_TRUE(comes(1 + PopulateAhead::kAhead));
  write(2);
  EXPECT_TRUE(comes(2 + PopulateAhead::kAhead));
}

TEST_F(PopulateAheadTest, ContentsStay) {
  uint8_t* const at = memory_->host(6 * kPiece + 123, 1);
  *at = 0x5A;
  write(4);
  write(5);
  ASSERT_TRUE(comes(7));
  EXPECT_EQ(*at, 0x5A);
  EXPECT_EQ(*memory_->host(7 * kPiece + 123, 1), 0);
}

// What comes after pieces apart, and beyond the ends, is nobody's to supply: the last one is looked at when a
// run elsewhere, which the thread sees later, has been supplied.
TEST_F(PopulateAheadTest, PiecesApartAndTheEnds) {
  write(10);
  write(12);
  write(kPieces - 2);
  write(kPieces - 1);
  write(1);
  write(0);
  write(4);
  write(5);
  ASSERT_TRUE(comes(5 + 1));
  EXPECT_FALSE(is_there(11));
  EXPECT_FALSE(is_there(13));
}

}  // namespace
}  // namespace eidolon::memory
