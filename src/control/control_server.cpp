#include "control/control_server.h"

#include "base/try.h"
#include "control/machine_commands.h"

namespace eidolon::control {

Result<> ControlServer::listen(const std::string& path) {
  server_ =
      EIDOLON_TRY(backend::LineServer::create(path, [this](std::string_view line) { return answer(line); }));
  return {};
}

void ControlServer::set_machine(machine::Machine* machine) {
  std::lock_guard lock(mutex_);
  machine_ = machine;
}

std::string ControlServer::answer(std::string_view text) {
  const auto request = Json::parse(text, nullptr, false);
  Result<Json> result = fail("a request is a JSON object with a \"command\"");
  if (request.is_object()) result = carry_out(request);
  Json answer = result ? Json(*std::move(result)) : Json::object();
  answer["ok"] = result.has_value();
  if (!result) answer["error"] = result.error().message;
  // What is not UTF-8, which only a guest's text can be, is replaced rather than refused.
  return answer.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<ControlServer::Json> ControlServer::carry_out(const Json& request) {
  const auto command = request.find("command");
  if (command == request.end() || !command->is_string())
    return fail("a request is a JSON object with a \"command\"");
  std::lock_guard lock(mutex_);
  if (machine_ == nullptr) return fail("the machine is starting or ending; try again");
  return carry_out_command(command->get<std::string>(), request, {.name = name_, .machine = *machine_});
}

}  // namespace eidolon::control
