#!/usr/bin/env python3
"""Executes docs/mappers/ten-minutes.md exactly: writes its files and runs its commands in a copy of the repository.

Usage: scripts/follow-docs.py PATH-OF-meta-catalog

The prerequisites of the page are set up here: meta-catalog on PATH, and a Rust that builds for
wasm32-unknown-unknown (the installed one, or Debian's rustc-web under the name of cargo). The database is a fresh one.
At the end it checks that the modules of the page were active and that the rollback on the page works.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = "docs/mappers/ten-minutes.md"
TARGET = "wasm32-unknown-unknown"

# Debian's compiler has no std for the target and builds it along.
DEBIAN_CARGO = """#!/bin/sh
export PATH=/usr/bin:/bin RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
case "$*" in
*{target}*) exec /usr/bin/cargo "$@" -Zbuild-std=std,panic_abort ;;
*) exec /usr/bin/cargo "$@" ;;
esac
"""


def blocks(text):
    """The fenced blocks, in order: (language, file or None, body)."""
    for info, body in re.findall(r"^```(\S[^\n]*)\n(.*?)^```$", text, re.S | re.M):
        language, _, rest = info.partition(" ")
        name = re.search(r"file=(\S+)", rest)
        yield language, name and name.group(1), body


def builds_for_target():
    if shutil.which("rustc") is None:
        return False
    libraries = pathlib.Path(subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip())
    if (libraries / "lib/rustlib" / TARGET).is_dir():
        return True
    if shutil.which("rustup") is None:
        return False
    return subprocess.run(["rustup", "target", "add", TARGET], check=False).returncode == 0


def main():
    binary = pathlib.Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        clone = folder / "clone"
        clone.mkdir()
        tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT).decode().split("\0")
        for name in filter(None, tracked):
            if (ROOT / name).is_file():
                (clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, clone / name)

        tools = folder / "bin"
        tools.mkdir()
        (tools / "meta-catalog").symlink_to(binary)
        if not builds_for_target():
            cargo = tools / "cargo"
            cargo.write_text(DEBIAN_CARGO.format(target=TARGET))
            cargo.chmod(0o755)
        env = {name: value for name, value in os.environ.items() if not name.startswith(("META_", "PUBLIC_", "CARGO_TARGET", "RUSTFLAGS"))}
        env["PATH"] = f"{tools}:{env['PATH']}"
        env["DATABASE_URL"] = f"sqlite://{folder}/shop.db"

        def run(script):
            print(f"$ {script.rstrip()}", flush=True)
            subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=clone, env=env, check=True)

        activated = 0
        for language, name, body in blocks((clone / PAGE).read_text()):
            if name:
                (clone / name).write_text(body)
            elif language == "sh":
                run(body)
                activated += body.count("mapper activate")
        if activated < 2:
            sys.exit(f"{PAGE}: expected a module in Rust and one in JavaScript, saw {activated} activations")
        run("meta-catalog mapper status && meta-catalog mapper rollback && meta-catalog mapper reset")


main()
