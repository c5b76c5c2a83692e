//! The log of the process, on standard error: as text or as JSON.
//!
//! Promises: an event is one line, whatever its texts contain. File names, names and log lines of modules, Meta's messages
//! and the texts of other crates cannot begin a line of their own, and cannot send control codes to the terminal that
//! shows the log: the text form escapes such characters in every message, field and span, and the JSON form writes them as
//! escapes of JSON. So a call that logs a text from outside needs no care.

use std::fmt::{self, Debug, Write};
use std::io::{self, IsTerminal as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::Writer;

use catalog_sync::config::LogFormat;
use catalog_sync::report::is_unfit_for_a_line;

/// Starts the log of this process.
pub(super) fn start(format: LogFormat, default_level: &str) {
    // sqlx and the supervisor crate log internal details at level info.
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("{default_level},sqlx=warn,ractor_supervisor=warn,ractor=warn")));
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(std::io::stderr().is_terminal());
    match format {
        LogFormat::Text => logs.fmt_fields(EscapedFields).with_writer(std::io::stderr).init(),
        LogFormat::Json => logs.json().flatten_event(true).with_writer(|| EscapedJson(std::io::stderr())).init(),
    }
}

/// Writes lines of JSON. JSON itself lets control codes above U+007E and marks of the writing direction stand.
struct EscapedJson<W>(W);

impl<W: io::Write> io::Write for EscapedJson<W> {
    /// Takes a whole line, as the subscriber writes it.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(line);
        let mut escaped = String::with_capacity(text.len());
        for one in text.chars() {
            if one != '\n' && is_unfit_for_a_line(one) {
                // All of them have four digits.
                write!(escaped, "\\u{:04x}", u32::from(one)).map_err(io::Error::other)?;
            } else {
                escaped.push(one);
            }
        }
        self.0.write_all(escaped.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// Writes `message field=value …`, with the unfit characters escaped.
#[derive(Clone, Copy, Debug)]
struct EscapedFields;

impl<'w> FormatFields<'w> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> fmt::Result {
        let mut line = Line { writer: Escaping(writer), is_empty: true, result: Ok(()) };
        fields.record(&mut line);
        line.result
    }
}

struct Line<'w> {
    writer: Escaping<Writer<'w>>,
    is_empty: bool,
    result: fmt::Result,
}

impl Line<'_> {
    fn write(&mut self, name: &str, value: &dyn Debug) -> fmt::Result {
        if !std::mem::take(&mut self.is_empty) {
            self.writer.write_char(' ')?;
        }
        if name != "message" {
            write!(self.writer, "{name}=")?;
        }
        write!(self.writer, "{value:?}")
    }
}

impl Visit for Line<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        // A message is not quoted.
        if field.name() == "message" {
            self.record_debug(field, &format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Fields of this kind say where an event of the crate `log` comes from; its head says so already.
        if self.result.is_ok() && !field.name().starts_with("log.") {
            self.result = self.write(field.name(), value);
        }
    }
}

struct Escaping<W>(W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|one| match one {
            one if is_unfit_for_a_line(one) => write!(self.0, "{}", one.escape_debug()),
            one => self.0.write_char(one),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing::{info, info_span, warn};

    use super::*;

    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("no panic").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Every way in which a text gets into the log.
    #[test]
    fn an_event_is_one_line_without_control_codes() {
        let kept = Kept::default();
        let writer = kept.clone();
        let logs = tracing_subscriber::fmt()
            .with_ansi(false)
            .without_time()
            .fmt_fields(EscapedFields)
            .with_writer(move || writer.clone());
        let evil = "a\nb\r\u{1b}[31m\u{9b}\u{7f}\u{2028}\u{202e}é";
        let error = io::Error::other(evil);
        tracing::subscriber::with_default(logs.finish(), || {
            let span =
                info_span!("request", display = %evil, debug = ?evil, text = evil, later = tracing::field::Empty);
            let _inside = span.enter();
            span.record("later", tracing::field::display(evil));
            info!("{evil}");
            warn!(%evil, ?evil, evil, %error, error = &error as &dyn std::error::Error, number = 1, "told");
        });
        let text = String::from_utf8(kept.0.lock().expect("no panic").clone()).expect("UTF-8");
        let shown = r"a\nb\r\u{1b}[31m\u{9b}\u{7f}\u{2028}\u{202e}é";
        let span = format!("request{{display={shown} debug=\"{shown}\" text=\"{shown}\" later={shown}}}");
        let target = module_path!();
        assert_eq!(
            text.lines().collect::<Vec<_>>(),
            [
                format!(" INFO {span}: {target}: {shown}"),
                format!(
                    " WARN {span}: {target}: told evil={shown} evil=\"{shown}\" evil=\"{shown}\" error={shown} \
                     error={shown} number=1"
                ),
            ]
        );
    }
}
