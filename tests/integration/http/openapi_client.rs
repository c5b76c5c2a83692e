//! A TypeScript client generated from the API's description, compiled against the types that clients expect.

use std::path::Path;
use std::process::Command;

use super::api_checks::run;

const FILES: [&str; 3] = ["package.json", "package-lock.json", "seed.ts"];

#[test]
fn a_typescript_client_reads_what_it_expects() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/openapi-client");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("openapi-client");
    std::fs::create_dir_all(&folder).expect("a folder in target/");
    for file in FILES {
        std::fs::copy(source.join(file), folder.join(file)).expect("copied");
    }
    std::fs::write(folder.join("api.json"), meta_catalog::http::document(true).to_string()).expect("written");
    let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    run(Command::new("npm").args(npm).current_dir(&folder));
    let node = |script: &str, arguments: &[&str]| {
        run(Command::new("node").arg(folder.join("node_modules").join(script)).args(arguments).current_dir(&folder))
    };
    node("openapi-typescript/bin/cli.js", &["api.json", "--output", "api.d.ts"]);
    node("typescript/bin/tsc", &["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "seed.ts"]);
}
