// Fields of a JSON object that may be anything: one that is not there, or of another type, leaves the reader
// failed(), and the value as it was.
#pragma once

#include <concepts>
#include <nlohmann/json.hpp>
#include <string>

namespace eidolon::machine {

class JsonFields {
 public:
  explicit JsonFields(const nlohmann::json& json) : json_(json) {
    if (!json.is_object()) failed_ = true;
  }

  void get(const char* name, bool& value) {
    if (const auto* field = find(name); field != nullptr && field->is_boolean())
      value = field->get<bool>();
    else
      failed_ = true;
  }
  void get(const char* name, std::string& value) {
    if (const auto* field = find(name); field != nullptr && field->is_string())
      value = field->get<std::string>();
    else
      failed_ = true;
  }
  /// From 0 to `most`.
  template <std::unsigned_integral T>
  void get(const char* name, T& value, uint64_t most) {
    const auto* field = find(name);
    if (field == nullptr || !field->is_number_unsigned() || field->get<uint64_t>() > most) {
      failed_ = true;
    } else {
      value = static_cast<T>(field->get<uint64_t>());
    }
  }
  template <typename Enum>
  requires std::is_enum_v<Enum>
  void get(const char* name, Enum& value, Enum last) {
    unsigned number = 0;
    get(name, number, static_cast<uint64_t>(last));
    value = static_cast<Enum>(number);
  }
  /// An array, or an empty one in its place.
  [[nodiscard]] const nlohmann::json& list(const char* name) {
    static const nlohmann::json empty = nlohmann::json::array();
    const auto* field = find(name);
    if (field != nullptr && field->is_array()) return *field;
    failed_ = true;
    return empty;
  }
  [[nodiscard]] const nlohmann::json& object(const char* name) {
    static const nlohmann::json empty = nlohmann::json::object();
    const auto* field = find(name);
    if (field != nullptr && field->is_object()) return *field;
    failed_ = true;
    return empty;
  }
  void include(const JsonFields& part) { failed_ = failed_ || part.failed_; }
  void fail() { failed_ = true; }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  [[nodiscard]] const nlohmann::json* find(const char* name) const {
    const auto field = json_.is_object() ? json_.find(name) : json_.end();
    return json_.is_object() && field != json_.end() ? &*field : nullptr;
  }
  const nlohmann::json& json_;
  bool failed_ = false;
};

}  // namespace eidolon::machine
