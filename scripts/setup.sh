#!/usr/bin/env bash
# Installs what the build and the tests need and is missing; about a second when nothing is.
# For Debian (bookworm); elsewhere it says which programs to install. Needs Node >= 20.19 and rustup.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

WASM_BINDGEN=0.2.130 # the same as in Cargo.lock: CLI and crate must agree exactly
GECKODRIVER=0.37.1
WASM_PACK=0.15.1
CARGO_FUZZ=0.13.2

for tool in node npm rustup; do
  command -v "$tool" >/dev/null || { echo "setup: $tool is missing, please install it first" >&2; exit 1; }
done

# --- system packages: three browsers and their drivers, and what serves and unpacks models in the tests ---------------------------------------------
packages=(gcc g++ libc6-dev chromium chromium-driver firefox-esr webkit2gtk-driver
  python3-gi gir1.2-webkit2-4.1 xvfb python3-venv nginx-light openssl unzip)
if command -v apt-get >/dev/null; then
  missing=()
  for p in "${packages[@]}"; do
    # (several architectures of one package give several lines; one that is installed will do)
    dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed || missing+=("$p")
  done
  if [ "${#missing[@]}" -gt 0 ]; then
    sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
    $sudo apt-get update -q
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}"
  fi
else
  for tool in cc c++ chromium chromedriver firefox-esr WebKitWebDriver Xvfb nginx openssl unzip; do
    command -v "$tool" >/dev/null || echo "setup: no apt-get here; please install $tool yourself" >&2
  done
fi

# --- Rust: the toolchain of rust-toolchain.toml with its wasm target -------------------------------
# Asked for by name: rustup may be told not to install by itself (RUSTUP_AUTO_INSTALL=0). And rustup
# itself is the machine's, not ours: it must not replace itself on the way.
target=wasm32-unknown-unknown
if ! libdir=$(rustc --print target-libdir --target $target 2>/dev/null) || [ ! -d "$libdir" ] ||
  ! cargo clippy --version >/dev/null 2>&1 || ! cargo fmt --version >/dev/null 2>&1; then
  channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
  rustup toolchain install "$channel" --no-self-update --profile minimal --component clippy,rustfmt --target $target
fi

# --- cargo tools -----------------------------------------------------------------------------------
# tool CRATE VERSION [OPTION...]: built in a hurry (they run for seconds), from the tool's own lock file
# where the registry still has everything it names, else with the newest matching dependencies.
tool() {
  local crate=$1 version=$2
  shift 2
  local profile=(CARGO_PROFILE_RELEASE_OPT_LEVEL=1 CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 CARGO_PROFILE_RELEASE_LTO=off)
  env "${profile[@]}" cargo install "$crate" --version "$version" --force --locked "$@" ||
    env "${profile[@]}" cargo install "$crate" --version "$version" --force "$@"
}
has() { [ "$("$1" --version 2>/dev/null | awk 'NR == 1 { print $2 }')" = "$2" ]; }
# No default features: without TLS the test runner cannot download anything, and builds twice as fast.
{ has wasm-bindgen $WASM_BINDGEN && has wasm-bindgen-test-runner $WASM_BINDGEN; } ||
  tool wasm-bindgen-cli $WASM_BINDGEN --no-default-features
has geckodriver $GECKODRIVER || tool geckodriver $GECKODRIVER
has wasm-pack $WASM_PACK || tool wasm-pack $WASM_PACK
has cargo-fuzz $CARGO_FUZZ || tool cargo-fuzz $CARGO_FUZZ

# --- Python packages: Keras, TF.js's converter and Flask, as real counterparts of the tests ---------
# They are large (3 GB), so all checkouts of one list share a folder.
list=tests/counterparts/requirements.txt
python="${XDG_CACHE_HOME:-$HOME/.cache}/tfpersist/python-$(sha256sum $list | cut -c1-12)"
if [ ! -e "$python/complete" ]; then
  rm -rf "$python"
  python3 -m venv "$python"
  "$python/bin/pip" install -q --disable-pip-version-check -r $list
  touch "$python/complete"
fi
[ "$(readlink .venv)" = "$python" ] || ln -sfn "$python" .venv

# --- node packages: wasm-opt, esbuild, TypeScript, TF.js, playwright ... ---------------------------
if [ ! -e node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
  npm ci --no-audit --no-fund --ignore-scripts # of all of them, only tfjs-node has one that matters: it would download a library
  touch node_modules/.package-lock.json
fi
