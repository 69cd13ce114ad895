// Which handler serves which mnemonic. Compiled from one list; the tests hold it against the catalogue.
#pragma once

#include "cpu/handlers.h"

namespace eidolon::cpu {

using Handler = Outcome<> (*)(Operation&);

struct HandlerRow {
  Handler handler = nullptr;  ///< null: the mnemonic has no sensitive form
  bool sets_rip = false;      ///< the handler leaves State::rip where the next instruction is
  bool serializes = false;    ///< a full barrier comes with it
};

[[nodiscard]] HandlerRow handler_of(ZydisMnemonic mnemonic);

}  // namespace eidolon::cpu
