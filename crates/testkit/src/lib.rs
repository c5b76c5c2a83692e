//! An installation for tests and benches: database, local Meta, service, operator.
//!
//! [`Site`] is the shared core: the store, the local Meta, and the actions of a shop and an operator on them. Each
//! variant adds one thing: [`Shop`] runs the service in this process, [`Plant`] runs it in a separate process, and
//! [`Stage`] freezes the clocks. The tests of the HTTP API add an installation that listens
//! (`tests/integration/http/installation.rs`), so this crate does not depend on the API.
//!
//! Left out on purpose: `env!("CARGO_BIN_EXE_meta-catalog")` and `CARGO_TARGET_TMPDIR`. Only a test crate has them, so
//! the test crate passes the paths in.

use std::path::{Path, PathBuf};

pub mod better_auth;
pub mod hostile;
pub mod modules;
pub mod node;
mod plant;
pub mod postgres;
mod process;
mod shop;
mod site;
mod stage;
pub mod swaps;
mod testbed;
pub mod torture;
mod wait;

pub use plant::Plant;
pub use process::{Log, PATIENCE, Program, Serve, resident, trial_program};
pub use shop::{Shop, half_branded, product, variant};
pub use site::{BUSINESS, CATALOG, Engine, KEY, OPERATOR, PICTURES, Row, Site, selection};
pub use stage::{Asked, Sent, Stage, graph_error};
pub use testbed::Testbed;
pub use wait::until;

/// Returns the root directory of the repository.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Reads a number from the environment: the size of a test that is small by default.
#[must_use]
pub fn variable<T: std::str::FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")))
}

/// Panics in `scripts/test.sh fast`, which runs without this program. Such a test must be added to the list of tests
/// that the script leaves out. This crate never skips a test.
pub(crate) fn only_in_the_whole_run(program: &str) {
    let fast = std::env::var_os("TESTKIT_FAST").is_some();
    assert!(!fast, "this test needs {program}: scripts/test.sh names it among what fast leaves out");
}
