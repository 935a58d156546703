#!/usr/bin/env bash
# Builds rathole, with TLS, from crates.io into bench/.peers/bin. Without its lock file, which names
# a dependency that current Rust refuses.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
. "$here/versions.sh"
cargo install rathole --version "$RATHOLE_VERSION" --root "$(dirname "$here")/.peers" \
  --no-default-features --features server,client,tls
