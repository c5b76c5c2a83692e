//! The rooms: which module may use which. `docs/architecture.md`, "Rooms", has the table; the code is held to it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::code::bare;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file under a folder.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// One use of another room: where it is.
type Uses = BTreeMap<(String, String), Vec<String>>;

/// The packages that consist of rooms: the library below HTTP, and the one above it with its program.
const SOURCES: [&str; 2] = ["crates/sync/src", "src"];
/// How code names a room: its own crate or one of the two libraries.
const CRATES: [&str; 3] = ["crate::", "catalog_sync::", "meta_catalog::"];

/// The room of a file: its first folder under a package's `src`, or its own name there. The roots of crates are no
/// rooms.
fn room(file: &Path) -> Option<String> {
    let inner = SOURCES.iter().find_map(|sources| file.strip_prefix(root().join(sources)).ok())?;
    let first = inner.iter().next()?.to_str()?.trim_end_matches(".rs");
    let is_test = inner.file_name()? == "tests.rs";
    (!is_test && !["lib", "main", "bin"].contains(&first)).then(|| first.to_owned())
}

fn identifier(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    &text[..end]
}

/// The heads of the paths of a group such as `{a::B, c::{D, E}}`; the text begins behind the opening brace.
fn heads(text: &str) -> Vec<(usize, &str)> {
    let (mut depth, mut expects, mut heads) = (0, true, Vec::new());
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => expects = true,
            c if expects && !c.is_whitespace() => {
                heads.push((at, identifier(&text[at..])));
                expects = false;
            }
            _ => {}
        }
    }
    heads
}

/// What follows the name of each crate, with its place in the text.
fn used(code: &str) -> Vec<(usize, &str)> {
    CRATES.iter().flat_map(|name| used_of(code, name)).collect()
}

fn used_of<'c>(code: &'c str, name: &str) -> Vec<(usize, &'c str)> {
    let mut used = Vec::new();
    for (at, _) in code.match_indices(name) {
        // `$crate` and `my_crate` are other words.
        if code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_') {
            continue;
        }
        let start = at + name.len();
        let rest = &code[start..];
        match rest.strip_prefix('{') {
            Some(group) => used.extend(heads(group).into_iter().map(|(inner, head)| (start + 1 + inner, head))),
            None => used.push((start, identifier(rest))),
        }
    }
    used
}

/// The edges between rooms, each with its places.
fn edges() -> (BTreeSet<String>, Uses) {
    let mut paths = Vec::new();
    for sources in SOURCES {
        files(&root().join(sources), &mut paths);
    }
    let (mut rooms, mut uses) = (BTreeSet::new(), Uses::new());
    for path in paths {
        let Some(room) = room(&path) else { continue };
        let code = bare(&std::fs::read_to_string(&path).expect("a source file"));
        for (at, head) in used(&code) {
            if head != room {
                let line = code[..at].matches('\n').count() + 1;
                let name = path.strip_prefix(root()).expect("a file of the repository").display();
                uses.entry((room.clone(), head.to_owned())).or_default().push(format!("{name}:{line}"));
            }
        }
        rooms.insert(room);
    }
    (rooms, uses)
}

/// The table of the page: each room with what it may use, from low to high.
fn table() -> Vec<(String, BTreeSet<String>)> {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).expect("the page");
    let section = page.split("\n## ").find(|section| section.starts_with("Rooms\n")).expect("the section Rooms");
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').collect();
        let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(cells.len(), 3, "{row}");
        (words(cells[0]).remove(0), words(cells[2]).into_iter().collect())
    })
    .collect()
}

#[test]
fn a_room_uses_what_the_page_allows() {
    let (rooms, uses) = edges();
    let table = table();
    let named: BTreeSet<String> = table.iter().map(|(room, _)| room.clone()).collect();
    assert_eq!(named, rooms, "the rooms on the page and those in the code");
    let mut wrong = Vec::new();
    for ((from, to), places) in &uses {
        if !table.iter().any(|(room, may)| room == from && may.contains(to)) {
            wrong.push(format!("{from} must not use {to}: {}", places.join(", ")));
        }
    }
    for (at, (from, may)) in table.iter().enumerate() {
        for to in may {
            if !uses.contains_key(&(from.clone(), to.clone())) {
                wrong.push(format!("the page allows {from} to use {to}, but no code does"));
            }
            // A table that only looks down has no cycle.
            if !table[..at].iter().any(|(lower, _)| lower == to) {
                wrong.push(format!("the page allows {from} to use {to}, which does not stand above it in the table"));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

/// The crates of the workspace that a crate depends on, by its manifest.
fn depends_on(manifest: &str) -> Vec<String> {
    let text = std::fs::read_to_string(root().join(manifest)).expect("a manifest");
    let dependencies = text.split("\n[").find(|section| section.starts_with("dependencies]")).unwrap_or_default();
    let own = dependencies.lines().filter(|line| line.contains("path ="));
    own.filter_map(|line| line.split('=').next()).map(|name| name.trim().to_owned()).collect()
}

#[test]
fn the_crates_stay_independent() {
    assert_eq!(depends_on("crates/graph/Cargo.toml"), Vec::<String>::new());
    assert_eq!(depends_on("crates/wasm-host/Cargo.toml"), ["mapper-core"]);
    assert_eq!(depends_on("crates/sync/Cargo.toml"), ["mapper-core", "meta-graph", "wasm-host"]);
    // With it, the tests below HTTP would be built again for each change of the API.
    assert!(!depends_on("crates/testkit/Cargo.toml").contains(&"meta-catalog".to_owned()));
}

#[test]
fn uses_are_read_from_code_alone() {
    let source = r##"
use crate::{app::App, domain::{plan, state}, ids};
//! [`crate::cli`]
/* crate::demo */
const TEXT: &str = "crate::http"; const RAW: &str = r#"crate::admin "quoted""#;
fn f<'a>(c: char) -> bool { c == '"' || crate::store::is(c) }
#[cfg(test)]
mod tests { use crate::startup::X; fn g() { if true {} } }
fn h() { $crate::config::x(); crate::clock::now(); catalog_sync::report::chain(); }
"##;
    let code = bare(source);
    let heads: Vec<&str> = used(&code).into_iter().map(|(_, head)| head).collect();
    assert_eq!(heads, ["app", "domain", "ids", "store", "config", "clock", "report"]);
}
