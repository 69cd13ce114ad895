// PVH and Multiboot kernels, and telling kinds apart.
#include <elf.h>

#include <array>

#include "boot/boot_machine.h"
#include "boot/elf.h"
#include "boot/multiboot.h"
#include "boot/pvh.h"

namespace eidolon::boot {

namespace {

constexpr uint64_t kLoad = 0x200000;

class ElfKernels : public BootMachine {
 protected:
  /// ELF64: one segment of 0x100 bytes (0x300 in memory) and, if wanted, a PVH note.
  static std::vector<uint8_t> elf64(bool note) {
    std::vector<uint8_t> file(0x300, 0xab);
    Elf64_Ehdr header{};
    std::copy_n(ELFMAG, SELFMAG, header.e_ident);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_type = ET_EXEC;
    header.e_machine = EM_X86_64;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = note ? 2 : 1;
    put(file, 0, header);
    Elf64_Phdr load{};
    load.p_type = PT_LOAD;
    load.p_offset = 0x200;
    load.p_paddr = kLoad;
    load.p_filesz = 0x100;
    load.p_memsz = 0x300;
    Elf64_Phdr notes{};
    notes.p_type = PT_NOTE;
    notes.p_offset = 0x180;
    notes.p_filesz = 20;
    put(file, sizeof header, load);
    put(file, sizeof header + sizeof load, notes);
    put(file, 0x180, Elf64_Nhdr{.n_namesz = 4, .n_descsz = 4, .n_type = 18});
    put<uint32_t>(file, 0x18c, 0x006e6558);  // "Xen"
    put<uint32_t>(file, 0x190, kLoad + 0x40);
    return file;
  }
  static BootRequest named(const char* path) {
    BootRequest request;
    request.kernel_path = path;
    return request;
  }
  /// A raw Multiboot image with address fields.
  static std::vector<uint8_t> raw_multiboot(uint32_t flags) {
    std::vector<uint8_t> file(0x400, 0xcd);
    const std::array<uint32_t, 8> fields = {0x1badb002, flags,         -(0x1badb002 + flags), kLoad + 0x10,
                                            kLoad,      kLoad + 0x300, kLoad + 0x800,         kLoad + 0x80};
    put(file, 0x110, fields);
    return file;
  }
};

TEST_F(ElfKernels, EntersByThePvhNote) {
  const std::vector<uint8_t> initrd(100, 0x11);
  input_.modules.push_back({initrd, ""});
  input_.command_line = "quiet";
  input_.rsdp = 0xe0000;
  const uint8_t dirt = 0xff;
  ASSERT_TRUE(memory_->write(kLoad + 0x2ff, &dirt, 1));
  ASSERT_EQ(error(elf64(true)), "");
  EXPECT_EQ(state_.rip, kLoad + 0x40);
  EXPECT_FALSE(state_.control.paging());
  EXPECT_EQ(state_.tr.limit, 0x67u);
  const uint64_t info = state_.gpr[x86::kRbx];
  EXPECT_EQ(at<uint32_t>(info), 0x336ec578u);
  EXPECT_EQ(at<uint32_t>(info + 12), 1u);
  const auto module = at<uint64_t>(info + 16);
  EXPECT_EQ(at<uint8_t>(at<uint64_t>(module) + 99), 0x11);
  EXPECT_EQ(at<uint64_t>(module + 8), 100u);
  EXPECT_EQ(text(at<uint64_t>(info + 24)), "quiet");
  EXPECT_EQ(at<uint64_t>(info + 32), 0xe0000u);
  EXPECT_EQ(at<uint32_t>(info + 48), 3u);
  EXPECT_EQ(at<uint64_t>(at<uint64_t>(info + 40) + 8), 0xa0000u);
  EXPECT_EQ(at<uint8_t>(kLoad + 0xff), 0xab);
  EXPECT_EQ(at<uint8_t>(kLoad + 0x2ff), 0);  // what the file does not fill is zero
}

TEST_F(ElfKernels, EntersMultibootByAddressFields) {
  const std::vector<uint8_t> first(100, 1), second(200, 2);
  input_.modules = {{first, "a.img one"}, {second, "b.img"}};
  input_.kernel_name = "kernel";
  input_.command_line = "x=1";
  ASSERT_EQ(error(raw_multiboot(1u << 16 | 3)), "");
  EXPECT_EQ(state_.rip, kLoad + 0x80);
  EXPECT_EQ(state_.gpr[x86::kRax], 0x2badb002u);
  EXPECT_EQ(at<uint32_t>(kLoad + 0x10), 0x1badb002u);
  const uint64_t info = state_.gpr[x86::kRbx];
  EXPECT_EQ(at<uint32_t>(info + 4), 640u);
  EXPECT_EQ(at<uint32_t>(info + 8), 63u << 10);
  EXPECT_EQ(text(at<uint32_t>(info + 16)), "kernel x=1");
  ASSERT_EQ(at<uint32_t>(info + 20), 2u);
  const auto modules = at<uint32_t>(info + 24);
  EXPECT_EQ(at<uint8_t>(at<uint32_t>(modules)), 1);
  EXPECT_EQ(text(at<uint32_t>(modules + 8)), "a.img one");
  EXPECT_EQ(at<uint32_t>(modules + 20) - at<uint32_t>(modules + 16), 200u);
  EXPECT_EQ(at<uint8_t>(at<uint32_t>(modules + 16)), 2);
  EXPECT_EQ(at<uint32_t>(info + 44), 3u * 24);
  EXPECT_EQ(at<uint32_t>(at<uint32_t>(info + 48)), 20u);
  EXPECT_EQ(text(at<uint32_t>(info + 64)), "Eidolon");
}

TEST_F(ElfKernels, RefusesUnknownMultibootRequirements) {
  EXPECT_NE(error(raw_multiboot(1u << 16 | 1u << 5)).find("0x20"), std::string::npos);
}

TEST_F(ElfKernels, RefusesSegmentsOutsideRamAndFile) {
  for (const uint64_t bad :
       {uint64_t{0}, uint64_t{0xa0000}, uint64_t{0xe0000}, ~uint64_t{0xfff}, uint64_t{64} << 20}) {
    auto file = elf64(true);
    put<uint64_t>(file, sizeof(Elf64_Ehdr) + offsetof(Elf64_Phdr, p_paddr), bad);
    EXPECT_NE(error(file), "") << std::hex << bad;
  }
  auto file = elf64(true);
  file.resize(0x280);
  EXPECT_NE(error(file).find("truncated"), std::string::npos);
}

TEST_F(ElfKernels, SaysWhatItCannotBoot) {
  EXPECT_NE(error(elf64(false)).find("PVH"), std::string::npos);
  EXPECT_NE(error(std::vector<uint8_t>(5000, 'x')).find("not a kernel"), std::string::npos);
  auto arm = elf64(true);
  put<uint16_t>(arm, offsetof(Elf64_Ehdr, e_machine), EM_AARCH64);
  EXPECT_NE(error(arm).find("another processor"), std::string::npos);
}

TEST_F(ElfKernels, SurvivesAnyDamage) {
  uint32_t random = 7;
  for (unsigned i = 0; i < 4000; ++i) {
    auto file = i % 2 == 0 ? elf64(true) : raw_multiboot(1u << 16);
    for (unsigned flips = 0; flips < 3; ++flips) {
      random = random * 1664525 + 1013904223;
      file[(random >> 8) % 0x1a0] ^= static_cast<uint8_t>(random >> 24);
    }
    if (i % 3 == 0) file.resize((random >> 4) % file.size());
    const auto result = load(file);
    EXPECT_TRUE(result || !result.error().message.empty());
  }
}

TEST_F(ElfKernels, NamesTheFileInErrors) {
  const auto missing = load_kernel(named("/nonexistent/kernel"), *memory_, state_);
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().message.find("/nonexistent/kernel"), std::string::npos);
  const auto directory = load_kernel(named("/"), *memory_, state_);
  ASSERT_FALSE(directory);
  EXPECT_NE(directory.error().message.find("regular file"), std::string::npos);
}

TEST(Layout, SplitsRamAroundTheHoles) {
  auto memory = std::move(memory::GuestMemory::create(5ull << 30).value());
  ASSERT_TRUE(add_ram(*memory, 5ull << 30));
  const auto map = memory_map(*memory);
  ASSERT_EQ(map.size(), 4u);
  EXPECT_EQ(map[2].base + map[2].length, 3ull << 30);
  EXPECT_EQ(map[3].base, 4ull << 30);
  EXPECT_EQ(map[3].length, 2ull << 30);
  auto tiny = std::move(memory::GuestMemory::create(1 << 20).value());
  EXPECT_FALSE(add_ram(*tiny, 1 << 20));
}

}  // namespace
}  // namespace eidolon::boot
