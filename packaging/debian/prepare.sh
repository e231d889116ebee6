#!/usr/bin/env bash
# Pages of the manual and completions for the package, as the binary writes them: packaging/debian/prepare.sh BINARY, before `cargo deb`.
set -euo pipefail
binary=$(realpath "$1")
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
rm -rf target/package
mkdir -p target/package/man target/package/completions
"$binary" man target/package/man
gzip --no-name --best target/package/man/*.1
for shell in bash zsh fish; do
    "$binary" completions "$shell" >"target/package/completions/fanwire.$shell"
done
