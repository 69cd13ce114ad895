#!/bin/sh
# Runs the guest programs under QEMU's TCG, the independent oracle: each check must pass there, too, unless
# known_qemu.txt names it as a place where QEMU departs from the manuals.
# usage: run_qemu.sh DIRECTORY [PROGRAM...]      (DIRECTORY: <build>/guest; GUEST_LOG=FILE keeps the output,
# GUEST_CPUS=N gives it N processors)
here=$(dirname "$0")
dir=${1:?usage: run_qemu.sh DIRECTORY [PROGRAM...]}
shift
[ $# -gt 0 ] || set -- $(sed -n 's/^\([a-z0-9_]*\) .*/\1/p' "$dir/guest_programs.txt")
log=${GUEST_LOG:-$(mktemp)}
: >"$log"
bad=0
for name in "$@"; do
  want=$(sed -n "s/^$name //p" "$dir/guest_programs.txt")
  out=$(timeout 30 qemu-system-x86_64 -kernel "$dir/$name.elf" -append "greetings from the host" \
    -device isa-debug-exit,iobase=0xf4,iosize=1 -serial stdio -display none -no-reboot -monitor none \
    -accel "${GUEST_ACCEL:-tcg}" -cpu "${GUEST_CPU:-max,vendor=GenuineIntel}" -m 64 -smp "${GUEST_CPUS:-1}" ${GUEST_MACHINE:+-machine $GUEST_MACHINE} </dev/null 2>&1)
  status=$?
  printf '%s\n' "$out" >>"$log"
  failed=$(printf '%s\n' "$out" | sed -n 's/^FAIL \([^ ]*\).*/\1/p' | grep -vx -f "$here/known_qemu.txt")
  known=$(printf '%s\n' "$out" | sed -n 's/^FAIL \([^ ]*\).*/\1/p' | grep -cx -f "$here/known_qemu.txt")
  done_line=$(printf '%s\n' "$out" | grep '^DONE ')
  ok=yes
  [ -z "$failed" ] || ok=no
  if [ "$want" = reset ]; then
    [ $status -eq 0 ] && [ -z "$done_line" ] || ok=no
  else
    [ -n "$done_line" ] || ok=no
    [ "$status" -eq "$want" ] || [ "$known" -gt 0 ] || ok=no
  fi
  skipped=$(printf '%s\n' "$out" | grep -c '^SKIP ')
  echo "$ok $name: ${done_line:-no DONE line}, exit $status, skipped $skipped, known deviations $known"
  if [ $ok = no ]; then
    bad=1
    printf '%s\n' "$out" | grep -v '^PASS ' | sed 's/^/    /' | head -60
    printf '    last: %s\n' "$(printf '%s\n' "$out" | grep '^PASS ' | tail -1)"
  fi
done
exit $bad
