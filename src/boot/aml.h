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
/// Names are of one to four characters, with a backslash before them if they are absolute; a path has
/// several, with dots between.
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
[[nodiscard]] Bytes otherwise(const Bytes& contents);                     ///< Else, behind an If
[[nodiscard]] Bytes loop(const Bytes& condition, const Bytes& contents);  ///< While
[[nodiscard]] Bytes local(unsigned index);
[[nodiscard]] Bytes equal(const Bytes& left, const Bytes& right);
[[nodiscard]] Bytes notify(std::string_view device, const Bytes& value);
[[nodiscard]] Bytes call(std::string_view method, std::initializer_list<Bytes> arguments);

// Registers behind ports, and who may use them.
[[nodiscard]] Bytes port_region(std::string_view name, uint16_t port, uint8_t length);
enum class FieldAccess : uint8_t { kByte = 1, kDword = 3 };
enum class FieldRest : uint8_t { kPreserve = 0, kZeros = 2 };  ///< what is written to the bits beside a field
struct FieldBits {
  std::string_view name;  ///< empty: skipped
  unsigned bits;
};
[[nodiscard]] Bytes fields(std::string_view region, FieldAccess access, FieldRest rest,
                           std::initializer_list<FieldBits> list);
[[nodiscard]] Bytes mutex(std::string_view name);
/// `contents` with the mutex held.
[[nodiscard]] Bytes with_mutex(std::string_view name, const Bytes& contents);

// Resources, for resource_template.
[[nodiscard]] Bytes io(uint16_t base, uint8_t length);
[[nodiscard]] Bytes irq(unsigned number);
/// A pin of the I/O APIC whose level others share, asserted low, as PCI's are.
[[nodiscard]] Bytes shared_interrupt(uint32_t pin);
[[nodiscard]] Bytes memory32(uint32_t base, uint32_t length, bool writable = false);
/// Ranges that a bus hands on to the devices behind it; `last` is the last one's address or number.
[[nodiscard]] Bytes bus_window(uint16_t first, uint16_t last);
[[nodiscard]] Bytes io_window(uint16_t first, uint16_t last);
[[nodiscard]] Bytes memory_window32(uint32_t first, uint32_t last);
[[nodiscard]] Bytes memory_window64(uint64_t first, uint64_t last);
[[nodiscard]] Bytes resource_template(std::initializer_list<Bytes> resources);

}  // namespace eidolon::boot::aml
