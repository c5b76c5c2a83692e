//! A TypeScript client generated from the API's description, compiled against the types that clients expect.

use std::path::Path;
use std::process::Command;

use super::api_checks::run;

#[tokio::test]
async fn a_typescript_client_reads_what_it_expects() {
    let folder = testkit::node::installed("openapi-client", Path::new(env!("CARGO_TARGET_TMPDIR"))).await;
    std::fs::write(folder.join("api.json"), meta_catalog::http::document(true).to_string()).expect("written");
    let node = |script: &str, arguments: &[&str]| {
        run(Command::new("node").arg(folder.join("node_modules").join(script)).args(arguments).current_dir(&folder))
    };
    node("openapi-typescript/bin/cli.js", &["api.json", "--output", "api.d.ts"]);
    node("typescript/bin/tsc", &["--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "seed.ts"]);
}
