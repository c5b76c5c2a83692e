//! Checks that every test named in a line of `docs/outcomes.md` exists.

use std::collections::HashSet;
use std::path::Path;

fn sources(folder: &Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).expect("a source file"));
        }
    }
}

/// Returns the tests in backticks in the last column of each table.
fn named(page: &str) -> HashSet<&str> {
    let rows = page.lines().filter(|line| line.starts_with('|') && !line.contains("---"));
    let cells = rows.filter_map(|row| row.trim_end_matches('|').rsplit('|').next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect()
}

/// Every test that the page names exists in the source, and every line of its tables names a test.
#[test]
fn every_test_on_the_page_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = std::fs::read_to_string(root.join("docs/outcomes.md")).expect("the page");
    let mut source = String::new();
    for folder in ["src", "tests", "crates"] {
        sources(&root.join(folder), &mut source);
    }
    let named = named(&page);
    assert!(named.len() > 40, "the page names {} tests", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !source.contains(&format!("fn {name}("))).collect();
    assert!(missing.is_empty(), "no such tests: {missing:?}");
    for row in page
        .lines()
        .filter(|line| line.starts_with('|') && !line.contains("---"))
        .filter(|row| !row.ends_with("| test |"))
    {
        assert!(row.trim_end_matches('|').rsplit('|').next().is_some_and(|cell| cell.contains('`')), "no test: {row}");
    }
}
