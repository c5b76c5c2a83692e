#!/usr/bin/env bash
# Builds the mapper: ./build.sh [OUT], by default mapper.wasm.
#
# Needs Node and, the first time, npm's registry. The world lies in wit/ beside this file, or in ../wit.
# Two builds of one source differ in their bytes: keep the file that you activated.
set -euo pipefail
out=$(realpath --canonicalize-missing "${1-$(dirname "$0")/mapper.wasm}")
cd "$(dirname "$0")"

wit=wit
if [ ! -d $wit ]; then wit=../wit; fi
if [ ! -d $wit ]; then
    echo "build.sh: copy mappers/wit of meta-catalog to $PWD/wit" >&2
    exit 1
fi
if [ ! node_modules/.package-lock.json -nt package-lock.json ]; then npm ci --no-audit --no-fund; fi
# --sync and --stub-wasi leave no import but the service's own; --opt-size takes a third off the file, and a fifth off the speed.
npx --no-install componentize-qjs --sync --stub-wasi --opt-size --wit $wit --world mapper --js module.mjs --output "$out"
