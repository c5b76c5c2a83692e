#!/usr/bin/env bash
# Runs the fuzz targets, each for some seconds: scripts/fuzz.sh [SECONDS [TARGET…]]   (30 seconds, all targets)
#
# Installs cargo-fuzz when it is missing. Needs a C++ compiler. The first build takes some ten minutes. The corpora are
# seeded from the files of the repository and grow in fuzz/corpus. A finding ends the run: its input is in fuzz/artifacts. Make it a test, then fix
# the fault.
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

seconds=${1:-30}
[ "$#" -eq 0 ] || shift
targets=("$@")
[ "${#targets[@]}" -gt 0 ] || mapfile -t targets < <(sed -n 's/^name = "\(.*\)"$/\1/p' fuzz/Cargo.toml | tail -n +2)

command -v cargo-fuzz >/dev/null || cargo install --locked cargo-fuzz
python3 scripts/seed-fuzz-corpora.py
cargo build --locked --workspace --bin mapper-trial
export MAPPER_TRIAL="${CARGO_TARGET_DIR:-$PWD/target}/debug/mapper-trial"
unset CARGO_TARGET_DIR

for target in "${targets[@]}"; do
    printf '\n== %s, %s s\n' "$target" "$seconds"
    longest=65536
    [ "$target" != module ] || longest=4194304
    # Without a sanitizer it builds with a stable compiler; what is looked for are panics and broken promises.
    cargo fuzz run --sanitizer none "$target" -- -max_total_time="$seconds" -timeout=30 -max_len="$longest" -print_final_stats=1
done
