//! `meta-catalog openapi`.

use std::io::Write as _;
use std::process::ExitCode;

use super::Done;
use catalog_sync::config::Config;
use meta_catalog::http;

/// Prints the OpenAPI document that `serve` would serve. Needs no database.
pub(super) fn run(config: &Config) -> Done {
    let document = serde_json::to_string_pretty(&http::document(config.enabled))?;
    writeln!(std::io::stdout(), "{document}")?;
    Ok(ExitCode::SUCCESS)
}
