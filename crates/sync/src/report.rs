//! Text for messages: an error with its causes, and the beginning of outside text.

use std::error::Error;

/// The Graph client cuts Meta's texts in the same way.
pub use meta_graph::clip;

/// Returns the error and its sources on one line, outermost first.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let said = cause.to_string();
        // Wrappers that print their cause themselves would repeat it.
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("no route")]
        Route,
        #[error("the call failed: {0}")]
        Told(#[source] Box<Failure>),
        #[error("not saved")]
        Silent(#[source] Box<Failure>),
    }

    #[test]
    fn a_cause_is_told_once() {
        let told = Failure::Told(Box::new(Failure::Route));
        assert_eq!(chain(&told), "the call failed: no route");
        assert_eq!(chain(&Failure::Silent(Box::new(told))), "not saved: the call failed: no route");
    }
}
