# Shared by the commands of this folder: the packages that are missing (only that needs root), and the build.
# Wants scripts/common.sh.
# shellcheck shell=bash

# prepare OPTION...: those of the command; a program given by --eidolon is used as it is.
prepare() {
  local groups=(build guest)
  # A QEMU that was not installed as a package will do.
  command -v qemu-system-x86_64 >/dev/null && command -v python3 >/dev/null || groups+=(bench)
  "$root/scripts/dependencies.sh" "${groups[@]}"
  case " $* " in
    *' --eidolon'*) ;;
    *) build release eidolon ;;
  esac
}
