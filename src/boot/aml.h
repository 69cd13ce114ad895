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
[[nodiscard]] Bytes text(std::string_view value);
/// "PNP0501" as the compressed number that stands for it.
[[nodiscard]] Bytes eisa_id(std::string_view id);
[[nodiscard]] Bytes buffer(const Bytes& contents);
[[nodiscard]] Bytes package(std::initializer_list<Bytes> elements);
[[nodiscard]] Bytes package(const std::vector<Bytes>& elements);
/// Names are of one to four characters, with a backslash before them if they are absolute.
[[nodiscard]] Bytes name(std::string_view name, const Bytes& value);
[[nodiscard]] Bytes scope(std::string_view name, const Bytes& contents);
[[nodiscard]] Bytes device(std::string_view name, const Bytes& contents);

/// A method of `arguments` arguments, with terms as contents.
[[nodiscard]] Bytes method(std::string_view name, unsigned arguments, const Bytes& contents);
/// The value of argument `index`, or of a named object.
[[nodiscard]] Bytes argument(unsigned index);
[[nodiscard]] Bytes reference(std::string_view name);
[[nodiscard]] Bytes store(const Bytes& value, const Bytes& target);
[[nodiscard]] Bytes give_back(const Bytes& value);                        ///< Return
[[nodiscard]] Bytes when(const Bytes& condition, const Bytes& contents);  ///< If

// Resources, for resource_template.
[[nodiscard]] Bytes io(uint16_t base, uint8_t length);
[[nodiscard]] Bytes irq(unsigned number);
[[nodiscard]] Bytes memory32(uint32_t base, uint32_t length);
/// Ranges that a bus hands on to the devices behind it; `last` is the last one's address or number.
[[nodiscard]] Bytes bus_window(uint16_t first, uint16_t last);
[[nodiscard]] Bytes io_window(uint16_t first, uint16_t last);
[[nodiscard]] Bytes memory_window32(uint32_t first, uint32_t last);
[[nodiscard]] Bytes memory_window64(uint64_t first, uint64_t last);
[[nodiscard]] Bytes resource_template(std::initializer_list<Bytes> resources);

}  // namespace eidolon::boot::aml
