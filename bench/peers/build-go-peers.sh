#!/usr/bin/env bash
# Builds Konnectivity, chisel and frp from their Go modules, and the load generator in Go, into
# bench/.peers/bin.
#
#     bench/peers/build-go-peers.sh [konnectivity|load|chisel|frp ...]     builds all four by default
#
# Each is built in a temporary module, because `go install PACKAGE@VERSION` rejects the `replace` in
# Konnectivity's go.mod.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=$(dirname "$here")/.peers/bin
. "$here/versions.sh"
mkdir -p "$out"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# build VERSION EXTRA-MODULES PACKAGE=PROGRAM...: builds packages of one version in a module that requires
# them and the extra modules.
build() {
  local version=$1 extra=$2 pair
  shift 2
  cd "$scratch"
  rm -f go.mod go.sum
  go mod init fairlead.example/peers
  # shellcheck disable=SC2086
  go get $extra $(for pair in "$@"; do echo "${pair%%=*}@$version"; done)
  for pair in "$@"; do
    go build -o "$out/${pair#*=}" "${pair%%=*}"
    echo "$version" >"$out/${pair#*=}.version"
  done
}

# Builds bench/peers/load with Konnectivity's client library.
build_load() {
  cd "$scratch"
  rm -rf load
  cp -r "$here/load" load
  cd load
  go mod init fairlead.example/load
  go get "$konnectivity/konnectivity-client@$KONNECTIVITY_VERSION" .
  go build -o "$out/fairlead-load" .
}

konnectivity=sigs.k8s.io/apiserver-network-proxy
for peer in "${@:-konnectivity load chisel frp}"; do
  # shellcheck disable=SC2086
  for name in $peer; do
    case $name in
      konnectivity)
        build "$KONNECTIVITY_VERSION" "$konnectivity/konnectivity-client@$KONNECTIVITY_VERSION" \
          "$konnectivity/cmd/server=konnectivity-server" "$konnectivity/cmd/agent=konnectivity-agent"
        ;;
      load) build_load ;;
      chisel) build "$CHISEL_VERSION" "" github.com/jpillora/chisel=chisel ;;
      frp)
        build "$FRP_VERSION" "" \
          github.com/fatedier/frp/cmd/frps=frps github.com/fatedier/frp/cmd/frpc=frpc
        ;;
      *)
        echo "build-go-peers.sh: $name: unknown peer. Use konnectivity, load, chisel or frp." >&2
        exit 2
        ;;
    esac
  done
done
