#!/usr/bin/env bash
# Runs a machine whose serial console is standard input and output, asks the guest's shell a question, waits
# for the answer and switches the guest off. Usage: scripts/ask_guest.sh SECONDS COMMAND...
# Exit status 0: the shell answered and the machine ended with status 0.
set -euo pipefail
. "$(dirname "$0")/common.sh"

limit=$1
shift
log=$root/cache/check.log
mkdir -p "$root/cache"
: >"$log"
started=$SECONDS

coproc machine { exec "$@" 2>&1; }
# The coproc variables vanish when the process ends, so they are copied.
pid=$machine_PID
exec {from}<&"${machine[0]}" {to}>&"${machine[1]}"
trap 'kill "$pid" 2>/dev/null || true' EXIT

give_up() {
  printf 'last lines of the console (all of it: %s):\n' "$log" >&2
  tail -n 15 "$log" >&2
  fail 1 "$1"
}

# wait_for TEXT: reads the console up to TEXT. Read character by character where a line may not end (a
# prompt): `read` returns what there is after a short silence.
seen=
wait_for() {
  local text=$1 piece status
  while [[ $seen != *"$text"* ]]; do
    [ $((SECONDS - started)) -lt "$limit" ] || give_up "the guest did not show '$text' within $limit s."
    status=0
    IFS= read -r -t 1 -u "$from" piece || status=$?
    printf '%s' "$piece" >>"$log"
    seen+=$piece
    if [ $status = 0 ]; then
      printf '\n' >>"$log"
      seen+=$'\n'
      [[ $seen == *"$text"* ]] || seen=
    elif [ $status -le 128 ]; then
      give_up "the machine ended before the guest showed '$text'."
    fi
  done
  seen=${seen#*"$text"}
}

wait_for 'eidolon:/'
say "the guest's shell is there after $((SECONDS - started)) s; asking it a question"
printf 'echo "answer=$((6 * 7)) from $(uname -sm)"\n' >&"$to"
wait_for 'answer=42 from Linux x86_64'
say "it answered: switching off"
printf 'poweroff -f\n' >&"$to"
exec {to}>&-
while IFS= read -r -t "$limit" -u "$from" piece; do printf '%s\n' "$piece" >>"$log"; done || true
status=0
wait "$pid" || status=$?
trap - EXIT
[ $status = 0 ] || give_up "the guest's shell answered, but the machine ended with status $status instead of 0."
say "passed in $((SECONDS - started)) s"
