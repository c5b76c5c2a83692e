//! Node programs of the tests, with their packages.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;
use tokio::sync::Mutex;

/// One test at a time copies and installs; the others find what it left.
static TURN: Mutex<()> = Mutex::const_new(());

/// Copies `tests/NAME` into `target`, the directory for test files, installs the packages that its lock file names, and
/// returns the folder. Packages are fetched once for each lock file.
pub async fn installed(name: &str, target: &Path) -> PathBuf {
    crate::only_in_the_whole_run("Node");
    let _turn = TURN.lock().await;
    let source = crate::root().join("tests").join(name);
    let folder = target.join(name);
    fs::create_dir_all(&folder).expect("a folder in target/");
    for file in fs::read_dir(&source).expect("the sources") {
        let file = file.expect("a file");
        let (from, to) = (fs::read(file.path()).expect("read"), folder.join(file.file_name()));
        // Another test may run what is there.
        if fs::read(&to).ok().as_ref() != Some(&from) {
            fs::write(to, from).expect("copied");
        }
    }
    let marker = folder.join("installed.json");
    let lock = fs::read(source.join("package-lock.json")).expect("the lock file");
    if fs::read(&marker).ok().as_deref() != Some(lock.as_slice()) {
        let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
        let status = Command::new("npm").args(npm).current_dir(&folder).stdout(Stdio::null()).status().await;
        assert!(status.expect("npm runs; scripts/test.sh installs it").success(), "npm ci failed; it said why above");
        fs::write(&marker, lock).expect("noted");
    }
    folder
}
