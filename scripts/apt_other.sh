# Debian packages of another architecture, downloaded and not installed: an apt of its own, with its lists in cache/,
# so that nothing about this system's packages changes and root is not needed. Wants scripts/common.sh.
# shellcheck shell=bash

# debian_sources: this system's own Debian sources, one "URI SUITE COMPONENT" a line.
debian_sources() {
  # shellcheck disable=SC2016
  apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' 'Origin: Debian' |
    awk '$3 == "main"' | sort -u
}

debian_keys=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_source_lines: the same as lines of a sources.list.
debian_source_lines() {
  local uri suite component signed=
  [ ! -f "$debian_keys" ] || signed="[signed-by=$debian_keys] "
  debian_sources | while read -r uri suite component; do echo "deb $signed$uri $suite $component"; done
}

# other_apt ARCHITECTURE: sets `other` to the options that make apt-get and apt-cache speak of that architecture, and
# fetches its package lists if they are not there or older than a day.
other_apt() {
  local state=$root/cache/apt-$1
  mkdir -p "$state"/{lists/partial,archives/partial,parts}
  touch "$state/status"
  other=(-o "APT::Architecture=$1" -o "APT::Architectures::=$1" -o "Dir::State=$state" -o "Dir::State::status=$state/status"
    -o "Dir::Cache=$state" -o "Dir::Etc::sourcelist=$state/sources.list" -o "Dir::Etc::sourceparts=$state/parts")
  debian_source_lines >"$state/sources.list"
  if [ ! -s "$state/sources.list" ] && [ "$(id -u)" = 0 ]; then
    apt-get update -q >/dev/null 2>&1 || true
    debian_source_lines >"$state/sources.list"
  fi
  [ -s "$state/sources.list" ] ||
    fail 1 "apt knows no Debian package source here; run 'apt-get update' as root and try again."
  [ -z "$(find "$state/updated" -mtime -1 2>/dev/null)" ] || return 0
  say "fetching the package lists of $1"
  # A list that fails is left out, and the others do: what is missing shows when a package is asked for.
  if apt-get "${other[@]}" update -q >"$state/update.log" 2>&1; then touch "$state/updated"; fi
}

# other_download PACKAGE: into cache/packages.
other_download() {
  local downloads=$root/cache/packages log=$root/cache/packages/$1.log
  mkdir -p "$downloads"
  rm -f "$downloads/$1"_*.deb
  (cd "$downloads" && apt-get "${other[@]}" download -q "$1") >"$log" 2>&1 || {
    grep '^E:' "$log" >&2 || true
    fail 1 "$1 could not be downloaded; check the network, delete cache/apt-*, and try again."
  }
}
