#!/usr/bin/env bash
# Builds the mapper modules: mappers/modules/*.wasm and their list, modules/manifest.toml.
#
#   mappers/build.sh            builds those in Rust
#   mappers/build.sh --js       builds those in JavaScript as well
#   mappers/build.sh --check    changes nothing: compares the files with the list, builds anew into target/rebuilt,
#                               and compares byte for byte when the compiler is the one of the list. What another
#                               compiler makes has other bytes; MAPPER_MODULES=mappers/target/rebuilt lets the
#                               service's corpus tests run over it
#
# Compiler: the rustc on PATH if it can build for wasm32-unknown-unknown (`rustup target add
# wasm32-unknown-unknown` sees to that), else Debian's rustc-web. JavaScript builds differ from run to run, so
# that module is only pinned by its digest, and by that of its sources.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")"

target=wasm32-unknown-unknown
manifest=modules/manifest.toml
js_module=seasonal-label.wasm
check=false js=false
case "${1-}" in
    "") ;;
    --js) js=true ;;
    --check) check=true ;;
    *) echo "usage: $0 [--js | --check]" >&2; exit 2 ;;
esac

say() { echo "build.sh: $*" >&2; }

# Sets `cargo` and `rustc`, and what Debian's needs to know.
choose_compiler() {
    cargo=(cargo) rustc=rustc
    if command -v rustc >/dev/null; then
        local libs
        libs="$(rustc --print sysroot)/lib/rustlib/$target"
        if [ -d "$libs" ]; then return; fi
        if command -v rustup >/dev/null && rustup target add "$target" && [ -d "$libs" ]; then return; fi
    fi
    say "no rustc for $target on PATH; taking Debian's"
    local packages=(rustc-web cargo-web rust-web-src lld-19)
    if ! dpkg --status "${packages[@]}" >/dev/null 2>&1; then
        if [ "$(id -u)" != 0 ]; then
            say "install them: apt-get install ${packages[*]}"
            exit 1
        fi
        apt-get update
        apt-get install --yes --no-install-recommends "${packages[@]}"
    fi
    rustc=/usr/bin/rustc
    cargo=(/usr/bin/cargo)
    extra=(-Zbuild-std=std,panic_abort)
    export RUSTC=$rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
}

# One line that names the compiler: another one may write other bytes.
compiler_line() {
    "$rustc" -vV | sed -n '1p; /^host:/p; /^LLVM version:/p' | paste -sd ';' | sed 's/;/; /g'
}

build() { # profile, then what to build
    local profile=$1
    shift
    "${cargo[@]}" build --locked --target "$target" --profile "$profile" "${extra[@]}" "$@"
}

# Puts a module into $out and on the list.
put() { # built file, module, source
    mkdir -p "$(dirname "$out/$2")"
    install -m 644 "$1" "$out/$2"
    enlist "$2" "$3" "$compiler"
}

enlist() { # module, source, compiler
    list+="
[[module]]
file = \"$1\"
sha256 = \"$(sha256sum "$out/$1" | cut -d ' ' -f 1)\"
bytes = $(wc -c <"$out/$1")
source = \"mappers/$2\"
compiler = \"$3\"
"
}

# The digest of what the JavaScript module is made from.
js_sources() {
    sha256sum template-js/{module,mapper,sdk}.mjs template-js/package-lock.json wit/*.wit | sha256sum | cut -d ' ' -f 1
}

# The value of a key in the list's entry of a module.
listed() { # module, key
    awk -v file="\"$1\"" -v key="$2" '$1 == "file" { here = $3 == file } here && $1 == key { sub(/^[a-z0-9_]* = /, ""); gsub(/"/, ""); print; exit }' "$manifest"
}

files_match_list() {
    local bad=0 file
    while read -r file; do
        if [ "$(sha256sum <"modules/$file" | cut -d ' ' -f 1)" != "$(listed "$file" sha256)" ]; then
            say "modules/$file is not the file of $manifest; build again"
            bad=1
        fi
    done < <(cd modules && find . -name '*.wasm' | sed 's|^\./||' | sort)
    while read -r file; do
        if [ ! -f "modules/$file" ]; then
            say "modules/$file is missing; build again"
            bad=1
        fi
    done < <(sed -n 's/^file = "\(.*\)"/\1/p' "$manifest")
    if [ "$(listed "$js_module" sources_sha256)" != "$(js_sources)" ]; then
        say "template-js/ or wit/ is not what modules/$js_module was made from; run mappers/build.sh --js and commit"
        bad=1
    fi
    return $bad
}

# The built-in mapper gives the same bytes natively and as a module only if both stand on the same crates.
core_stands_on_the_same() {
    local bad=0 name version
    while read -r name version; do
        version=${version#v}
        if ! grep -A 1 -Fx "name = \"$name\"" ../Cargo.lock | grep -Fqx "version = \"$version\""; then
            say "mapper-core: $name is $version in mappers/Cargo.lock and another in Cargo.lock; bring them together"
            say "  by \`cargo update --package $name --precise VERSION\` in one of the two"
            bad=1
        fi
    done < <("${cargo[@]}" tree --locked --package mapper-core --edges normal --target "$target" --prefix none --format '{p}' |
        cut -d ' ' -f 1,2 | sort -u)
    return $bad
}

extra=() list=""
choose_compiler
compiler=$(compiler_line)

if $check; then
    files_match_list
    core_stands_on_the_same
    out=${CARGO_TARGET_DIR:-$PWD/target}/rebuilt
    rm -rf "$out"
    mkdir -p "$out"
else
    out=modules
fi

# Neither the place of the sources nor that of the registry may show in the bytes.
export RUSTFLAGS="--remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo --remap-path-prefix=$PWD=/mappers --remap-path-prefix=/usr/lib/rustlib/src/rust=/rust-src"
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$PWD/target}
unset CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_RUSTFLAGS

examples=(google-category margin-label price-rounding title-template)
build release --package builtin "${examples[@]/#/--package=}"
built=$CARGO_TARGET_DIR/$target/release
put "$built/builtin.wasm" builtin.wasm builtin
for name in "${examples[@]}"; do
    put "$built/${name//-/_}.wasm" "$name.wasm" "examples/$name"
done

build fixture --package evil --examples
build fixture --package imports-wasi --package other-world
built=$CARGO_TARGET_DIR/$target/fixture
for source in fixtures/evil/modules/*.rs; do
    name=$(basename "$source" .rs)
    put "$built/examples/$name.wasm" "fixtures/${name//_/-}.wasm" "$source"
done
for name in imports-wasi other-world; do
    put "$built/${name//-/_}.wasm" "fixtures/$name.wasm" "fixtures/$name"
done
head -c 12000 "$out/fixtures/twin.wasm" >"$out/truncated"
put "$out/truncated" fixtures/truncated.wasm fixtures/evil/modules/twin.rs
rm "$out/truncated"

if $check; then
    if [ "$(listed margin-label.wasm compiler)" != "$compiler" ]; then
        say "the files are those of the list; they were built by another compiler, so bytes are not compared"
        say "  theirs: $(listed margin-label.wasm compiler)"
        say "  here:   $compiler"
        exit 0
    fi
    bad=0
    while read -r file; do
        if ! cmp "$out/$file" "modules/$file"; then bad=1; fi
    done < <(cd "$out" && find . -name '*.wasm' | sort)
    if [ $bad != 0 ]; then
        say "the sources give other bytes than those checked in; run mappers/build.sh and commit"
        exit 1
    fi
    say "every file is what its source gives"
else
    if $js; then template-js/build.sh "$out/$js_module"; fi
    if $js || [ "$(listed "$js_module" sources_sha256)" = "$(js_sources)" ]; then
        version=$(sed -n 's/.*"componentize-qjs": "\(.*\)".*/\1/p' template-js/package.json)
        enlist "$js_module" template-js "componentize-qjs $version"
        list+="sources_sha256 = \"$(js_sources)\"
"
    else
        say "template-js/ or wit/ has changed: run mappers/build.sh --js"
        exit 1
    fi
    {
        echo "# The modules of this folder, their sources and who compiled them. Written by mappers/build.sh."
        printf '%s' "$list"
    } >"$manifest"
    (cd modules && find . -name '*.wasm' -printf '%8s  %P\n' | sort -k 2)
fi
