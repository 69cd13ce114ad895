// Memory that follows later: whoever touches a page that is not there gets it as it was on the other side,
// whoever they are, and nobody ever sees anything else.
#include "migration/page_fetcher.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <future>
#include <thread>

#include "migration/page_server.h"
#include "migration/pair.h"
#include "snapshot/mapped_memory.h"
#include "snapshot/memory_index.h"

namespace eidolon::migration {
namespace {

using snapshot::kPageBytes;
using namespace std::chrono_literals;

constexpr uint64_t kPages = 2048;
/// The pages between are of no machine.
const MemoryLayout kLayout{{{0, 1000 * kPageBytes}, {1024 * kPageBytes, 1024 * kPageBytes}}};

class Fetching : public ::testing::Test {
 protected:
  Fetching() : source(kPages * kPageBytes), target(kPages * kPageBytes), missing(kLayout) {
    for (uint64_t page = 0; page < kPages; ++page)
      if (page % 4 != 3) fill(page_of(source, page), page + 1);  // others are zeros
  }
  void SetUp() override {
    if (const auto faults = Userfault::create(); !faults) GTEST_SKIP() << faults.error().message;
  }
  void TearDown() override { fetcher.reset(); }

  static std::span<uint8_t> page_of(snapshot::MappedMemory& memory, uint64_t page) {
    return memory.bytes().subspan(page * kPageBytes, kPageBytes);
  }
  static void fill(std::span<uint8_t> page, uint64_t with) {
    for (size_t at = 0; at < page.size(); at += sizeof with) std::memcpy(&page[at], &with, sizeof with);
  }
  [[nodiscard]] bool is_there(uint64_t page) {
    return std::memcmp(page_of(source, page).data(), page_of(target, page).data(), kPageBytes) == 0;
  }
  void begin(Userfault::Serves most = Userfault::Serves::kAll) {
    fetcher = *PageFetcher::create(std::move(pair.other), kLayout, missing, *Userfault::create(most));
    const Result<> begun = fetcher->begin(target.bytes(), {.complete = [this] { complete.set_value(); },
                                                           .lost =
                                                               [this](const Error& error, bool ours) {
                                                                 was_ours = ours;
                                                                 lost.set_value(error.message);
                                                               }});
    ASSERT_TRUE(begun) << begun.error().message;
  }
  void all_missing() {
    for (uint64_t page = 0; page < kPages; ++page)
      if (kLayout.has_page(page)) missing.add(page);
  }
  /// As a source does it.
  std::thread serve(PageServer& server) {
    return std::thread([this, &server] {
      EXPECT_TRUE(server.serve_until(Kind::kLoaded, PageServer::Stream::kWanted, 30));
      EXPECT_TRUE(send_message(*pair.one, Kind::kGo));
      EXPECT_TRUE(server.serve_until(Kind::kRuns, PageServer::Stream::kAll, 30));
      EXPECT_TRUE(server.serve_until(Kind::kComplete, PageServer::Stream::kAll, 30));
    });
  }

  snapshot::MappedMemory source, target;
  PageSet missing;
  Pair pair;
  std::promise<void> complete;
  std::promise<std::string> lost;
  std::atomic<bool> was_ours{false};
  std::unique_ptr<PageFetcher> fetcher;
};

TEST_F(Fetching, EveryPageComesAsItWas) {
  all_missing();
  fill(page_of(target, 7), 123);  // what came in an earlier round
  PageServer server(*pair.one, source.bytes(), missing);
  std::thread other = serve(server);
  begin();
  EXPECT_TRUE(is_there(7)) << "whoever puts the machine together needs some";
  fetcher->announce_loaded();
  fetcher->announce_running();
  std::thread reader([this] {
    for (uint64_t page = 2047; page >= 1024; page -= 31) EXPECT_TRUE(is_there(page)) << page;
  });
  for (uint64_t page = 0; page < 1000; page += 17) EXPECT_TRUE(is_there(page)) << page;
  reader.join();
  other.join();
  complete.get_future().get();
  for (uint64_t page = 0; page < kPages; ++page)
    if (kLayout.has_page(page)) {
      EXPECT_TRUE(is_there(page)) << page;
    } else {
      EXPECT_EQ(page_of(target, page)[0], 0);
    }
  EXPECT_EQ(server.left(), 0u);
  EXPECT_GE(server.waits(), 1u);
}

TEST_F(Fetching, WhatIsThereStays) {
  missing.add(3);
  for (uint64_t page = 0; page < 1000; ++page)
    if (page != 3) fill(page_of(target, page), 1000 + page);
  PageServer server(*pair.one, source.bytes(), missing);
  std::thread other = serve(server);
  begin();
  page_of(target, 5)[0] = 77;
  EXPECT_EQ(page_of(target, 1500)[9], 0) << "never touched, so zeros on both sides";
  page_of(target, 1501)[9] = 78;
  fetcher->announce_loaded();
  fetcher->announce_running();
  other.join();
  complete.get_future().get();
  EXPECT_EQ(page_of(target, 5)[0], 77);
  EXPECT_EQ(page_of(target, 1501)[9], 78);
  EXPECT_TRUE(is_there(3));
}

TEST_F(Fetching, TheHostsKernelWaitsTooWhereItMay) {
  if ((*Userfault::create()).serves() != Userfault::Serves::kAll)
    GTEST_SKIP() << "this user may not have it do so";
  all_missing();
  PageServer server(*pair.one, source.bytes(), missing);
  std::thread other = serve(server);
  begin();
  EXPECT_EQ(fetcher->serves(), Userfault::Serves::kAll);
  const FileDescriptor file(memfd_create("test", MFD_CLOEXEC));
  const auto page = page_of(target, 42);
  EXPECT_EQ(write(file.get(), page.data(), page.size()), static_cast<ssize_t>(page.size()));
  EXPECT_TRUE(is_there(42));
  fetcher->announce_loaded();
  fetcher->announce_running();
  other.join();
}

TEST_F(Fetching, WithoutThatRightASystemCallNeedsPagesThatWereTouched) {
  all_missing();
  PageServer server(*pair.one, source.bytes(), missing);
  std::thread other = serve(server);
  begin(Userfault::Serves::kProgram);
  EXPECT_EQ(fetcher->serves(), Userfault::Serves::kProgram);
  const FileDescriptor file(memfd_create("test", MFD_CLOEXEC));
  const auto untouched = page_of(target, 42), touched = page_of(target, 1900);
  EXPECT_EQ(write(file.get(), untouched.data(), untouched.size()), -1);
  EXPECT_EQ(touched[100], page_of(source, 1900)[100]);
  EXPECT_EQ(write(file.get(), touched.data(), touched.size()), static_cast<ssize_t>(touched.size()));
  fetcher->announce_loaded();
  fetcher->announce_running();
  other.join();
}

TEST_F(Fetching, ASourceThatVanishesIsReportedAndWhoeverWaitsGoesOnWaiting) {
  all_missing();
  begin();
  std::atomic<bool> seen{false};
  std::thread reader([this, &seen] {
    const volatile uint8_t* byte = page_of(target, 1).data();
    (void)*byte;
    seen = true;
  });
  const auto wanted = expect(*pair.one, Kind::kWanted);
  ASSERT_TRUE(wanted);
  pair.one.reset();
  EXPECT_NE(lost.get_future().get().find("gone away"), std::string::npos);
  EXPECT_FALSE(was_ours);
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(seen) << "no byte is better than a wrong one";
  // So that this test can end.
  fetcher->stop();
  fetcher.reset();
  reader.join();
}

TEST_F(Fetching, AfterGoItIsOurs) {
  all_missing();
  begin();
  std::thread other([this] {
    EXPECT_TRUE(expect(*pair.one, Kind::kLoaded));
    EXPECT_TRUE(send_message(*pair.one, Kind::kGo));
    EXPECT_TRUE(expect(*pair.one, Kind::kRuns));
    pair.one.reset();
  });
  fetcher->announce_loaded();
  fetcher->announce_running();
  (void)lost.get_future().get();
  EXPECT_TRUE(was_ours);
  other.join();
}

TEST_F(Fetching, AMachineThatEndsNeedsNoMore) {
  all_missing();
  begin();
  std::thread other([this] {
    EXPECT_TRUE(expect(*pair.one, Kind::kLoaded));
    EXPECT_TRUE(send_message(*pair.one, Kind::kGo));
    EXPECT_TRUE(expect(*pair.one, Kind::kRuns));
    // It has sent much that nobody wants any more, and hears that nevertheless.
    const std::vector<uint8_t> page_of_zeros = {1, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0};
    for (int count = 0; count < 100; ++count)
      EXPECT_TRUE(send_message(*pair.one, Kind::kPages, page_of_zeros));
    EXPECT_TRUE(expect(*pair.one, Kind::kComplete));
    pair.one.reset();
  });
  fetcher->announce_loaded();
  fetcher->announce_running();
  fetcher.reset();
  other.join();
}

TEST_F(Fetching, NonsenseIsAsBadAsNothing) {
  all_missing();
  begin();
  ASSERT_TRUE(send_message(*pair.one, Kind::kHello));
  EXPECT_NE(lost.get_future().get().find("no migration"), std::string::npos);
}

TEST_F(Fetching, PagesOfOthersAreRefused) {
  all_missing();
  begin();
  std::vector<uint8_t> payload(16, 0);
  payload[0] = 1;
  const uint64_t entry = 1010 << 1 | 1;
  std::memcpy(payload.data() + 8, &entry, sizeof entry);
  ASSERT_TRUE(send_message(*pair.one, Kind::kPages, payload));
  EXPECT_NE(lost.get_future().get().find("does not have"), std::string::npos);
}

TEST(PageServing, NonsenseAndRefusalsAreSentences) {
  Pair pair;
  snapshot::MappedMemory memory(kPages * kPageBytes);
  PageSet missing(kLayout);
  missing.add(5);
  PageServer server(*pair.one, memory.bytes(), missing);
  ASSERT_TRUE(send_message(*pair.other, Kind::kWanted, std::vector<uint8_t>(7)));
  EXPECT_FALSE(server.serve_until(Kind::kLoaded, PageServer::Stream::kWanted, 1)) << "half a number";
  ASSERT_TRUE(send_message(*pair.other, Kind::kPages));
  EXPECT_FALSE(server.serve_until(Kind::kLoaded, PageServer::Stream::kWanted, 1));
  ASSERT_TRUE(send_refusal(*pair.other, "no room"));
  const auto refused = server.serve_until(Kind::kLoaded, PageServer::Stream::kWanted, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message, "no room");
  // A page that nobody has is not sent.
  std::vector<uint8_t> number(8, 0xff);
  ASSERT_TRUE(send_message(*pair.other, Kind::kWanted, number));
  ASSERT_TRUE(send_message(*pair.other, Kind::kLoaded));
  EXPECT_TRUE(server.serve_until(Kind::kLoaded, PageServer::Stream::kWanted, 1));
  EXPECT_FALSE(pair.other->readable());
  EXPECT_EQ(server.left(), 1u);
}

}  // namespace
}  // namespace eidolon::migration
