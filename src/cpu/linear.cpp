// Data access by linear address, in three steps: cut at the page boundary, translate every piece, and only
// then touch memory (SDM volume 3, 9.1.1: naturally aligned accesses are single ones).
#include "cpu/linear.h"

#include <algorithm>
#include <atomic>

#include "base/assert.h"
#include "base/bits.h"

namespace eidolon::cpu {

namespace {

using memory::GuestPhysical;
using mmu::Access;
using mmu::View;

/// The part of an access that lies in one page.
struct Piece {
  uint8_t* host;  ///< null: by `physical`
  GuestPhysical physical;
  unsigned size;
};

/// An access of at most a page has at most two.
struct Pieces {
  Piece piece[2];
  unsigned count;
};

uint64_t wrap(const Cpu& cpu, uint64_t linear) {
  return cpu.state.long_mode() ? linear : linear & mask_below(32);
}

Outcome<Piece> translate_piece(Cpu& cpu, uint64_t linear, unsigned size, Access access, View view) {
  if (access != Access::kExecute)
    if (uint8_t* host = cpu.mmu.tlb().lookup(linear, size, access == Access::kWrite, view))
      return Piece{host, 0, size};
  const auto resolved = cpu.mmu.resolve(cpu.state.control, linear, access, view);
  if (!resolved) return std::unexpected(Fault{x86::kPageFault, resolved.error().error, linear});
  return Piece{resolved->host, resolved->physical, size};
}

Outcome<Pieces> translate(Cpu& cpu, uint64_t linear, unsigned size, Access access, View view) {
  EIDOLON_ASSERT(size <= x86::kPageSize);
  Pieces pieces{};
  linear = wrap(cpu, linear);
  while (size != 0) {
    const auto left = static_cast<unsigned>(x86::kPageSize - (linear & x86::kPageMask));
    const unsigned part = std::min(size, left);
    const auto piece = translate_piece(cpu, linear, part, access, view);
    if (!piece) return std::unexpected(piece.error());
    pieces.piece[pieces.count++] = *piece;
    linear = wrap(cpu, linear + part);
    size -= part;
  }
  return pieces;
}

/// memcpy, but the sizes of registers are one host access: the compiler makes a single move of a memcpy whose
/// size it knows.
void copy(void* to, const void* from, unsigned size) {
  switch (size) {
    case 1:
      std::memcpy(to, from, 1);
      break;
    case 2:
      std::memcpy(to, from, 2);
      break;
    case 4:
      std::memcpy(to, from, 4);
      break;
    case 8:
      std::memcpy(to, from, 8);
      break;
    case 16:
      std::memcpy(to, from, 16);
      break;
    default:
      std::memcpy(to, from, size);
  }
}

void read_piece(const Cpu& cpu, const Piece& piece, uint8_t* to) {
  if (piece.host != nullptr) {
    copy(to, piece.host, piece.size);
  } else {
    cpu.release_extended_state();
    cpu.mmio.read_bytes(piece.physical, to, piece.size);
  }
}

void write_piece(Cpu& cpu, const Piece& piece, const uint8_t* from) {
  if (piece.host != nullptr) {
    copy(piece.host, from, piece.size);
    return;
  }
  const auto place = cpu.memory.locate(piece.physical);
  if (!place) {
    cpu.release_extended_state();
    cpu.mmio.write_bytes(piece.physical, from, piece.size);
  } else if (place->kind == memory::RegionKind::kRam) {  // a page with translations; to ROM, nothing happens
    cpu.memory.before_write(piece.physical, piece.size, cpu.index);
    copy(place->host, from, piece.size);
  }
}

}  // namespace

Outcome<> read_linear(Cpu& cpu, uint64_t linear, void* to, unsigned size, View view) {
  const auto pieces = translate(cpu, linear, size, Access::kRead, view);
  if (!pieces) return std::unexpected(pieces.error());
  auto* bytes = static_cast<uint8_t*>(to);
  for (unsigned i = 0; i < pieces->count; bytes += pieces->piece[i++].size)
    read_piece(cpu, pieces->piece[i], bytes);
  return {};
}

Outcome<uint8_t> update_linear(Cpu& cpu, uint64_t linear, uint8_t set, uint8_t clear, View view) {
  const auto pieces = translate(cpu, linear, 1, Access::kWrite, view);
  if (!pieces) return std::unexpected(pieces.error());
  const Piece& piece = pieces->piece[0];
  uint8_t* host = piece.host;
  if (host == nullptr) {
    const auto place = cpu.memory.locate(piece.physical);
    if (!place || place->kind != memory::RegionKind::kRam) {
      uint8_t before = 0;
      read_piece(cpu, {place ? place->host : nullptr, piece.physical, 1}, &before);
      const auto after = static_cast<uint8_t>((before | set) & ~clear);
      write_piece(cpu, piece, &after);
      return before;
    }
    cpu.memory.before_write(piece.physical, 1, cpu.index);
    host = place->host;
  }
  std::atomic_ref byte(*host);
  uint8_t before = byte.load();
  while (!byte.compare_exchange_weak(before, static_cast<uint8_t>((before | set) & ~clear))) {
  }
  return before;
}

Outcome<> write_linear(Cpu& cpu, uint64_t linear, const void* from, unsigned size, View view) {
  const auto pieces = translate(cpu, linear, size, Access::kWrite, view);
  if (!pieces) return std::unexpected(pieces.error());
  const auto* bytes = static_cast<const uint8_t*>(from);
  for (unsigned i = 0; i < pieces->count; bytes += pieces->piece[i++].size)
    write_piece(cpu, pieces->piece[i], bytes);
  return {};
}

Outcome<> probe_write_linear(Cpu& cpu, uint64_t linear, unsigned size, View view) {
  const auto pieces = translate(cpu, linear, size, Access::kWrite, view);
  if (!pieces) return std::unexpected(pieces.error());
  return {};
}

Outcome<unsigned> fetch_linear(Cpu& cpu, uint64_t linear, uint8_t* to, unsigned size) {
  const View view = cpu.state.cpl() == 3 ? View::kUser : View::kSupervisor;
  unsigned done = 0;
  while (done < size) {
    const uint64_t from = wrap(cpu, linear + done);
    if (done != 0 && cpu.state.long_mode() && !is_canonical(from)) break;
    const auto left = static_cast<unsigned>(x86::kPageSize - (from & x86::kPageMask));
    const auto piece = translate_piece(cpu, from, std::min(size - done, left), Access::kExecute, view);
    if (!piece && done == 0) return std::unexpected(piece.error());
    if (!piece) break;
    read_piece(cpu, *piece, to + done);
    done += piece->size;
  }
  return done;
}

}  // namespace eidolon::cpu
