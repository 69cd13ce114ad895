#!/usr/bin/env bash
# The kvm engine on the KVM of a real kernel: Debian with its own kvm_amd runs in QEMU's TCG, which has AMD-V, and in it Eidolon
# with --engine kvm. Usage: tests/kvm/nested.sh BUILD WHAT...
#   WHAT: the name of a guest program (tests/guest/), which has to report no failure but known ones;
#         "linux": Debian's kernel has to reach its shell, which computes;
#         "switch": the same under translate, and then now on kvm, now on translate
#         "move": on kvm it moves to another process, on kvm, while its memory changes
#         "moves:SWITCHES:SNAPSHOTS:MIGRATIONS": so often it is moved, while it works (nested_moves); by hand, with NESTED_LIMIT
#   With "@split" behind it, the local APICs are in the kernel, and Debian has two processors.
# Status 77: something that it needs is not there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=$1
shift
skip() {
  echo "skipped: $1"
  exit 77
}
command -v qemu-system-x86_64 >/dev/null || skip "there is no qemu-system-x86_64; install Debian's qemu-system-x86"
command -v cpio >/dev/null || skip "there is no cpio; install Debian's cpio"
for file in vmlinuz initrd initrd-drivers; do
  [ -f "$root/cache/guest/$file" ] || skip "there is no cache/guest/$file; scripts/fetch_drivers.sh makes it"
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
inside=$work/initramfs/nested
mkdir -p "$inside/lib" "$inside/guest"
# Stripped: the guest has to unpack it.
strip -o "$inside/eidolon" "$build/eidolon"
for library in $(ldd "$build/eidolon" | grep -o '/[^ ]*'); do cp -L "$library" "$inside/lib/"; done
cp "$build"/guest/*.elf "$root/cache/guest/vmlinuz" "$root/cache/guest/initrd" "$inside/guest/"
install -m 755 "$here/nested_init" "$inside/init"
install -m 644 "$here/nested_moves" "$inside/nested_moves"
memory=1G
if [[ " $* " = *" moves:"* ]]; then
  [ -f "$root/cache/guest/initrd-stress" ] || skip "there is no cache/guest/initrd-stress; scripts/fetch_stress.sh makes it"
  cp "$root"/cache/guest/initrd-{stress,drivers} "$inside/guest/"
  memory=3G
fi
printf '%s\n' "$@" >"$inside/what"
{
  cat "$root/cache/guest/initrd-drivers"
  (cd "$work/initramfs" && find . | LC_ALL=C sort | cpio -o -H newc -R 0:0 --quiet) | gzip -1 -n
} >"$work/initrd"

log=$work/log
timeout "${NESTED_LIMIT:-900}" qemu-system-x86_64 -M q35 -accel tcg -cpu max -m $memory -display none -serial stdio -monitor none \
  -no-reboot -kernel "$root/cache/guest/vmlinuz" -initrd "$work/initrd" \
  -append "console=ttyS0 rdinit=/nested/init quiet panic=-1 no_timer_check" </dev/null >"$log" 2>&1 || true
tr -d '\r' <"$log" >"$log.text"

bad=0
for what in "$@"; do
  result=$(sed -n "s/^NESTED $what //p" "$log.text")
  known=("$here/known_nested.txt" "$root/tests/guest/known_qemu.txt")
  [ "${what%@split}" = "$what" ] || known+=("$here/known_split.txt")
  failed=$(sed -n "s/^FAIL \(${what%@*}\/[^ ]*\).*/\1/p" "$log.text" | grep -vxE -f <(grep -hv '^#' "${known[@]}") || true)
  [ "${what#moves:}" = "$what" ] || sed -n 's/^MOVES //p' "$log.text"
  if [ "$result" = ok ] && [ -z "$failed" ]; then
    echo "ok $what"
  else
    echo "FAILED $what: ${result:-no result} $failed"
    bad=1
  fi
done
[ $bad = 0 ] || tail -n 40 "$log.text"
exit $bad
