#!/usr/bin/env bash
# Every check that a change must pass. Run it from anywhere, as any user: scripts/test.sh [fast]
#
# Installs missing programs only (on Debian and derivatives, with apt-get). The tests
# start their own PostgreSQL server; a server that is already running is not changed.
#
# fast: the quick look while a change is made. It needs Rust and a C compiler: no npm, no Python
# packages, no PostgreSQL. It checks the format and runs the unit tests of every crate and the
# integration tests on SQLite. It installs nothing and proves less than the whole.
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

step() {
    printf '\n== %s\n' "$*"
}

run() {
    step "$@"
    "$@"
}

# A snapshot that is missing or differs fails; none is written.
export CI=true INSTA_UPDATE=no

# What fast leaves out, by name: other programs (PostgreSQL, Node, Python), and runs that take long.
# With TESTKIT_FAST set, a test that still asks for PostgreSQL or Node fails, so the list stays whole.
# The whole run has no such list.
fast() {
    local left_out=(
        postgres failover:: harness:: replicas:: better_auth:: away:: sessions:: secrets::
        of_two_that_find_a_file does_not_deadlock_with_an_intake both_databases_end
        fuzz:: openapi::operation_ids openapi_client:: browser:: crash:: torture:: swaps:: kill:: retention:: hostile:: slow_clients:: sdk_works
    )
    export TESTKIT_FAST=1
    run cargo fmt --all --check
    run cargo test --locked --workspace --lib --bins
    run cargo test --locked --workspace --test '*' -- "${left_out[@]/#/--skip=}"
    step "all of fast passed"
}

case "${1-}" in
    '') ;;
    fast)
        fast
        exit
        ;;
    *)
        echo "usage: scripts/test.sh [fast]" >&2
        exit 2
        ;;
esac

# The same places where crates/testkit/src/postgres.rs looks.
has_postgres() {
    local dir
    local IFS=:
    for dir in $PATH "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin; do
        if [ -x "$dir/initdb" ] && [ -x "$dir/pg_ctl" ] && [ -x "$dir/postgres" ]; then
            return 0
        fi
    done
    return 1
}

has_venv() {
    python3 -c 'import ensurepip, venv' 2>/dev/null
}

install() {
    step "installing $*"
    if ! command -v apt-get >/dev/null; then
        echo "apt-get is missing. Install the contents of these Debian packages: $*" >&2
        exit 1
    fi
    local root=()
    if [ "$(id -u)" != 0 ]; then
        root=(sudo)
    fi
    "${root[@]}" apt-get update
    "${root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@"
}

missing=()
has_postgres || missing+=(postgresql)
has_venv || missing+=(python3 python3-venv)
command -v node >/dev/null && command -v npm >/dev/null || missing+=(nodejs npm)
command -v chromium >/dev/null || missing+=(chromium)
command -v curl >/dev/null || missing+=(curl)
command -v cc >/dev/null || missing+=(build-essential)
# Mapper modules are built anew: by a rustc that knows the target, else by Debian's.
if ! [ -d "$(rustc --print sysroot 2>/dev/null)/lib/rustlib/wasm32-unknown-unknown" ] &&
    ! { command -v rustup >/dev/null && rustup target add wasm32-unknown-unknown; }; then
    dpkg --status rustc-web cargo-web rust-web-src lld-19 >/dev/null 2>&1 ||
        missing+=(rustc-web cargo-web rust-web-src lld-19)
fi
if [ "${#missing[@]}" -gt 0 ]; then
    install "${missing[@]}"
fi
if ! command -v cargo >/dev/null; then
    echo "cargo is missing. Please install Rust (https://rustup.rs); Cargo.toml names the version." >&2
    exit 1
fi

# A snapshot that no test asserts is a leftover. Each assertion appends the path of its snapshot here.
references=$(mktemp)
trap 'rm -f "$references"' EXIT
no_snapshot_is_left_over() {
    local left
    left=$(comm -23 <(find "$PWD/snapshots" -name '*.snap' | sort) \
        <(xargs -d '\n' realpath <"$references" | sort -u))
    if [ -n "$left" ]; then
        printf 'No test asserts these snapshots:\n%s\n' "$left" >&2
        return 1
    fi
}

# What dependencies may be (deny.toml). The list of known vulnerabilities comes from outside and may be out of reach.
command -v cargo-deny >/dev/null || run cargo install --locked cargo-deny
run cargo deny check licenses bans sources
if cargo deny fetch db >/dev/null 2>&1; then
    run cargo deny check advisories
else
    step "the list of known vulnerabilities is out of reach; it is not checked"
fi

run cargo fmt --all --check
run cargo clippy --locked --workspace --all-targets -- -D warnings
# A deployed image can leave the demonstration and the local Meta out.
run cargo clippy --locked --no-default-features --bin meta-catalog -- -D warnings
# What a release build leaves out: failpoints and the test clock.
run cargo clippy --locked --bin meta-catalog --config profile.dev.package.catalog-sync.debug-assertions=false -- -D warnings
RUSTDOCFLAGS="-D warnings" run cargo doc --locked --workspace --no-deps
run python3 scripts/make-sample-catalog.py --check
INSTA_SNAPSHOT_REFERENCES_FILE=$references run cargo test --locked --workspace
run no_snapshot_is_left_over

# The mapper modules: their sources, and what those build to.
run cargo fmt --manifest-path mappers/Cargo.toml --all --check
run cargo clippy --locked --manifest-path mappers/Cargo.toml --workspace --all-targets -- -D warnings
run cargo test --locked --manifest-path mappers/Cargo.toml --workspace
run mappers/build.sh --check
MAPPER_MODULES=mappers/target/rebuilt run cargo test --locked --workspace --test sync -- corpus::

# The pages, as a reader follows them.
run scripts/follow-docs.py "${CARGO_TARGET_DIR:-target}/debug/meta-catalog"

step "all passed"
