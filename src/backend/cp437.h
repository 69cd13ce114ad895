// Code page 437, the characters of a PC's text screen, as Unicode.
#pragma once

#include <cstdint>
#include <string>

namespace eidolon::backend {

/// Appends the character in UTF-8. The first 32 have pictures too; 0 and 255 are blank.
void append_cp437(std::string& to, uint8_t character);

}  // namespace eidolon::backend
