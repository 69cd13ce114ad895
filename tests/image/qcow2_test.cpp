// qcow2 images beside qemu-img: what it makes is read, what we write it finds in order, and what is damaged,
// hostile or not ours is refused with a sentence.
#include <gtest/gtest.h>

#include <cstring>

#include "backend/image/big_endian.h"
#include "backend/image/host_file.h"
#include "backend/image/qcow2_check.h"
#include "backend/image/qcow2_create.h"
#include "backend/image/qcow2_format.h"
#include "image/scratch.h"

namespace eidolon::backend::image {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class Qcow2Test : public Scratch {
 protected:
  void create(const std::string& name, Qcow2Options options) const {
    const auto file = HostFile::create(path(name), 0);
    ASSERT_TRUE(file) << file.error().message;
    const Result<> made = create_qcow2(**file, name, options);
    ASSERT_TRUE(made) << made.error().message;
  }
  /// Changes bytes of a file behind everybody's back.
  template <typename T>
  void poke(const std::string& name, uint64_t offset, T value) const {
    std::fstream file(path(name), std::ios::in | std::ios::out | std::ios::binary);
    std::array<uint8_t, sizeof(T)> bytes;
    store_big_endian(bytes.data(), value);
    file.seekp(static_cast<std::streamoff>(offset));
    file.write(reinterpret_cast<const char*>(bytes.data()), sizeof(T));
  }
  template <typename T>
  [[nodiscard]] T peek(const std::string& name, uint64_t offset) const {
    std::ifstream file(path(name), std::ios::binary);
    std::array<uint8_t, sizeof(T)> bytes{};
    file.seekg(static_cast<std::streamoff>(offset));
    file.read(reinterpret_cast<char*>(bytes.data()), sizeof(T));
    return load_big_endian<T>(bytes.data());
  }
  /// The place of an entry of the first L2 table.
  [[nodiscard]] uint64_t l2_entry(const std::string& name, unsigned index) const {
    const uint64_t l1 = peek<uint64_t>(name, qcow2::at::kL1Offset);
    return (peek<uint64_t>(name, l1) & qcow2::kEntryOffset) + index * 8;
  }
  void expect_sound(const std::string& name) const { EXPECT_EQ(run("qemu-img check " + name), 0) << log(); }
};

TEST_F(Qcow2Test, WhatWeMakeAndWriteQemuFindsInOrder) {
  if (!have_qemu()) GTEST_SKIP();
  create("disk", {.size = 64 * kMiB});
  {
    const auto medium = open("disk");
    EXPECT_EQ(medium->size(), 64 * kMiB);
    EXPECT_EQ(put(*medium, 512, std::string(300'032, 'a')), IoStatus::kDone);
    EXPECT_EQ(put(*medium, 63 * kMiB, std::string(kMiB, 'b')), IoStatus::kDone);
    EXPECT_EQ(medium->write_zeroes(4096, 8192, true), IoStatus::kDone);
    EXPECT_EQ(medium->discard(63 * kMiB, 128 * 1024), IoStatus::kDone);
    EXPECT_EQ(medium->flush(), IoStatus::kDone);
  }
  expect_sound("disk");
  EXPECT_EQ(run("qemu-img info disk && qemu-img convert -O raw disk raw"), 0) << log();
  const auto ours = open("disk", {.read_only = true});
  const auto theirs = open("raw", {.format = Format::kRaw, .read_only = true});
  EXPECT_EQ(get(*ours, 0, 2 * kMiB), get(*theirs, 0, 2 * kMiB));
  EXPECT_EQ(get(*ours, 62 * kMiB, 2 * kMiB), get(*theirs, 62 * kMiB, 2 * kMiB));
  EXPECT_EQ(get(*theirs, 63 * kMiB, 1), std::string(1, '\0'));
  EXPECT_EQ(get(*theirs, 64 * kMiB - 1, 1), "b");
}

TEST_F(Qcow2Test, CompressedClustersAreReadAndReplaced) {
  if (!have_qemu()) GTEST_SKIP();
  for (const std::string kind : {"zlib", "zstd"}) {
    EXPECT_EQ(run("seq 1 400000 | head -c 2M > plain && qemu-img convert -c -O qcow2 -o compression_type=" +
                  kind + " plain " + kind),
              0)
        << log();
    {
      const auto medium = open(kind);
      const auto plain = open("plain", {.format = Format::kRaw, .read_only = true});
      EXPECT_EQ(get(*medium, 0, 2 * kMiB), get(*plain, 0, 2 * kMiB)) << kind;
      EXPECT_EQ(put(*medium, 70'144, std::string(512, 'x')), IoStatus::kDone);
      EXPECT_EQ(medium->write_zeroes(kMiB, 192 * 1024, true), IoStatus::kDone);
      EXPECT_EQ(get(*medium, 65'536, 4608), get(*plain, 65'536, 4608));
      EXPECT_EQ(get(*medium, 70'144, 1024), std::string(512, 'x') + get(*plain, 70'656, 512));
    }
    expect_sound(kind);
  }
}

TEST_F(Qcow2Test, BackingFilesAreFoundBesideTheImage) {
  if (!have_qemu()) GTEST_SKIP();
  EXPECT_EQ(run("mkdir deep && seq 1 100000 | head -c 512K > deep/base && "
                "qemu-img create -f qcow2 -b base -F raw deep/middle 1M && "
                "qemu-img create -f qcow2 -b deep/middle -F qcow2 top 2M"),
            0)
      << log();
  {
    const auto middle = open("deep/middle");
    EXPECT_EQ(put(*middle, 4096, std::string(512, 'm')), IoStatus::kDone);
  }
  {
    const auto top = open("top");
    EXPECT_EQ(get(*top, 0, 7), "1\n2\n3\n4");
    EXPECT_EQ(get(*top, 4096, 1), "m");
    EXPECT_EQ(get(*top, 600 * 1024, 8), std::string(8, '\0')) << "behind the base";
    EXPECT_EQ(get(*top, kMiB + 4096, 8), std::string(8, '\0')) << "behind the middle";
    EXPECT_EQ(put(*top, 512, std::string(512, 't')), IoStatus::kDone);
    EXPECT_EQ(top->write_zeroes(128 * 1024, 64 * 1024, true), IoStatus::kDone);
    EXPECT_EQ(top->discard(256 * 1024, 64 * 1024), IoStatus::kDone);
  }
  expect_sound("top");
  EXPECT_EQ(run("qemu-img convert -O raw top all"), 0) << log();
  const auto top = open("top", {.read_only = true}),
             all = open("all", {.format = Format::kRaw, .read_only = true});
  EXPECT_EQ(get(*top, 0, 2 * kMiB), get(*all, 0, 2 * kMiB));
  EXPECT_EQ(get(*all, 0, 4), "1\n2\n");
  EXPECT_EQ(get(*all, 128 * 1024, 1), std::string(1, '\0'));
}

TEST_F(Qcow2Test, InternalSnapshotsStayAsTheyWere) {
  if (!have_qemu()) GTEST_SKIP();
  create("disk", {.size = 8 * kMiB});
  EXPECT_EQ(put(*open("disk"), 0, std::string(kMiB, 'o')), IoStatus::kDone);
  EXPECT_EQ(run("qemu-img snapshot -c before disk"), 0) << log();
  {
    const auto medium = open("disk");
    EXPECT_EQ(put(*medium, 4096, std::string(200'704, 'n')), IoStatus::kDone);
    EXPECT_EQ(medium->discard(512 * 1024, 128 * 1024), IoStatus::kDone);
    EXPECT_EQ(get(*medium, 0, 4097), std::string(4096, 'o') + "n");
  }
  expect_sound("disk");
  EXPECT_EQ(run("qemu-img snapshot -a before disk"), 0) << log();
  EXPECT_EQ(get(*open("disk"), 0, kMiB), std::string(kMiB, 'o'));
  EXPECT_EQ(run("qemu-img snapshot -d before disk"), 0) << log();
  EXPECT_EQ(put(*open("disk"), 0, std::string(kMiB, 'p')), IoStatus::kDone);
  expect_sound("disk");
}

TEST_F(Qcow2Test, OldAndOddShapesWork) {
  if (!have_qemu()) GTEST_SKIP();
  const std::vector<std::string> shapes = {"compat=0.10",
                                           "cluster_size=512",
                                           "cluster_size=2M",
                                           "refcount_bits=1",
                                           "refcount_bits=64",
                                           "lazy_refcounts=on",
                                           "preallocation=metadata",
                                           "preallocation=full,cluster_size=4k"};
  for (const std::string& shape : shapes) {
    EXPECT_EQ(
        run("qemu-img create -f qcow2 -o " + shape + " disk 5M && truncate -s 0 raw && truncate -s 5M raw"),
        0)
        << log();
    {
      const auto medium = open("disk"), raw = open("raw", {.format = Format::kRaw});
      for (uint64_t at = 0; at < 5 * kMiB - 20'480; at += 123 * 512) {
        const std::string bytes(20'480, static_cast<char>('a' + at / 512 % 26));
        EXPECT_EQ(put(*medium, at, bytes), IoStatus::kDone);
        EXPECT_EQ(put(*raw, at, bytes), IoStatus::kDone);
      }
      EXPECT_EQ(medium->write_zeroes(kMiB, 2 * kMiB, false), IoStatus::kDone);
      EXPECT_EQ(raw->write_zeroes(kMiB, 2 * kMiB, false), IoStatus::kDone);
    }
    expect_sound("disk");
    EXPECT_EQ(run("qemu-img compare -f qcow2 -F raw disk raw"), 0) << shape << "\n" << log();
  }
}

TEST_F(Qcow2Test, AnImageThatGrowsPastItsRefcountTableGetsALargerOne) {
  if (!have_qemu()) GTEST_SKIP();
  // A table of 64 blocks, each for 256 clusters of 512 bytes: 8 MiB.
  create("disk", {.size = 24 * kMiB, .cluster_bits = 9});
  {
    const auto medium = open("disk");
    for (uint64_t at = 0; at < 20 * kMiB; at += kMiB)
      ASSERT_EQ(put(*medium, at, std::string(kMiB, 'g')), IoStatus::kDone);
  }
  EXPECT_GT(peek<uint32_t>("disk", qcow2::at::kRefcountClusters), 1u);
  expect_sound("disk");
  const auto medium = open("disk");
  EXPECT_EQ(get(*medium, 19 * kMiB, kMiB), std::string(kMiB, 'g'));
}

TEST_F(Qcow2Test, PostponedRefcountsAreMadeGoodWhenOpened) {
  if (!have_qemu()) GTEST_SKIP();
  EXPECT_EQ(run("qemu-img create -f qcow2 -o lazy_refcounts=on disk 8M"), 0) << log();
  EXPECT_EQ(put(*open("disk"), 0, std::string(kMiB, 'z')), IoStatus::kDone);
  // As a monitor that was killed leaves it: counts at zero, and the mark.
  const uint64_t table = peek<uint64_t>("disk", qcow2::at::kRefcountOffset);
  const uint64_t block = peek<uint64_t>("disk", table);
  for (unsigned cluster = 4; cluster < 12; ++cluster) poke<uint16_t>("disk", block + cluster * 2, 0);
  poke<uint64_t>("disk", qcow2::at::kIncompatible, qcow2::kIncompatibleDirty);
  {
    const auto medium = open("disk");
    ASSERT_TRUE(medium);
    EXPECT_EQ(get(*medium, 0, kMiB), std::string(kMiB, 'z'));
    EXPECT_EQ(put(*medium, 2 * kMiB, std::string(kMiB, 'y')), IoStatus::kDone);
    EXPECT_EQ(get(*medium, 0, kMiB), std::string(kMiB, 'z')) << "nothing was given out twice";
  }
  EXPECT_EQ(peek<uint64_t>("disk", qcow2::at::kIncompatible), 0u);
  expect_sound("disk");
}

TEST_F(Qcow2Test, WhatIsNotSupportedIsSaid) {
  if (!have_qemu()) GTEST_SKIP();
  EXPECT_EQ(
      run("qemu-img create -f qcow2 -o extended_l2=on extended 1M && "
          "qemu-img create -f qcow2 -o data_file=data external 1M && "
          // Not luks: for that qemu-img measures how fast the host is, and fails where its clock of used time
          // is coarse.
          "qemu-img create -f qcow2 --object secret,id=s,data=x -o encrypt.format=aes,encrypt.key-secret=s "
          "encrypted 1M"),
      0)
      << log();
  EXPECT_NE(refusal("extended").find("extended L2"), std::string::npos);
  EXPECT_NE(refusal("external").find("another file"), std::string::npos);
  EXPECT_NE(refusal("encrypted").find("encrypted"), std::string::npos);
  create("unknown", {.size = kMiB});
  poke<uint64_t>("unknown", qcow2::at::kIncompatible, 1u << 20);
  EXPECT_NE(refusal("unknown").find("0x100000"), std::string::npos);
}

TEST_F(Qcow2Test, MissingAndCircularBackingFilesAreSaid) {
  create("lonely", {.size = kMiB, .backing_file = "gone", .backing_format = "raw"});
  EXPECT_NE(refusal("lonely").find("gone"), std::string::npos);
  create("a", {.size = kMiB, .backing_file = "b", .backing_format = "qcow2"});
  create("b", {.size = kMiB, .backing_file = "a", .backing_format = "qcow2"});
  EXPECT_NE(refusal("a").find("its own backing file"), std::string::npos);
  create("odd", {.size = kMiB, .backing_file = "a", .backing_format = "cloop"});
  EXPECT_NE(refusal("odd").find("cloop"), std::string::npos);
}

TEST_F(Qcow2Test, TwoWritersAreRefusedAndABackingFileIsShared) {
  std::ofstream(path("base")) << std::string(4096, 'b');
  create("one", {.size = kMiB, .backing_file = "base", .backing_format = "raw"});
  create("two", {.size = kMiB, .backing_file = "base", .backing_format = "raw"});
  const auto one = open("one"), two = open("two");
  ASSERT_TRUE(one && two);
  EXPECT_NE(refusal("one").find("in use"), std::string::npos);
  EXPECT_NE(refusal("base", {.format = Format::kRaw}).find("in use"), std::string::npos);
  if (!have_qemu()) return;
  EXPECT_NE(run("qemu-img check one"), 0) << "QEMU sees our locks";
}

TEST_F(Qcow2Test, HostileHeadersAreRefused) {
  struct Wrong {
    uint64_t at;
    uint64_t value;
    unsigned bytes;
  };
  const std::vector<Wrong> wrongs = {{qcow2::at::kVersion, 7, 4},
                                     {qcow2::at::kClusterBits, 60, 4},
                                     {qcow2::at::kClusterBits, 3, 4},
                                     {qcow2::at::kSize, 0, 8},
                                     {qcow2::at::kSize, ~0ull, 8},
                                     {qcow2::at::kSize, kMiB << 20, 8},
                                     {qcow2::at::kL1Size, 0xffffffff, 4},
                                     {qcow2::at::kL1Size, 0, 4},
                                     {qcow2::at::kL1Offset, 0, 8},
                                     {qcow2::at::kL1Offset, 65'536, 8},
                                     {qcow2::at::kL1Offset, 1ull << 40, 8},
                                     {qcow2::at::kL1Offset, 0x30001, 8},
                                     {qcow2::at::kRefcountOffset, 0, 8},
                                     {qcow2::at::kRefcountOffset, ~0ull << 16, 8},
                                     {qcow2::at::kRefcountClusters, 0xffffffff, 4},
                                     {qcow2::at::kRefcountClusters, 0, 4},
                                     {qcow2::at::kSnapshots, 0xffffffff, 4},
                                     {qcow2::at::kRefcountOrder, 9, 4},
                                     {qcow2::at::kHeaderLength, 0xffffffff, 4},
                                     {qcow2::at::kHeaderLength, 3, 4},
                                     {qcow2::at::kBackingOffset, ~0ull, 8},
                                     {qcow2::at::kIncompatible, 2, 8}};
  for (const Wrong& wrong : wrongs) {
    create("disk", {.size = kMiB});
    if (wrong.bytes == 4) poke("disk", wrong.at, static_cast<uint32_t>(wrong.value));
    if (wrong.bytes == 8) poke("disk", wrong.at, wrong.value);
    EXPECT_GT(refusal("disk").size(), 20u) << wrong.at << " " << wrong.value;
  }
  std::filesystem::resize_file(path("disk"), 40);
  EXPECT_GT(refusal("disk").size(), 20u);
  std::filesystem::resize_file(path("disk"), 0);
  EXPECT_GT(refusal("disk").size(), 20u);
}

TEST_F(Qcow2Test, AHostileTableNeverGetsAStructureOverwritten) {
  // Where data could be said to be: the header, the refcounts, the L1 table, the L2 table itself, far away.
  create("probe", {.size = kMiB});
  const uint64_t l1 = peek<uint64_t>("probe", qcow2::at::kL1Offset);
  for (const uint64_t target : {uint64_t{0}, uint64_t{65'536}, uint64_t{131'072}, l1, l1 + 131'072,
                                uint64_t{1} << 50, uint64_t{0x200}}) {
    create("disk", {.size = kMiB});
    EXPECT_EQ(put(*open("disk"), 0, std::string(65'536, 'a')), IoStatus::kDone);
    poke<uint64_t>("disk", l2_entry("disk", 1), target | qcow2::kEntryCopied | (target == 0 ? 0x200 : 0));
    std::vector<std::string> said;
    {
      const auto medium =
          open("disk", {.say = [&said](const std::string& sentence) { said.push_back(sentence); }});
      EXPECT_EQ(put(*medium, 65'536, std::string(512, 'X')), IoStatus::kFailed) << target;
      EXPECT_EQ(put(*medium, 0, std::string(512, 'X')), IoStatus::kFailed) << "nothing is written any more";
      EXPECT_EQ(get(*medium, 0, 4), "aaaa");
    }
    ASSERT_EQ(said.size(), 1u);
    EXPECT_NE(said[0].find("damaged"), std::string::npos);
    EXPECT_EQ(peek<uint64_t>("disk", qcow2::at::kIncompatible), qcow2::kIncompatibleCorrupt);
    EXPECT_NE(refusal("disk").find("marked as damaged"), std::string::npos);
    EXPECT_TRUE(open("disk", {.read_only = true}));
    poke<uint64_t>("disk", qcow2::at::kIncompatible, 0);
    std::ifstream file(path("disk"), std::ios::binary);
    const std::string all{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(all.find('X'), std::string::npos);
  }
}

TEST_F(Qcow2Test, TablesThatLieOverEachOtherAreRefused) {
  create("disk", {.size = 2048 * kMiB});
  EXPECT_EQ(put(*open("disk"), 0, std::string(512, 'a')), IoStatus::kDone);
  const uint64_t l1 = peek<uint64_t>("disk", qcow2::at::kL1Offset);
  const uint64_t entry = peek<uint64_t>("disk", l1);
  for (const uint64_t bad : {uint64_t{65'536}, entry, l1, uint64_t{1} << 45, uint64_t{0x12345600}}) {
    poke<uint64_t>("disk", qcow2::at::kIncompatible, 0);
    poke<uint64_t>("disk", l1 + 8, bad);
    EXPECT_NE(refusal("disk").find("damaged"), std::string::npos) << bad;
  }
}

TEST_F(Qcow2Test, CountsThatAreTooLowGiveNothingAway) {
  create("disk", {.size = kMiB});
  const uint64_t table = peek<uint64_t>("disk", qcow2::at::kRefcountOffset);
  const uint64_t block = peek<uint64_t>("disk", table);
  for (unsigned cluster = 0; cluster < 4; ++cluster) poke<uint16_t>("disk", block + cluster * 2, 0);
  {
    const auto medium = open("disk");
    EXPECT_EQ(put(*medium, 0, std::string(512, 'a')), IoStatus::kFailed);
  }
  EXPECT_EQ(peek<uint32_t>("disk", 0), qcow2::kMagic);
  EXPECT_EQ(peek<uint64_t>("disk", qcow2::at::kIncompatible), qcow2::kIncompatibleCorrupt);
}

TEST_F(Qcow2Test, ACompressedClusterOfRubbishIsAnError) {
  if (!have_qemu()) GTEST_SKIP();
  EXPECT_EQ(run("seq 1 20000 | head -c 64K > plain && qemu-img convert -c -O qcow2 plain disk"), 0) << log();
  const uint64_t entry = peek<uint64_t>("disk", l2_entry("disk", 0));
  poke<uint64_t>("disk", qcow2::compressed_place(entry, 16).offset, 0xffffffffffffffff);
  const auto medium = open("disk");
  std::string bytes(512, '?');
  const iovec part = {bytes.data(), bytes.size()};
  EXPECT_EQ(medium->read(0, {&part, 1}), IoStatus::kFailed);
  EXPECT_EQ(put(*medium, 0, std::string(65'536, 'w')), IoStatus::kDone)
      << "a whole cluster needs nothing of it";
}

}  // namespace
}  // namespace eidolon::backend::image
