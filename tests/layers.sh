#!/usr/bin/env bash
# Rejects an #include against the arrow: a folder of src/ may use itself and those above it in this list
# (docs/architecture.md), and none below. Usage: tests/layers.sh [SRC]
set -euo pipefail
src=${1:-$(dirname "$0")/../src}

# One line per layer, top first; folders of one layer are listed in their own order.
order=(base x86 isa memory mmu cpu engine engine/step engine/translate engine/lockstep engine/kvm interrupt iommu device
  device/input device/chipset device/pci device/storage device/net device/virtio device/display device/usb nested/vmx nested/svm
  paravirt/kvm paravirt/hyperv paravirt/xen backend backend/image backend/share vhost boot snapshot migration machine control control/program)
declare -A rank
for i in "${!order[@]}"; do rank[${order[$i]}]=$i; done

bad=0 checked=0
while IFS=: read -r file line text; do
  folder=${file#"$src"/}
  folder=${folder%/*}
  used=${text#*\"}
  used=${used%%\"*}
  [ "$used" != "${used%/*}" ] || {
    echo "$file:$line: include \"$used\" has no folder; write it relative to src/"
    bad=1
    continue
  }
  used_folder=${used%/*}
  for name in "$folder" "$used_folder"; do
    [ -n "${rank[$name]:-}" ] || {
      echo "$file:$line: folder '$name' is not in the list of layers in tests/layers.sh"
      bad=1
      continue 2
    }
  done
  checked=$((checked + 1))
  if [ "${rank[$used_folder]}" -gt "${rank[$folder]}" ]; then
    echo "$file:$line: '$folder' must not include '$used': its layer is below"
    bad=1
  fi
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]*"' "$src" --include='*.h' --include='*.cpp' --include='*.S')

[ "$checked" -gt 0 ] || {
  echo "no include was checked: is '$src' the source folder?"
  exit 1
}
[ $bad = 0 ] && echo "$checked includes follow the layers"
exit $bad
