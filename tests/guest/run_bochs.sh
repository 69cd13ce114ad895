#!/bin/sh
# Runs the guest programs under Bochs, a second oracle by hand: it knows segment limits, PCID, VME and other
# things that QEMU's TCG does not model. Needs bochs, grub-pc-bin, grub-common, xorriso and mtools. There is no debug-exit
# port, so the last line of the serial port ends a run.
# usage: run_bochs.sh DIRECTORY [PROGRAM...]      (DIRECTORY: <build>/guest)
here=$(cd "$(dirname "$0")" && pwd)
dir=${1:?usage: run_bochs.sh DIRECTORY [PROGRAM...]}
shift
[ $# -gt 0 ] || set -- $(sed -n 's/^\([a-z0-9_]*\) .*/\1/p' "$dir/guest_programs.txt")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/bochsrc" <<EOF
megs: 64
cpu: model=${BOCHS_CPU:-corei7_skylake_x}, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=0
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
ata0-master: type=cdrom, path=$work/boot.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=$work/serial
log: $work/log
panic: action=report
error: action=report
info: action=ignore
clock: sync=none
config_interface: textconfig
display_library: ${BOCHS_DISPLAY:-rfb, options="timeout=0"}
EOF
bad=0
for name in "$@"; do
  rm -rf "$work/iso" "$work/boot.iso" "$work/serial"
  mkdir -p "$work/iso/boot/grub"
  cp "$dir/$name.elf" "$work/iso/boot/program.elf"
  printf 'set timeout=0\nmultiboot /boot/program.elf\nboot\n' >"$work/iso/boot/grub/grub.cfg"
  grub-mkrescue -d /usr/lib/grub/i386-pc --install-modules="multiboot biosdisk iso9660 normal" --fonts= --locales= --themes= -o "$work/boot.iso" "$work/iso" >"$work/mkrescue" 2>&1 || cat "$work/mkrescue"
  (echo c; sleep "${BOCHS_SECONDS:-60}") | bochs -q -f "$work/bochsrc" >"$work/console" 2>&1 &
  pid=$!
  waited=0
  while [ $waited -lt "${BOCHS_SECONDS:-60}" ] && kill -0 $pid 2>/dev/null && ! grep -aqs '^DONE ' "$work/serial"; do
    sleep 1
    waited=$((waited + 1))
  done
  kill $pid 2>/dev/null
  wait $pid 2>/dev/null
  failed=$(sed -n 's/^FAIL \([^ ]*\).*/\1/p' "$work/serial" 2>/dev/null | grep -vx -f "$here/known_bochs.txt")
  done_line=$(grep -a '^DONE ' "$work/serial" 2>/dev/null)
  ok=yes
  { [ -z "$failed" ] && [ -n "$done_line" ]; } || ok=no
  echo "$ok $name: ${done_line:-no DONE line}, skipped $(grep -ac '^SKIP ' "$work/serial"), $waited s"
  if [ $ok = no ] || [ -n "$VERBOSE" ]; then
    [ $ok = yes ] || bad=1
    grep -av '^PASS ' "$work/serial" | sed 's/^/    /' | head -70
    grep -a '^PASS ' "$work/serial" | tail -1
    [ -n "$done_line" ] || { tail -12 "$work/log"; tail -3 "$work/console"; }
  fi
done
exit $bad
