// A folder that another process serves, whose server loses what it knew of the mount when it ends.
#include <cerrno>
#include <optional>

#include "vhost/fake_back_end.h"
#include "vhost/fixture.h"
#include "vhost/fs.h"
#include "virtio/split_driver.h"

namespace eidolon::vhost {
namespace {

using device::virtio::SplitDriver;
using memory::GuestPhysical;

class ServedFsTest : public VhostTest {
 protected:
  static constexpr GuestPhysical kQuestion = 0x60000, kAnswer = 0x61000;

  ~ServedFsTest() override { folder.reset(); }  // before what it uses

  void serve(FakeBackEnd::Manner manner) {
    back_end.emplace(socket, nothing, manner);
    back_end->kind = FakeBackEnd::Kind::kFolder;
    back_end->start();
  }
  void start() {
    auto made = make_fs("fs", socket, "work", *memory);
    ASSERT_TRUE(made) << made.error().message;
    folder = *std::move(made);
    folder->connect(dma, interrupts);
    urgent.emplace(*memory, kRings, uint16_t{8});
    requests.emplace(*memory, kRings + 0x4000, uint16_t{8});
    VhostTest::start(*folder, device::virtio::kFeatureVersion1, {urgent->place(), requests->place()});
  }
  void ask(uint8_t number) {
    requests->put<uint64_t>(kQuestion + 8, number);
    requests->descriptor(0, kQuestion, 40, SplitDriver::kNext, 1);
    requests->descriptor(1, kAnswer, 80, SplitDriver::kWrite);
    requests->offer(0);
    folder->notify(1);
  }
  bool answered(uint16_t count) {
    return wait_until([&] { return requests->used() == count; });
  }

  FakeDisk nothing;
  std::optional<FakeBackEnd> back_end;
  std::optional<SplitDriver> urgent, requests;
  std::unique_ptr<device::virtio::Device> folder;
};

TEST_F(ServedFsTest, HasItsTagAndCarriesMessages) {
  serve(FakeBackEnd::Manner::kGood);
  start();
  EXPECT_EQ(folder->read_config(0, 8), 0x6b72'6f77u) << "work";
  EXPECT_EQ(folder->read_config(36, 4), 1u);
  ask(7);
  ASSERT_TRUE(answered(1));
  EXPECT_EQ(requests->used_length(0), 16u);
  EXPECT_EQ(requests->get<uint64_t>(kAnswer + 8), 7u);
}

TEST_F(ServedFsTest, WhatAServerHasTakenAlongIsAnErrorOfTheHost) {
  serve(FakeBackEnd::Manner::kSilent);
  start();
  ask(9);
  ASSERT_TRUE(wait_until([this] { return back_end->requests == 1; }));
  back_end->die();
  ASSERT_TRUE(answered(1));
  EXPECT_EQ(requests->used_length(0), 16u);
  EXPECT_EQ(requests->get<uint32_t>(kAnswer), 16u);
  EXPECT_EQ(requests->get<int32_t>(kAnswer + 4), -EIO);
  EXPECT_EQ(requests->get<uint64_t>(kAnswer + 8), 9u);
  serve(FakeBackEnd::Manner::kGood);
  ask(10);
  ASSERT_TRUE(answered(2));
  EXPECT_EQ(requests->get<int32_t>(kAnswer + 4), 0);
}

}  // namespace
}  // namespace eidolon::vhost
