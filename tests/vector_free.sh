#!/usr/bin/env bash
# What runs with the guest's vector registers live may not use them: no object file of it has an instruction that
# names one, nor calls what the compiler makes of loops and copies (memcpy and its kin, which use them).
# Inline functions that other files share with it count too: the linker takes one copy, which may be theirs.
# Usage: tests/vector_free.sh BUILD_DIRECTORY
set -euo pipefail
build=$1
objects=()
for library in memory mmu cpu; do
  objects+=("$build/src/$library/CMakeFiles/eidolon_$library.dir"/*.o)
done
for file in exits exits_light exits_string mode code_mappings; do
  objects+=("$build/src/engine/translate/CMakeFiles/eidolon_translate.dir/$file.cpp.o")
done

# These run before a guest does, while it stands, or after the release; of guest_memory, the walk needs look-ups only.
exempt='attach_device|cpuid_builder|cpuid_host|event_flags|file_window|guest_memory|io_bus|make_zero|saved_model|saved_state|virtual_tlb_empty'
status=0
checked=0
shared=$(mktemp)
trap 'rm -f "$shared"' EXIT
for object in "${objects[@]}"; do
  name=$(basename "$object" .cpp.o)
  [[ $name =~ ^($exempt)$ ]] && continue
  checked=$((checked + 1))
  nm "$object" | awk '$2 == "W" { print $3 }' >> "$shared"
  if called=$(nm -u "$object" | grep -wE 'mem(cpy|move|set|cmp)'); then
    echo "$name calls$called, which may use vector registers" >&2
    status=1
  fi
  if objdump -d --no-show-raw-insn "$object" | grep -qE '%[xyz]mm[0-9]|%st\b|%st\('; then
    echo "$name uses x87 or vector registers" >&2
    status=1
  fi
done
if users=$(objdump -d --no-show-raw-insn "$build/eidolon" | awk '
    NR == FNR { is_shared[$1] = 1; next }
    /^[0-9a-f]+ <.*>:$/ { name = substr($2, 2, length($2) - 3); in_shared = name in is_shared }
    in_shared && /%[xyz]mm[0-9]|%st([^a-z]|$)/ { found[name] = 1 }
    END { for (name in found) { print name; some = 1 } exit !some }' "$shared" - | c++filt); then
  echo "shared inline functions use x87 or vector registers: $users" >&2
  status=1
fi
[ $checked -gt 30 ] || { echo "only $checked object files were found in $build" >&2; exit 1; }
exit $status
