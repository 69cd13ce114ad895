// The perf map and the listing of `eidolon explain`, on small programs.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "engine/translate/explain.h"
#include "engine/translate/perf_map.h"
#include "translate/bare_machine.h"

namespace eidolon::engine {
namespace {

using translate::Explainer;
using translate::PerfMap;

class TemporaryPath {
 public:
  explicit TemporaryPath(const char* name) : path_(testing::TempDir() + name + std::to_string(getpid())) {}
  ~TemporaryPath() { std::filesystem::remove(path_); }
  [[nodiscard]] const std::string& get() const { return path_; }

 private:
  std::string path_;
};

struct MapLine {
  uint64_t address, size;
  std::string name;
};

std::vector<MapLine> read_map(const std::string& path) {
  std::vector<MapLine> lines;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    MapLine entry{};
    words >> std::hex >> entry.address >> entry.size >> std::ws;
    std::getline(words, entry.name);
    EXPECT_FALSE(words.bad()) << line;
    lines.push_back(entry);
  }
  return lines;
}

// mov ecx, 10; 1: dec ecx; jnz 1b
const std::vector<uint8_t> kLoop = {0xb9, 10, 0, 0, 0, 0xff, 0xc9, 0x75, 0xfc};

TEST(PerfMap, NamesEachBlockOnce) {
  const TemporaryPath path("eidolon-perf-map");
  {
    BareMachine machine(true, {.observer = *PerfMap::create(path.get())});
    machine.run(kLoop);
    const auto& statistics = static_cast<TranslateEngine&>(machine.engine()).statistics();
    const std::vector<MapLine> lines = read_map(path.get());
    const auto entries =
        std::ranges::count_if(lines, [](const MapLine& line) { return line.name.ends_with("(entry)"); });
    ASSERT_EQ(lines.size() - static_cast<size_t>(entries), 2 * statistics.blocks + 1);
    EXPECT_GT(entries, 0) << "the loop's head was met in front of the loop";
  }
  // The file stays as it was when the engine is gone.
  const std::vector<MapLine> lines = read_map(path.get());
  ASSERT_GE(lines.size(), 5u);
  EXPECT_EQ(lines[0].name, "eidolon:enter and exit");
  EXPECT_EQ(lines[1].name, "guest:100000 k64");
  EXPECT_EQ(lines[2].name, "guest:100000 k64 (cold)");
  EXPECT_EQ(lines[3].name, "guest:100005 k64");
  EXPECT_GE(lines[1].address, lines[0].address + lines[0].size);
  EXPECT_EQ(lines[3].address, lines[1].address + lines[1].size) << "blocks lie one behind the other";
  EXPECT_GT(lines[3].size, 0u);
  EXPECT_GT(lines[2].address, lines[3].address) << "what seldom runs lies elsewhere";
}

TEST(PerfMap, ReplacesAFileThatIsThereAndFollowsNoLink) {
  const TemporaryPath path("eidolon-perf-map"), victim("eidolon-perf-victim");
  std::ofstream(victim.get()) << "precious\n";
  std::filesystem::create_symlink(victim.get(), path.get());
  { BareMachine machine(true, {.observer = *PerfMap::create(path.get())}); }
  EXPECT_FALSE(std::filesystem::is_symlink(path.get()));
  std::string text;
  std::getline(std::ifstream(victim.get()), text);
  EXPECT_EQ(text, "precious");
}

TEST(PerfMap, SaysWhyItCannotBeWritten) {
  const auto map = PerfMap::create("/nowhere/perf-1.map");
  ASSERT_FALSE(map);
  EXPECT_NE(map.error().message.find("/nowhere/perf-1.map"), std::string::npos);
}

/// The listing of the block of `code` that covers an address; empty if there is none.
std::string explained(std::vector<uint8_t> code, uint64_t address) {
  int found = 0;
  const auto explainer = std::make_shared<Explainer>(address, [&found] { ++found; });
  BareMachine machine(true, {.observer = explainer});
  machine.run(std::move(code));
  const auto block = explainer->block();
  EXPECT_EQ(block.has_value(), found != 0);
  if (!block) return {};
  return translate::listing(*block, address,
                            [](uint64_t at) { return at == BareMachine::kCode ? " <start>" : ""; });
}

void expect_line(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "no '" << part << "' in\n" << text;
}

TEST(Explain, ShowsGuestBesideHost) {
  // mov rdi, kData; 1: add rax, [rdi + 8]; jmp 2f; 2:
  const std::string text =
      explained({0x48, 0xc7, 0xc7, 0, 0, 0x30, 0, 0x48, 0x03, 0x47, 8, 0xeb, 0}, BareMachine::kCode + 7);
  expect_line(text, "block at 0x100000 <start>: the kernel's 64-bit code at guest-physical 0x100000");
  expect_line(text, "3 guest instructions, 13 bytes");
  expect_line(text, "   100000  mov rdi, 0x300000");
  expect_line(text, "=> 100007  add rax, [rdi+0x8]");
  expect_line(text, "   10000b  jmp 0x10000d");
  expect_line(text, "  mov rdi, 0x300000\n");  // the host's, a copy
  expect_line(text, "the virtual TLB missed, read of 8 bytes; goes on at +");
  expect_line(text, "to a block not linked yet: 0x10000d");
  expect_line(text, "leaves: site 0");
}

TEST(Explain, ShowsWhatIsAskedOnTheWayIn) {
  // jmp to the next page; there: nop; jmp to itself
  std::vector<uint8_t> code(x86::kPageSize, 0x90);
  const std::array<uint8_t, 5> jump{0xe9, 0xfb, 0x0f, 0, 0};
  std::ranges::copy(jump, code.begin());
  code.insert(code.end(), {0x90, 0xeb, 0x00});
  const std::string text = explained(code, BareMachine::kCode + x86::kPageSize);
  expect_line(text, "entered from other pages, and by indirect jumps");
  expect_line(text, "cmp dword ptr gs:[page IDs+");
  expect_line(text, "cmp dword ptr gs:[events], 0x0");
}

TEST(Explain, ShowsFlagsPutAside) {
  // mov rdi, kData; stc; mov rax, [rdi]; adc rax, rbx
  const std::string text = explained(
      {0x48, 0xc7, 0xc7, 0, 0, 0x30, 0, 0xf9, 0x48, 0x8b, 0x07, 0x48, 0x11, 0xd8}, BareMachine::kCode);
  expect_line(text, "flags read later: CF");
  expect_line(text, "flags put aside before it");
  expect_line(text, "; flags aside");
}

TEST(Explain, ShowsRegistersPutAside) {
  // More pages at a time than there are registers to spare: mov rax, [rdi]; mov rbx, [rsi]; mov rcx, [rbp];
  // mov rax, [rdi + 8]; mov rbx, [rsi + 8]; mov rcx, [rbp + 8]
  const std::string text = explained({0x48, 0x8b, 0x07, 0x48, 0x8b, 0x1e, 0x48, 0x8b, 0x4d, 0x00, 0x48,
                                      0x8b, 0x47, 0x08, 0x48, 0x8b, 0x5e, 0x08, 0x48, 0x8b, 0x4d, 0x08},
                                     BareMachine::kCode);
  expect_line(text, "put aside before it: ");
  expect_line(text, "; aside: ");
}

TEST(Explain, TellsWhatIsStepped) {
  // nop; sgdt [rsp - 16]
  const std::string text = explained({0x90, 0x0f, 0x01, 0x44, 0x24, 0xf0}, BareMachine::kCode + 1);
  expect_line(text, "=> 100001  sgdt");
  expect_line(text, "stepped, not translated");
  expect_line(text, "has to be stepped");
}

TEST(Explain, PointsAtTheInstructionAroundAnAddress) {
  const std::string text = explained(kLoop, BareMachine::kCode + 2);
  expect_line(text, "=> 100000  mov ecx, 0xa");
  expect_line(text, "(0x100002 is inside it)");
}

TEST(Explain, FindsNothingWhereNothingRan) { EXPECT_EQ(explained(kLoop, 0x500000), ""); }

}  // namespace
}  // namespace eidolon::engine
