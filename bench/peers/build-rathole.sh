#!/usr/bin/env bash
# Builds rathole with TLS from crates.io into bench/.peers/bin. It ignores rathole's lock file, because a
# dependency in it does not compile with current Rust.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.sh"
cargo install rathole --version "$RATHOLE_VERSION" --root "$(dirname "$here")/.peers" \
  --no-default-features --features server,client,tls
