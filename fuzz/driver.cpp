// A small stand-in for libFuzzer's main, for compilers without it.
//   fuzz_NAME [--runs N] [--seed S] [--length BYTES]   pseudo-random inputs, the same in every run
//   fuzz_NAME FILE...                                  the inputs in these files
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <random>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

int run_random(uint64_t runs, uint64_t first_seed, size_t longest) {
  for (uint64_t seed = first_seed; seed < first_seed + runs; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<uint8_t> input(random() % longest);
    for (uint8_t& byte : input) byte = static_cast<uint8_t>(random());
    // Left where a debugger, or the reader of a crash's output, finds it.
    std::fprintf(stderr, "\rseed %llu", static_cast<unsigned long long>(seed));
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::fprintf(stderr, "\n");
  return 0;
}

int run_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path);
    return 2;
  }
  const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
  const std::vector<uint8_t> input(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(input.data(), input.size());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  uint64_t runs = 1000;
  uint64_t seed = 1;
  uint64_t length = 4096;
  bool files = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    uint64_t* number = option == "--runs"     ? &runs
                       : option == "--seed"   ? &seed
                       : option == "--length" ? &length
                                              : nullptr;
    if (number != nullptr && i + 1 < argc) {
      *number = std::strtoull(argv[++i], nullptr, 0);
    } else if (const int status = run_file(argv[i]); status != 0) {
      return status;
    } else {
      files = true;
    }
  }
  return files ? 0 : run_random(runs, seed, length == 0 ? 1 : length);
}
