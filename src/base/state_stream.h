// Saved state: named, versioned sections of little-endian fields, in one engine-neutral byte stream.
//
// A stateful part lists its fields once, in a function template that takes either stream:
//   template <typename Self, typename Stream> static void fields(Self& self, Stream& s) { s(self.a, self.b);
//   }
// The reader never trusts its input: a stream that ends early, or names another section, leaves it
// failed(), and every later read gives zeros. The part checks its own values after a load.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

namespace eidolon {

template <typename T>
concept StateScalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

class StateWriter {
 public:
  void begin(std::string_view section, uint32_t version);
  void end();
  template <typename... T>
  void operator()(const T&... values) {
    (put(values), ...);
  }
  [[nodiscard]] const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  template <StateScalar T>
  void put(const T& value) {
    std::array<uint8_t, sizeof(T)> raw;
    std::memcpy(raw.data(), &value, sizeof(T));
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }
  template <typename T, size_t N>
  void put(const std::array<T, N>& values) {
    for (const T& value : values) put(value);
  }
  void put(const std::vector<uint8_t>& bytes);

  std::vector<uint8_t> bytes_;
  size_t length_at_ = 0;  ///< where the open section's length goes
};

class StateReader {
 public:
  explicit StateReader(std::span<const uint8_t> bytes) : bytes_(bytes) {}
  /// Enters the next section; its version, or 0 if it is another one (then the reader has failed).
  uint32_t begin(std::string_view section);
  /// Skips what is left of the section.
  void end();
  template <typename... T>
  void operator()(T&... values) {
    (get(values), ...);
  }
  [[nodiscard]] bool failed() const { return failed_; }
  /// For the part that finds a value out of its range.
  void fail() { failed_ = true; }

 private:
  /// The next `length` bytes, or an empty span and failure.
  std::span<const uint8_t> take(size_t length);
  template <StateScalar T>
  void get(T& value) {
    const auto raw = take(sizeof(T));
    if (raw.empty()) {
      value = T{};
    } else if constexpr (std::same_as<T, bool>) {
      value = raw[0] != 0;
    } else {
      std::memcpy(&value, raw.data(), sizeof(T));
    }
  }
  template <typename T, size_t N>
  void get(std::array<T, N>& values) {
    for (T& value : values) get(value);
  }
  void get(std::vector<uint8_t>& bytes);

  std::span<const uint8_t> bytes_;
  size_t position_ = 0;
  size_t section_end_ = 0;
  bool failed_ = false;
};

/// A part of the machine that can return to its power-on state, and carry its state through a snapshot.
class Stateful {
 public:
  virtual ~Stateful() = default;
  [[nodiscard]] virtual std::string_view name() const = 0;
  virtual void reset() = 0;
  virtual void save(StateWriter& to) const = 0;
  /// On failure (StateReader::failed) the part is unchanged or reset, never inconsistent.
  virtual void load(StateReader& from) = 0;
};

}  // namespace eidolon
