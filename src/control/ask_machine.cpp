#include "control/ask_machine.h"

#include <cstdio>

#include "backend/line_client.h"
#include "base/try.h"
#include "control/exit_status.h"

namespace eidolon::control {

using Json = nlohmann::json;

Result<Json> ask_machine(const std::string& path, const std::string& request, unsigned patience) {
  const std::string line = EIDOLON_TRY(backend::ask_line(path, request, patience));
  Json answer = Json::parse(line, nullptr, false);
  if (!answer.is_object() || !answer.value("ok", Json()).is_boolean())
    return fail("what listens on '{}' is not a machine of Eidolon", path);
  if (!answer["ok"].get<bool>()) return fail("{}", answer.value("error", "the machine gave no reason"));
  return answer;
}

int exit_status_of(const std::function<Result<>()>& command) {
  try {
    const Result<> done = command();
    if (done) return kExitOk;
    std::fprintf(stderr, "eidolon: %s\n", done.error().message.c_str());
  } catch (const Json::exception&) {
    std::fprintf(stderr, "eidolon: the machine's answer makes no sense; is it of another version?\n");
  }
  return kExitHostError;
}

}  // namespace eidolon::control
