//! The log is written in one place of the sources. `tests/processes/log.rs` has what it looks like.

use std::path::Path;

use crate::code::bare;

/// What escapes texts is in one place. A second subscriber, or a line that is printed past it, would not escape.
#[test]
fn the_log_is_written_in_one_place() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "crates/sync/src", "crates/graph/src", "crates/wasm-host/src", "mappers/core/src"] {
        rust_files(&root.join(folder), &mut |path, source| {
            let code = bare(source);
            let path = path.strip_prefix(root).expect("below it").display().to_string();
            // The commands of a person print their results.
            let prints = code.contains("println!") && !path.starts_with("src/cli") && !path.starts_with("src/demo");
            if prints || code.contains("tracing_subscriber") && path != "src/cli/log.rs" {
                found.push(path);
            }
        });
    }
    found.sort();
    // One says which failpoint it is at before the process dies, with no text from outside; the other is a child whose
    // stderr is a pipe that the service reads.
    assert_eq!(found, ["crates/sync/src/failpoints.rs", "crates/sync/src/mapping/trial/child.rs"]);
}

fn rust_files(folder: &Path, visit: &mut impl FnMut(&Path, &str)) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with("tests") {
            rust_files(&path, visit);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            visit(&path, &std::fs::read_to_string(&path).expect("readable"));
        }
    }
}
