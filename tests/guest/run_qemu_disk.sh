#!/bin/sh
# Runs the programs that a BIOS boots under QEMU's TCG with SeaBIOS. Usage: run_qemu_disk.sh DIRECTORY [PROGRAM [floppy|disk]]
# (DIRECTORY: <build>/guest). Prints what the program prints; the status is 0 if every run ended well.
dir=${1:?usage: run_qemu_disk.sh DIRECTORY [PROGRAM [floppy|disk]]}
names=${2:-services unreal monitor}
media=${3:-floppy disk}
image=$(mktemp)
trap 'rm -f "$image"' EXIT
bad=0
for name in $names; do
  for medium in $media; do
    cat "$dir/disk/$name.img" >"$image"
    if [ "$medium" = floppy ]; then size=1440K interface=floppy boot=a; else size=4M interface=ide boot=c; fi
    truncate -s "$size" "$image"
    timeout 60 qemu-system-x86_64 -accel tcg -M pc -cpu max,vendor=GenuineIntel -m 64 -boot $boot \
      -drive "file=$image,format=raw,if=$interface" -device isa-debug-exit,iobase=0xf4,iosize=1 \
      -serial stdio -display none -no-reboot -monitor none </dev/null
    [ $? -eq 1 ] || bad=1
  done
done
exit $bad
