// Machines that start from their reset vector, with Debian's SeaBIOS and OVMF.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "boot/os/guest_process.h"

namespace eidolon::boot_test {
namespace {

using namespace std::chrono_literals;

constexpr auto kBiosLimit = 60s;
constexpr auto kUefiLimit = 300s;
constexpr size_t kSector = 512;

/// A file of the test's own, removed at the end.
class TemporaryFile {
 public:
  explicit TemporaryFile(const std::string& suffix)
      : path_(testing::TempDir() + "eidolon-" +
              testing::UnitTest::GetInstance()->current_test_info()->name() + suffix) {
    std::remove(path_.c_str());
  }
  ~TemporaryFile() { std::remove(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string contents() const {
    std::ifstream file(path_, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  std::string path_;
};

/// A disk whose boot sector begins with `code`, loaded at 0x7c00, with `text` behind it at 0x7d00.
void write_disk(const std::string& path, const std::string& code, const std::string& text) {
  std::string sector = code;
  sector.resize(0x100);
  sector += text;
  sector.resize(kSector - 2);
  sector += "\x55\xaa";
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << sector;
  file.close();
  std::filesystem::resize_file(path, 1 << 20);
}

std::string bytes(std::initializer_list<int> values) { return {values.begin(), values.end()}; }

// mov dx, 0x604; mov ax, 0x3400; out dx, ax; hlt; jmp $ - 1: the sleep state S5, by the port of PM1a control
const std::string kPowerOff = bytes({0xba, 0x04, 0x06, 0xb8, 0x00, 0x34, 0xef, 0xf4, 0xeb, 0xfd});

class Firmware : public testing::Test {
 protected:
  void require(const char* file) {
    if (std::filesystem::exists(file)) return;
    if (std::getenv("EIDOLON_REQUIRE_GUEST") != nullptr) FAIL() << "there is no " << file;
    GTEST_SKIP() << "there is no " << file << "; run scripts/dependencies.sh test";
  }
};

class Bios : public Firmware {
 protected:
  void SetUp() override { require("/usr/share/seabios/bios-256k.bin"); }
};

TEST_F(Bios, StartsABootSector) {
  const TemporaryFile disk(".img"), log(".log");
  // cli; xor ax, ax; mov ds, ax; mov si, 0x7d00; cld; mov dx, 0x3f8
  // 1: lodsb; test al, al; jz 2f; out dx, al; jmp 1b; 2:
  write_disk(disk.path(),
             bytes({0xfa, 0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x00, 0x7d, 0xfc, 0xba,
                    0xf8, 0x03, 0xac, 0x84, 0xc0, 0x74, 0x03, 0xee, 0xeb, 0xf8}) +
                 kPowerOff,
             "the boot sector runs\r\n");
  GuestProcess guest({"run", "--disk", disk.path(), "--firmware-log", log.path()});
  EXPECT_TRUE(guest.wait_for("the boot sector runs\r\n", kBiosLimit)) << guest.tail() << log.contents();
  EXPECT_EQ(guest.wait_for_end(kBiosLimit), 0) << guest.errors();
  EXPECT_NE(log.contents().find("SeaBIOS (version"), std::string::npos);
  EXPECT_NE(log.contents().find("Booting from Hard Disk"), std::string::npos) << log.contents();
}

class Uefi : public Firmware {
 protected:
  void SetUp() override { require("/usr/share/OVMF/OVMF_CODE_4M.fd"); }
  /// Up to the prompt of UEFI's own shell, which is what is left to start where there is no disk.
  static void start_shell(GuestProcess& guest) {
    ASSERT_TRUE(guest.wait_for("seconds to skip", kUefiLimit)) << guest.tail() << guest.errors();
    guest.type("\x1b");
    ASSERT_TRUE(guest.wait_for(kShell, kUefiLimit)) << guest.tail();
  }
  /// Has the shell switch off.
  static void end(GuestProcess& guest) {
    guest.type("reset -s\r");
    EXPECT_EQ(guest.wait_for_end(kUefiLimit), 0) << guest.tail() << guest.errors();
  }
  static constexpr const char* kShell = "Shell> ";
  static constexpr const char* kVariable = "setvar Idea -guid 0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0";
};

TEST_F(Uefi, AVariableIsThereTheNextTime) {
  const TemporaryFile variables(".vars");
  const std::vector<std::string> command = {"run",       "--firmware",  "uefi",           "--engine",
                                            "translate", "--uefi-vars", variables.path(), "--memory",
                                            "128M"};
  {
    GuestProcess guest(command);
    ASSERT_NO_FATAL_FAILURE(start_shell(guest));
    guest.type(std::string(kVariable) + " -nv -bs -rt =L\"eidolon\"\r");
    ASSERT_TRUE(guest.wait_for(kShell, kUefiLimit)) << guest.tail();
    end(guest);
  }
  EXPECT_NE(variables.contents().find(std::string("e\0i\0d\0o\0l\0o\0n\0", 14)), std::string::npos);
  GuestProcess guest(command);
  ASSERT_NO_FATAL_FAILURE(start_shell(guest));
  guest.type(std::string(kVariable) + "\r");
  // Its 14 bytes in hexadecimal.
  EXPECT_TRUE(guest.wait_for("65 00 69 00 64 00 6F 00", kUefiLimit)) << guest.tail();
  end(guest);
}

}  // namespace
}  // namespace eidolon::boot_test
