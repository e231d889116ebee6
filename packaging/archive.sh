#!/usr/bin/env bash
# The release as one archive: the binary without its debug information, pages of the manual, completions, documentation, licences, and what is in it (SBOM).
# Usage: packaging/archive.sh BINARY FOLDER [TARGET]. The same binary and the same commit give the same bytes: no times, owners or orders of this machine are in it.
#
# The binary itself is the same for the same source and toolchain if the paths of this machine are not in it:
#   RUSTFLAGS="--remap-path-prefix=$PWD=/fanwire --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo" cargo build --release --locked --bin fanwire
set -euo pipefail
binary=$(realpath "$1")
mkdir -p "$2"
folder=$(realpath "$2")
target=${3:-$(rustc --version --verbose | sed -n 's/^host: //p')}
cd "$(dirname "${BASH_SOURCE[0]}")/.."

version=$("$binary" --version | cut -d' ' -f2)
name=fanwire-$version-$target
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/$name
mkdir -p "$root"/{completions,man,doc,examples}
install -m 755 "$binary" "$root/fanwire"
"${STRIP:-strip}" --strip-all --remove-section=.comment "$root/fanwire"
for shell in bash zsh fish; do
    "$binary" completions "$shell" >"$root/completions/fanwire.$shell"
done
"$binary" man "$root/man"
cp README.md CHANGELOG.md LICENSE-APACHE LICENSE-MIT "$root"
cp docs/*.md "$root/doc"
cp -R docs/examples/. "$root/examples"
cp packaging/debian/fanwire.service packaging/debian/fanwire.toml packaging/container/seccomp.json "$root/examples"
python3 packaging/sbom.py --target "$target" >"$root/fanwire.cdx.json"
chmod -R u=rwX,go=rX "$root"

# When the commit was made, or as whoever builds says (https://reproducible-builds.org/specs/source-date-epoch/).
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
archive=$folder/$name.tar.gz
tar --create --directory "$work" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --format=gnu "$name" | gzip --no-name --best >"$archive"
(cd "$folder" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
printf '%s\n' "$archive"
