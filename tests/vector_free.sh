#!/usr/bin/env bash
# What runs with the guest's vector registers live may not use them: no object file of it has an instruction that
# names one, nor calls what the compiler makes of loops and copies (memcpy and its kin, which use them).
# Usage: tests/vector_free.sh BUILD_DIRECTORY
set -euo pipefail
build=$1
objects=()
for library in memory mmu cpu; do
  objects+=("$build/src/$library/CMakeFiles/eidolon_$library.dir"/*.o)
done
for file in exits exits_light exits_string mode; do
  objects+=("$build/src/engine/translate/CMakeFiles/eidolon_translate.dir/$file.cpp.o")
done

# These run before a guest does, or after the release; of guest_memory, the walk needs look-ups only.
exempt='cpuid_builder|cpuid_host|event_flags|guest_memory|io_bus|make_zero'
status=0
checked=0
for object in "${objects[@]}"; do
  name=$(basename "$object" .cpp.o)
  [[ $name =~ ^($exempt)$ ]] && continue
  checked=$((checked + 1))
  if called=$(nm -u "$object" | grep -wE 'mem(cpy|move|set|cmp)'); then
    echo "$name calls$called, which may use vector registers" >&2
    status=1
  fi
  if objdump -d --no-show-raw-insn "$object" | grep -qE '%[xyz]mm[0-9]|%st\b|%st\('; then
    echo "$name uses x87 or vector registers" >&2
    status=1
  fi
done
[ $checked -gt 30 ] || { echo "only $checked object files were found in $build" >&2; exit 1; }
exit $status
