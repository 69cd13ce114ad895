# Programs of Debian's packages with the libraries that they need, for a guest that has none. Wants scripts/common.sh.
# shellcheck shell=bash

# programs_download FOLDER PACKAGE...: unpacks the packages, and all that they depend on as far as it is a library, into
# FOLDER/tree. Downloads are in cache/packages meanwhile.
programs_download() {
  local folder=$1 downloads=$root/cache/packages/programs names wanted package
  shift
  rm -rf "$downloads"
  mkdir -p "$downloads" "$folder/tree"
  # A name that another package fills is no package itself.
  mapfile -t names < <(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
    --no-enhances "$@" | sed -n 's/^\(z\?lib[a-z0-9.+-]*\)$/\1/p' | sort -u)
  mapfile -t wanted < <(apt-cache --no-all-versions show "$@" "${names[@]}" 2>/dev/null | sed -n 's/^Package: //p' | sort -u)
  (cd "$downloads" && apt-get download -q "${wanted[@]}") >"$downloads/download.log" 2>&1 || {
    grep '^E:' "$downloads/download.log" >&2 || true
    fail 1 "$* or a library could not be downloaded; check the network, run 'apt-get update' as root, and try again."
  }
  for package in "$downloads"/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -x -C "$folder/tree" --exclude='./usr/share' --exclude='./usr/lib/python*'
  done
  rm -rf "$downloads"
}

# programs_library FOLDER NAME: where the packages of FOLDER have it.
programs_library() {
  local found
  found=$(find "$1/tree/lib" "$1/tree/usr/lib" -name "$2" 2>/dev/null | head -n 1)
  [ -n "$found" ] || fail 1 "no package has $2; run 'apt-get update' as root and try again."
  printf '%s\n' "$found"
}

# programs_add FOLDER FILE TO LIBRARIES: copies a file of FOLDER/tree, and once each into the folder LIBRARIES what it is linked with.
programs_add() {
  local folder=$1 file=$1/tree/$2 to=$3 libraries=$4 needed found
  [ -f "$file" ] || fail 1 "a package lacks $2; run 'apt-get update' as root and try again."
  cp -L "$file" "$to"
  for needed in $(objdump -p "$file" | sed -n 's/^ *NEEDED *//p'); do
    [ ! -e "$libraries/$needed" ] || continue
    found=$(programs_library "$folder" "$needed")
    programs_add "$folder" "${found#"$folder/tree/"}" "$libraries/$needed" "$libraries"
  done
}
