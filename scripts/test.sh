#!/usr/bin/env bash
# All checks, in steps. ENGINES="chromium webkit" selects browsers, ONLY="native chromium" steps (the later
# ones use the package that `package` built). Ends with a table of seconds and tests, also after a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo_bin="${CARGO_HOME:-$HOME/.cargo}/bin"
export PATH="$PWD/node_modules/.bin:$cargo_bin:$PATH"
# The runner takes the first of these that is set, remote ones first: none may come from outside.
unset CHROMEDRIVER GECKODRIVER SAFARIDRIVER CHROMEDRIVER_REMOTE GECKODRIVER_REMOTE SAFARIDRIVER_REMOTE \
  CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUNNER

wasm=(--target wasm32-unknown-unknown)
rustfmt() { cargo fmt --check; cargo fmt --check --manifest-path fuzz/Cargo.toml; }
clippy() { cargo clippy --lib -- -D warnings; }
clippy_wasm() { # the three builds of the package
  cargo clippy "${wasm[@]}" --all-targets -- -D warnings
  cargo clippy "${wasm[@]}" --lib --no-default-features -- -D warnings
  cargo clippy "${wasm[@]}" --lib --no-default-features --features transfers -- -D warnings
}
native() { cargo test --lib; cargo test --doc; }
fuzz() { SECONDS=30 command node scripts/fuzz.mjs; } # each target; longer by `make fuzz SECONDS=600`
node() { CHROMEDRIVER=none cargo test "${wasm[@]}" --test node; } # it starts no browser
in_browser=(--test page --test worker --test layout --test faults)
chromium() { wasm-pack test --headless --chrome; } # what users type: the same tests, and that it works
firefox() { GECKODRIVER="$cargo_bin/geckodriver" cargo test "${wasm[@]}" "${in_browser[@]}"; }
webkit() { SAFARIDRIVER="$PWD/scripts/webkitdriver" cargo test "${wasm[@]}" "${in_browser[@]}"; }
package() { command node scripts/build-pkg.mjs; }
types() { tsc -p tests/types; }
interop() { command node tests/interop/run.mjs; }
crash() { KILLS=40 SEED='' ONLY='' ENGINES="$engines" command node tests/crash/run.mjs; }
demo() { make --no-print-directory demo CHECK=1; }

engines=${ENGINES:-chromium firefox webkit}
all="rustfmt clippy clippy_wasm native fuzz node chromium firefox webkit package types interop crash demo"
counted="native fuzz node chromium firefox webkit interop crash" # these run tests, so none at all is a failure
among() { case " $2 " in *" $1 "*) ;; *) return 1 ;; esac; }
for e in $engines; do among "$e" "chromium firefox webkit" || { echo "ENGINES: unknown engine $e" >&2; exit 2; }; done
for s in ${ONLY:-}; do among "$s" "$all" || { echo "ONLY: unknown step $s; there are: $all" >&2; exit 2; }; done

logs=target/test-logs
rm -rf $logs; mkdir -p $logs
table=() current=
now() { date +%s.%N; }
# count passed|failed LOG: sum over the closing lines of libtest, wasm-bindgen-test and node:test.
count() {
  awk -v what="$1" '
    /^test result: / { for (i = 2; i <= NF; i++) if ($i ~ "^" what) n += $(i - 1) }
    /^(#|ℹ) (pass|fail) [0-9]+/ { if (index(what, $2) == 1) n += $3 }
    END { print n + 0 }' "$2"
}
row() { # row RESULT: the current step, its seconds and its tests
  local seconds tests=
  seconds=$(awk -v a="$started" -v b="$(now)" 'BEGIN { printf "%.1f", b - a }')
  ! among "$current" "$counted" ||
    tests="$(count passed "$logs/$current.log") passed, $(count failed "$logs/$current.log") failed"
  table+=("$(printf '%-12s %8s  %-7s %s' "$current" "$seconds" "$1" "$tests")")
}
finish() {
  local status=$?
  [ -z "$current" ] || row FAILED
  printf '\n=== summary\n%-12s %8s\n' step seconds
  [ "${#table[@]}" = 0 ] || printf '%s\n' "${table[@]}"
  if [ "$status" = 0 ]; then echo "all steps passed"; else echo "FAILED${current:+ in $current}"; fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT TERM

for step in $all; do
  [ -z "${ONLY:-}" ] || among "$step" "$ONLY" || continue
  ! among "$step" "chromium firefox webkit" || among "$step" "$engines" || continue
  current=$step started=$(now)
  printf '\n=== %s\n' "$step"
  "$step" 2>&1 | tee "$logs/$step.log"
  if among "$step" "$counted" && [ "$(count passed "$logs/$step.log")" = 0 ]; then
    echo "no test ran in this step" >&2
    exit 1
  fi
  row ok; current=
done
[ "${#table[@]}" -gt 0 ] || { echo "no step was selected" >&2; exit 2; }
