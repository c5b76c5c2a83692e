#!/usr/bin/env python3
"""Follows the pages of this repository as a reader does: writes their files and runs their commands, block by block.

Usage: scripts/follow-docs.py PATH-OF-meta-catalog [PAGE…]     (without pages, every tracked *.md)

Each page starts in a fresh copy of the repository, in one terminal, so what one block exports the next one sees. The
first word behind a fence is the language; what follows says what the reader does with the block:

    ```sh                         runs in the page's terminal, from the first line to the last; an error ends the run
    ```sh server=8080             runs in a terminal of its own until the page ends; the next block waits for the port
    ```sh not-run="the reason"    is not run
    ```js file=some/path          is written to the file, whatever the language is

A block that is neither run nor named as not run is refused: commands are in `sh`, and no fence is without a language.
What the prose names as `meta-catalog …` is not run, but has to be a command with these options.

The prerequisites of the pages are set up here: meta-catalog on PATH, a Rust that builds for wasm32-unknown-unknown (the
installed one, or Debian's rustc-web under the name of cargo), a Chromium that starts as root, and no configuration.
"""

import dataclasses
import fcntl
import os
import pathlib
import re
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = "wasm32-unknown-unknown"
# The slowest block builds a mapper module with npm or Debian's Rust.
BLOCK_SECONDS = 900
SERVER_SECONDS = 60
# How much of a server's log is shown when a block fails.
LOG_LINES = 40

# What a fence may show beside `sh`. Another name for a shell would hide commands from this script.
SHOWN = {"css", "csv", "html", "js", "json", "rust", "sql", "text", "toml", "ts", "xml"}
# How a command begins, where it is only shown.
COMMAND = re.compile(r"^\s*(\$ |([A-Z_]+=\S* )*(meta-catalog|cargo|curl|scripts/\S+|npm|python3) )", re.M)

# Pages that are refused, with words of the refusal. This script proves itself before it proves the pages.
REFUSED = [
    ("```sh\ntrue\nfalse | cat\necho after it\n```\n", "failed with exit code 1"),
    ("```sh server=9\ntrue\n```\n", "ended with exit code 0"),
    ("```\nls\n```\n", "the language is ''"),
    ("~~~bash\nls\n~~~\n", "the language is 'bash'"),
    ("1. Run\n\n   ```console\n   ls\n   ```\n", "the language is 'console'"),
    ("1. Run\n\n   ```sh\n   ls\n   ```\n", "the beginning of the line"),
    ("    meta-catalog serve\n", "the beginning of the line"),
    ("````text\n```\nDATABASE_URL=x meta-catalog serve\n````\n", "is never run"),
    ("```sh not-run=\"\"\nls\n```\n", "needs the reason"),
    ("```sh not-run\nls\n```\n", "not a list of word=value"),
    ("```sh runs=no\nls\n```\n", "sh takes not-run or server, not runs"),
    ("```sh server=80 not-run=\"it is root's\"\nls\n```\n", "one word says"),
    ("```sh\nls\n", "does not end"),
    ("```text\n```\nRun `meta-catalog keys\nrotat` then.\n", "unrecognized subcommand 'rotat'"),
    ("Run `meta-catalog token create --rol catalog-admin`.\n", "unexpected argument '--rol'"),
]

# Debian's compiler has no std for the target and builds it along.
DEBIAN_CARGO = f"""#!/bin/sh
export PATH=/usr/bin:/bin RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld-19
case "$*" in
*{TARGET}*) exec /usr/bin/cargo "$@" -Zbuild-std=std,panic_abort ;;
*) exec /usr/bin/cargo "$@" ;;
esac
"""

# A container's root has no sandbox, and often little /dev/shm.
CHROMIUM = """#!/bin/sh
exec {chromium} --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir={profile} "$@"
"""

# What would configure the service or the builds, unlike on a clean machine.
CONFIGURES = ("META_", "PUBLIC_", "BETTER_AUTH_", "DATABASE_URL", "S3_PUBLIC_URL", "RUST_LOG", "CARGO_TARGET", "RUSTFLAGS")


class Refused(Exception):
    """A page that cannot be followed, or a block that failed. The message names both."""


@dataclasses.dataclass
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    words: dict
    body: str

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks(page, text):
    """The fenced blocks of a page, in order, also those in lists and quotations."""
    fence, found = None, []
    for number, line in enumerate(text.splitlines(), 1):
        if fence is None:
            opened = re.match(r"^([\s>]*(?:(?:[-*]|\d+\.)\s+)*)(`{3,}|~{3,})\s*(\S*)\s*(.*)$", line)
            if opened:
                indent, fence, language, rest = opened.groups()
                if indent and language == "sh":
                    raise Refused(f"{page}:{number}: commands stand at the beginning of the line, so that they can be copied")
                try:
                    words = dict(word.split("=", 1) for word in shlex.split(rest))
                except ValueError as error:
                    raise Refused(f"{page}:{number}: {rest!r} is not a list of word=value") from error
                found.append(Block(page, number, language, words, ""))
            elif line.startswith("    ") and COMMAND.match(line):
                raise Refused(f"{page}:{number}: commands stand at the beginning of the line, in a block")
        elif re.match(rf"^[\s>]*{fence}{fence[0]}*\s*$", line):
            fence = None
        else:
            found[-1].body += line + "\n"
    if fence is not None:
        raise Refused(f"{found[-1]}: the block does not end")
    return found


def check(block):
    """Refuses a block of which this script could not say what becomes of it."""
    known = {"server", "not-run"} if block.language == "sh" else {"file"}
    unknown = set(block.words) - known
    if unknown:
        raise Refused(f"{block}: {block.language} takes {' or '.join(sorted(known))}, not {', '.join(sorted(unknown))}")
    if len(block.words) > 1:
        raise Refused(f"{block}: one word says what becomes of a block")
    if not block.words.get("not-run", "a reason").strip():
        raise Refused(f"{block}: not-run needs the reason")
    if block.language == "sh":
        return
    if block.language not in SHOWN:
        raise Refused(f"{block}: the language is {block.language!r}; commands are `sh`, the others {', '.join(sorted(SHOWN))}")
    if "file" not in block.words and COMMAND.search(block.body):
        raise Refused(f"{block}: a command in `{block.language}` is never run; make it `sh`")


class Machine:
    """A fresh copy of the repository with the programs of the pages on PATH."""

    def __init__(self, folder, tools):
        self.clone = folder / "clone"
        tracked = subprocess.check_output(["git", "ls-files", "-z"], cwd=ROOT).decode().split("\0")
        for name in filter(None, tracked):
            if (ROOT / name).is_file():
                (self.clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.clone / name)
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(CONFIGURES)}
        self.env["PATH"] = f"{tools}:{self.env['PATH']}"
        self.env["no_proxy"] = ",".join(filter(None, [self.env.get("no_proxy"), "localhost", "127.0.0.1"]))
        self.folder = folder
        self.started = []
        self.logs = {}

    def start(self, *command, **options):
        process = subprocess.Popen(command, cwd=self.clone, env=self.env, start_new_session=True, **options)
        self.started.append(process)
        return process

    def stop(self):
        """Ends what the page has started, with all that it started."""
        for process in reversed(self.started):
            try:
                os.killpg(process.pid, signal.SIGTERM)
            except ProcessLookupError:
                continue
            try:
                process.wait(timeout=30)
            except subprocess.TimeoutExpired:
                pass
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()


class Terminal:
    """A shell that runs one block after the other."""

    def __init__(self, machine):
        self.machine = machine
        self.done, done = os.pipe()
        self.shell = machine.start("bash", "-euo", "pipefail", stdin=subprocess.PIPE, pass_fds=(done,))
        self.mark = done
        os.close(done)

    def run(self, block):
        script = self.machine.folder / "block.sh"
        script.write_text(block.body)
        self.shell.stdin.write(f". {shlex.quote(str(script))} </dev/null\necho >&{self.mark}\n".encode())
        self.shell.stdin.flush()
        ready, _, _ = select.select([self.done], [], [], BLOCK_SECONDS)
        if not ready:
            raise Refused(f"{block}: not done in {BLOCK_SECONDS} s")
        if not os.read(self.done, 1):
            raise Refused(f"{block}: failed with exit code {self.shell.wait()}")


def answers(port):
    """Whether something listens on the port."""
    for host in ("127.0.0.1", "::1"):
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except OSError:
            pass
    return False


def serve(machine, block):
    """Runs a block in a terminal of its own, and waits for its port."""
    port = int(block.words["server"])
    if answers(port):
        raise Refused(f"{block}: another program has port {port}; end it, since the page names this port")
    log = machine.folder / f"server-{port}.log"
    with log.open("w") as out:
        command = ("bash", "-euo", "pipefail", "-c", block.body)
        server = machine.start(*command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    machine.logs[str(block)] = log
    until = time.monotonic() + SERVER_SECONDS
    while not answers(port):
        if server.poll() is not None:
            raise Refused(f"{block}: ended with exit code {server.returncode} before port {port} answered")
        if time.monotonic() > until:
            raise Refused(f"{block}: port {port} does not answer after {SERVER_SECONDS} s")
        time.sleep(0.1)


def follow(page, found, tools):
    """Does what the page says, and returns how many of its commands were run and not run."""
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(pathlib.Path(folder), tools)
        ran = 0
        try:
            terminal = Terminal(machine)
            for block in found:
                if "file" in block.words:
                    path = machine.clone / block.words["file"]
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(block.body)
                elif block.language == "sh" and "not-run" in block.words:
                    print(f"-- {block} is not run: {block.words['not-run']}", flush=True)
                elif block.language == "sh":
                    print(f"-- {block}\n$ {block.body.rstrip()}", flush=True)
                    serve(machine, block) if "server" in block.words else terminal.run(block)
                    ran += 1
        except Refused:
            for server, log in machine.logs.items():
                print(f"-- the last lines of {server}", *log.read_text().splitlines()[-LOG_LINES:], sep="\n", flush=True)
            raise
        finally:
            machine.stop()
    return ran


def builds_for_target():
    if shutil.which("rustc") is None:
        return False
    libraries = pathlib.Path(subprocess.check_output(["rustc", "--print", "sysroot"], text=True).strip())
    if (libraries / "lib/rustlib" / TARGET).is_dir():
        return True
    if shutil.which("rustup") is None:
        return False
    return subprocess.run(["rustup", "target", "add", TARGET], check=False).returncode == 0


def set_up(tools, binary):
    """Puts the programs into the folder."""

    def program(name, text):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)

    (tools / "meta-catalog").symlink_to(binary)
    if not builds_for_target():
        program("cargo", DEBIAN_CARGO)
    chromium = shutil.which("chromium")
    if chromium:
        (tools / "profile").mkdir()
        program("chromium", CHROMIUM.format(chromium=chromium, profile=tools / "profile"))


def read(page, text):
    """The blocks of a page, each of which this script runs, writes, or leaves out for a reason."""
    found = blocks(page, text)
    for block in found:
        check(block)
    return found


def named_commands(text):
    """The commands of this program that the prose of a page names, also over the end of a line."""
    return re.findall(r"`meta-catalog (\S[^`]*)`", re.sub(r"^(`{3,}|~{3,}).*?^\1", "", text, flags=re.S | re.M))


def check_command(page, command, tools):
    # The help ends the command after its line is understood, before it does anything.
    asked = [tools / "meta-catalog", *shlex.split(command), "--help"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False)
    if answer.returncode != 0:
        raise Refused(f"{page} names `meta-catalog {command}`: {answer.stderr.strip()}")


def prove_itself(tools):
    for page, words in REFUSED:
        try:
            found = read("a page", page)
            for command in named_commands(page):
                check_command("a page", command, tools)
            follow("a page", found, tools)
        except Refused as refused:
            if words in str(refused):
                continue
            sys.exit(f"this page is refused with {str(refused)!r} and not with {words!r}:\n{page}")
        sys.exit(f"this page is not refused:\n{page}")


def main():
    # Ended from outside, it ends what it has started.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    binary = pathlib.Path(sys.argv[1]).resolve()
    if not os.access(binary, os.X_OK):
        raise Refused(f"{binary} is not a program")
    pages = subprocess.check_output(["git", "ls-files", "-z", "*.md"], cwd=ROOT).decode().split("\0")
    # All pages are read, whichever is followed, before the first command is run.
    texts = {page: (ROOT / page).read_text() for page in sorted(filter(None, pages))}
    pages = {page: read(page, text) for page, text in texts.items()}
    chosen = sys.argv[2:] or pages
    unknown = set(chosen) - set(pages)
    if unknown:
        raise Refused(f"no tracked page is called {', '.join(sorted(unknown))}")
    # The pages name their ports: two runs of one user take turns.
    with tempfile.TemporaryDirectory() as tools, open(f"{tempfile.gettempdir()}/follow-docs-{os.getuid()}.lock", "w") as turn:
        fcntl.flock(turn, fcntl.LOCK_EX)
        set_up(pathlib.Path(tools), binary)
        prove_itself(pathlib.Path(tools))
        for page in chosen:
            for command in named_commands(texts[page]):
                check_command(page, command, pathlib.Path(tools))
        for page in chosen:
            if any(block.language == "sh" for block in pages[page]):
                began = time.monotonic()
                ran = follow(page, pages[page], pathlib.Path(tools))
                print(f"\n== {page}: {ran} blocks in {time.monotonic() - began:.0f} s", flush=True)


try:
    main()
except Refused as refused:
    sys.exit(f"{refused}")
