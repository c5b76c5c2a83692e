//! Which branches of the mapper a test has walked through.
//!
//! `branch!("name")` marks a place in the code. It compiles to nothing outside this crate's own tests;
//! inside them it records the name for the current thread, so the fixtures can prove that they reach
//! the branches which they claim, and that no marked branch goes without a fixture.

/// Marks a branch by name; free outside of tests.
macro_rules! branch {
    ($name:expr) => {{
        #[cfg(test)]
        $crate::trace::recorder::hit($name);
        // Never called: only shows the compiler that what the name is made of is in use.
        #[cfg(not(test))]
        let _ = || $name;
    }};
}
pub(crate) use branch;

#[cfg(test)]
pub(crate) mod recorder {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    thread_local! {
        static HITS: RefCell<BTreeSet<String>> = const { RefCell::new(BTreeSet::new()) };
    }

    /// Notes that a branch was reached.
    pub(crate) fn hit(name: impl Into<String>) {
        HITS.with_borrow_mut(|hits| hits.insert(name.into()));
    }

    /// The branches reached on this thread since the last call.
    pub(crate) fn take() -> BTreeSet<String> {
        HITS.take()
    }
}
