// Whatever comes over the control socket: each line gets an answer that is JSON. No machine is behind it;
// what names keys and texts is tried by itself.
#include <nlohmann/json.hpp>
#include <string_view>

#include "backend/key_names.h"
#include "base/assert.h"
#include "control/base64.h"
#include "control/control_server.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace eidolon::control;
  using eidolon::backend::parse_chord, eidolon::backend::type_text;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ControlServer server("fuzzed");
  const auto answer = nlohmann::json::parse(server.answer(text), nullptr, false);
  EIDOLON_ASSERT(answer.is_object() && answer.contains("ok"));
  if (const auto events = parse_chord(text)) EIDOLON_ASSERT(!events->empty());
  (void)type_text(text);
  if (const auto bytes = from_base64(text)) EIDOLON_ASSERT(from_base64(to_base64(*bytes)) == bytes);
  return 0;
}
