//! Every outcome of a call and every verdict, over the real HTTP of the simulator, on both databases.
//!
//! `docs/outcomes.md` says which test proves which line; [`page`] sees to it that the page tells the truth.

mod calls;
mod limits;
mod page;
mod refusals;
mod tokens;
mod verdicts;
mod words;

/// Each test twice, once a database, on a stage whose clocks stand still.
macro_rules! on_both {
    ($($(#[$doc:meta])* async fn $name:ident($stage:ident) $body:block)+) => {
        $($(#[$doc])* async fn $name($stage: testkit::Stage) $body)+
        mod sqlite {
            use testkit::Stage;
            use testkit::Engine;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Stage::open(Engine::Sqlite).await).await; })+
        }
        mod postgres {
            use testkit::Stage;
            use testkit::Engine;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() { super::$name(Stage::open(Engine::Postgres).await).await; })+
        }
    };
}
use on_both;
