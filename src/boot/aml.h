// Writing ACPI machine language: each function returns the bytes of one term, and terms nest by concatenation
// (ACPI 6.4, chapter 20; resource descriptors 6.4).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <vector>

namespace eidolon::boot::aml {

using Bytes = std::vector<uint8_t>;

[[nodiscard]] Bytes join(std::initializer_list<Bytes> parts);

[[nodiscard]] Bytes integer(uint64_t value);
/// "PNP0501" as the compressed number that stands for it.
[[nodiscard]] Bytes eisa_id(std::string_view id);
[[nodiscard]] Bytes package(std::initializer_list<Bytes> elements);
/// Names are of one to four characters, with a backslash before them if they are absolute.
[[nodiscard]] Bytes name(std::string_view name, const Bytes& value);
[[nodiscard]] Bytes scope(std::string_view name, const Bytes& contents);
[[nodiscard]] Bytes device(std::string_view name, const Bytes& contents);
[[nodiscard]] Bytes processor(std::string_view name, uint8_t id);

// Resources, for resource_template.
[[nodiscard]] Bytes io(uint16_t base, uint8_t length);
[[nodiscard]] Bytes irq(unsigned number);
[[nodiscard]] Bytes memory32(uint32_t base, uint32_t length);
[[nodiscard]] Bytes resource_template(std::initializer_list<Bytes> resources);

}  // namespace eidolon::boot::aml
