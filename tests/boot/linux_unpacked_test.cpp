// bzImages that are unpacked on the host: every packing, and what is left to the guest.
#include <elf.h>

#include "boot/boot_machine.h"
#include "boot/linux.h"
#include "boot/linux_header.h"
#include "boot/pack.h"
#include "boot/unpack.h"

namespace eidolon::boot {

namespace {

using namespace linux_header;

constexpr uint64_t kLoad = 0x1000000;
constexpr uint64_t kData = kLoad + 0x900000;
constexpr uint64_t kEntry = kLoad + 0x10;
constexpr uint64_t kInitBytes = 0xc00000;
constexpr uint64_t kCodeAt = 0x1000;  // in the ELF file

class LinuxUnpacked : public BootMachine {
 protected:
  /// An ELF file with code of more than one LZ4 block, data, and zeros behind the data.
  LinuxUnpacked() : vmlinux_(kCodeAt + 0x880000 + 0x1000) {
    uint32_t random = 1;
    for (size_t i = kCodeAt; i < vmlinux_.size(); ++i) {
      random = random * 1664525 + 1013904223;
      vmlinux_[i] = (i & 0x7c0) == 0 ? static_cast<uint8_t>(random >> 24) : static_cast<uint8_t>(i >> 11);
    }
    const Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, 1},
                               .e_type = ET_EXEC,
                               .e_machine = EM_X86_64,
                               .e_version = 1,
                               .e_entry = kEntry,
                               .e_phoff = sizeof(Elf64_Ehdr),
                               .e_shoff = 0,
                               .e_flags = 0,
                               .e_ehsize = sizeof(Elf64_Ehdr),
                               .e_phentsize = sizeof(Elf64_Phdr),
                               .e_phnum = 2,
                               .e_shentsize = 0,
                               .e_shnum = 0,
                               .e_shstrndx = 0};
    put(vmlinux_, 0, header);
    put_segment(0, kCodeAt, kLoad, 0x880000, 0x880000);
    put_segment(1, kCodeAt + 0x880000, kData, 0x1000, 0x3000);
  }
  void put_segment(unsigned index, uint64_t offset, uint64_t physical, uint64_t in_file, uint64_t in_memory) {
    put(vmlinux_, sizeof(Elf64_Ehdr) + index * sizeof(Elf64_Phdr),
        Elf64_Phdr{.p_type = PT_LOAD,
                   .p_flags = PF_R | PF_X,
                   .p_offset = offset,
                   .p_vaddr = physical,
                   .p_paddr = physical,
                   .p_filesz = in_file,
                   .p_memsz = in_memory,
                   .p_align = 0x1000});
  }
  static void append_size(Bytes& packed, size_t size) { append(packed, static_cast<uint32_t>(size)); }

  /// A bzImage whose unpacker is 0xcc, with `payload` in it.
  static Bytes image_of(const Bytes& payload) {
    constexpr uint32_t kBefore = 0x300;
    const size_t used = (0x400 + kBefore + payload.size() + 15) & ~size_t{15};
    Bytes image(used + 0x400, 0xcc);
    std::fill_n(image.begin(), 0x400, 0);
    std::ranges::copy(payload, image.begin() + 0x400 + kBefore);
    put<uint8_t>(image, kSetupSectors, 1);
    put<uint32_t>(image, kSystemSize, static_cast<uint32_t>((image.size() - 0x400) / 16));
    put<uint16_t>(image, kBootFlag, kBootFlagValue);
    put<uint8_t>(image, kJumpDistance, 0x6a);
    put<uint32_t>(image, kMagic, kMagicValue);
    put<uint16_t>(image, kVersion, 0x20f);
    put<uint8_t>(image, kLoadFlags, kLoadedHigh | kKaslr);
    put<uint32_t>(image, kInitrdMax, 0x7fffffff);
    put<uint8_t>(image, kRelocatable, 1);
    put<uint16_t>(image, kXLoadFlags, kXlfKernel64);
    put<uint32_t>(image, kCommandLineSize, 64);
    put<uint32_t>(image, kPayloadOffset, kBefore);
    put<uint32_t>(image, kPayloadLength, static_cast<uint32_t>(payload.size()));
    put<uint64_t>(image, kPreferredAddress, kLoad);
    put<uint32_t>(image, kInitSize, kInitBytes);
    return image;
  }

  void expect_unpacked(const Bytes& payload) {
    make(64 << 20);
    const uint8_t dirt = 0x77;
    ASSERT_TRUE(memory_->write(kData + 0x2fff, &dirt, 1));
    ASSERT_EQ(error(image_of(payload)), "");
    EXPECT_EQ(state_.rip, kEntry);
    EXPECT_TRUE(state_.long_code());
    EXPECT_TRUE(state_.control.paging());
    EXPECT_EQ(state_.gpr[x86::kRsi], kBootParams);
    Bytes code(0x880000);
    ASSERT_TRUE(memory_->read(kLoad, code.data(), code.size()));
    EXPECT_TRUE(std::equal(code.begin(), code.end(), vmlinux_.begin() + kCodeAt));
    EXPECT_EQ(at<uint8_t>(kData + 0xfff), vmlinux_.back());
    EXPECT_EQ(at<uint8_t>(kData + 0x2fff), 0);  // zeroed
    EXPECT_EQ(at<uint8_t>(kBootParams + kLoadFlags), kLoadedHigh);
  }
  void expect_left_to_guest(const Bytes& image) {
    make(64 << 20);
    ASSERT_EQ(error(image), "");
    EXPECT_EQ(state_.rip, kLoad + kEntry64);
    EXPECT_EQ(at<uint8_t>(kLoad), 0xcc);
  }

  Bytes vmlinux_;
};

TEST_F(LinuxUnpacked, EveryPackingGivesTheSameKernel) {
  expect_unpacked(vmlinux_);
  expect_unpacked(pack_gzip(vmlinux_));
  for (const auto pack : {pack_bzip2, pack_lzma, pack_xz, pack_zstd, pack_lz4}) {
    Bytes payload = pack(vmlinux_);
    append_size(payload, vmlinux_.size());
    expect_unpacked(payload);
  }
}

TEST_F(LinuxUnpacked, TheGuestUnpacksOnRequest) {
  input_.unpack = KernelUnpack::kGuest;
  expect_left_to_guest(image_of(pack_gzip(vmlinux_)));
}

TEST_F(LinuxUnpacked, TheInitrdComesBehindAllThatTheKernelNeeds) {
  make(kLoad + kInitBytes + 0x1000);
  const Bytes initrd(0x1001);
  input_.modules.push_back({initrd, ""});
  EXPECT_NE(error(image_of(pack_gzip(vmlinux_))).find("initrd"), std::string::npos);
}

TEST_F(LinuxUnpacked, DamageIsSaid) {
  for (const auto pack : {pack_gzip, pack_bzip2, pack_lzma, pack_xz, pack_zstd}) {
    Bytes payload = pack(vmlinux_);
    if (pack != pack_gzip) append_size(payload, vmlinux_.size());
    Bytes cut(payload.begin(), payload.begin() + static_cast<long>(payload.size() / 2));
    append_size(cut, vmlinux_.size());
    EXPECT_NE(error(image_of(cut)).find("--kernel-unpack guest"), std::string::npos);
    payload[payload.size() / 2] ^= 0x10;
    EXPECT_NE(error(image_of(payload)).find("damaged"), std::string::npos);
  }
  Bytes lz4 = pack_lz4(vmlinux_);
  append_size(lz4, vmlinux_.size());
  put<uint32_t>(lz4, 4, 0x7fffffff);
  EXPECT_NE(error(image_of(lz4)).find("damaged"), std::string::npos);
}

TEST_F(LinuxUnpacked, ASizeThatIsNotThatOfTheDataIsDamage) {
  for (const auto pack : {pack_bzip2, pack_lzma, pack_xz, pack_zstd, pack_lz4}) {
    Bytes longer = pack(vmlinux_);
    append_size(longer, vmlinux_.size() + 1);
    EXPECT_NE(error(image_of(longer)).find("damaged"), std::string::npos);
  }
}

TEST_F(LinuxUnpacked, WhatLinuxDoesNotMakeIsLeftToTheGuest) {
  Bytes unknown = pack_gzip(vmlinux_);
  unknown[0] = 0x89;  // LZO's
  expect_left_to_guest(image_of(unknown));

  Bytes beyond = image_of(pack_gzip(vmlinux_));
  put<uint32_t>(beyond, kPayloadOffset, 0xfffffff0);
  expect_left_to_guest(beyond);

  Bytes old = image_of(pack_gzip(vmlinux_));
  put<uint16_t>(old, kVersion, 0x207);
  make(64 << 20);
  ASSERT_EQ(error(old), "");
  EXPECT_EQ(state_.rip, kHighRamBase);  // no 64-bit entry, no preferred address

  Bytes huge = pack_xz(vmlinux_);
  append_size(huge, kInitBytes + 1);
  expect_left_to_guest(image_of(huge));

  expect_left_to_guest(image_of(pack_gzip(Bytes(0x10000, 0x90))));  // no ELF file

  const Bytes good = vmlinux_;
  put<uint16_t>(vmlinux_, offsetof(Elf64_Ehdr, e_machine), EM_386);
  expect_left_to_guest(image_of(pack_gzip(vmlinux_)));
  vmlinux_ = good;
  put<uint64_t>(vmlinux_, offsetof(Elf64_Ehdr, e_entry), kData + 0x1000);
  expect_left_to_guest(image_of(pack_gzip(vmlinux_)));
  vmlinux_ = good;
  put_segment(1, kCodeAt, 0x8000, 0x1000, 0x1000);  // over boot_params
  expect_left_to_guest(image_of(pack_gzip(vmlinux_)));
  put_segment(1, kCodeAt, kLoad + kInitBytes - 0x1000, 0x1000, 0x2000);
  expect_left_to_guest(image_of(pack_gzip(vmlinux_)));
}

}  // namespace
}  // namespace eidolon::boot
