#include "backend/port_target.h"

namespace eidolon::backend {

Result<PortTarget> parse_port_target(std::string_view text, std::string_view option) {
  using Kind = PortTarget::Kind;
  struct Form {
    std::string_view name;
    Kind kind;
    bool path;
  };
  constexpr Form kForms[] = {{"stdio", Kind::kStdio, false},
                             {"pty", Kind::kPty, false},
                             {"socket:", Kind::kSocket, true},
                             {"file:", Kind::kFile, true},
                             {"null", Kind::kNull, false}};
  for (const Form& form : kForms) {
    const bool fits = form.path ? text.starts_with(form.name) && text != form.name : text == form.name;
    if (fits) return PortTarget{.kind = form.kind, .path = std::string(text.substr(form.name.size()))};
  }
  return fail("{} does not know '{}'; it takes stdio, pty, socket:PATH, file:PATH or null", option, text);
}

}  // namespace eidolon::backend
