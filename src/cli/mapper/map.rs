//! `meta-catalog mapper map`: lines in, lines out, in the same order.
//!
//! A module is asked for many lines at once, because each run has a fixed cost. It never waits for lines that have not
//! arrived yet: a caller that writes one line and waits gets its answer.

use std::io::{BufRead as _, BufReader, BufWriter, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::thread;

use clap::Args;
use mapper_core::input;
use mapper_core::{Item, Warning};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::cli::{Done, Failed};
use catalog_sync::mapping::LoadedMapper;
use mapper_core::word::{Payload, Rejection, Word};
use wasm_host::Batch;

/// Most lines for which a module is asked at once.
const AT_ONCE: usize = 500;

#[derive(Debug, Args)]
pub(in crate::cli) struct MapArgs {
    /// The mapper to run: a module's file, or `builtin` for the built-in mapper of this binary
    #[arg(long, default_value = "builtin", value_name = "FILE.wasm")]
    mapper: String,
}

pub(super) fn run(args: &MapArgs) -> Done {
    let mapper = if args.mapper == "builtin" { None } else { Some(super::load(args.mapper.as_ref())?) };
    let lines = lines_of_stdin();
    let mut output = BufWriter::new(std::io::stdout().lock());
    while let Some(batch) = next(&lines, &mut output)? {
        let answers = match &mapper {
            None => batch.iter().map(|line| answer_natively(line)).collect(),
            Some(mapper) => ask(mapper, &batch),
        };
        for answer in answers {
            writeln!(output, "{answer}")?;
        }
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The lines that are not blank, read by a separate thread; the last element is an error if reading failed.
fn lines_of_stdin() -> Receiver<std::io::Result<Vec<u8>>> {
    let (sender, lines) = sync_channel(2 * AT_ONCE);
    thread::spawn(move || {
        let mut input = BufReader::with_capacity(1 << 16, std::io::stdin().lock());
        loop {
            let mut line = Vec::new();
            let said = match input.read_until(b'\n', &mut line) {
                Ok(0) => return,
                Ok(_) if line.trim_ascii().is_empty() => continue,
                Ok(_) => sender.send(Ok(line)),
                Err(error) => {
                    // The receiver may be gone already.
                    let _ = sender.send(Err(error));
                    return;
                }
            };
            if said.is_err() {
                return;
            }
        }
    });
    lines
}

/// Returns the lines that have arrived, at least one; `None` at the end. The output is flushed before waiting.
fn next(lines: &Receiver<std::io::Result<Vec<u8>>>, output: &mut impl Write) -> Result<Option<Vec<Vec<u8>>>, Failed> {
    let mut batch = Vec::new();
    while batch.len() < AT_ONCE {
        match lines.try_recv() {
            Ok(line) => batch.push(line?),
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) if !batch.is_empty() => break,
            Err(TryRecvError::Empty) => {
                output.flush()?;
                match lines.recv() {
                    Ok(line) => batch.push(line?),
                    Err(_) => break,
                }
            }
        }
    }
    Ok((!batch.is_empty()).then_some(batch))
}

fn text(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line.trim_ascii())
        .map_err(|error| format!("not UTF-8: byte {} of the line", error.valid_up_to()))
}

fn answer_natively(line: &[u8]) -> String {
    match text(line) {
        Ok(line) => input::map_line(line),
        Err(error) => failed(&error),
    }
}

/// A module's answers. Lines with the same settings and time are mapped in one batch.
fn ask(mapper: &LoadedMapper, lines: &[Vec<u8>]) -> Vec<String> {
    // A line for which the built-in mapper lacks `now` or an id is an error of the line.
    let read: Vec<Result<input::Item, String>> = lines
        .iter()
        .map(|line| {
            let item = input::read(text(line)?).map_err(|error| error.to_string())?;
            item.map().map_err(|error| error.to_string())?;
            Ok(item)
        })
        .collect();
    let same = |a: &Result<input::Item, String>, b: &Result<input::Item, String>| match (a, b) {
        (Ok(a), Ok(b)) => a.now == b.now && a.settings == b.settings,
        _ => false,
    };
    let mut answers = Vec::with_capacity(lines.len());
    for group in read.chunk_by(same) {
        let mut products = Vec::new();
        let mut items = Vec::new();
        for item in group.iter().flatten() {
            if products.last() != Some(&item.product) {
                products.push(item.product.clone());
            }
            let product_index = u32::try_from(products.len() - 1).unwrap_or(u32::MAX);
            items.push(Item { product_index, variant: item.variant.clone() });
        }
        match &group[0] {
            Err(error) => answers.extend(group.iter().map(|_| failed(error))),
            Ok(first) => {
                let (settings, now) = (Arc::new(first.settings.clone()), first.now.unwrap_or_default());
                let words = mapper.map(&Arc::new(Batch { settings, now, products, items }));
                answers.extend(words.into_iter().map(|word| match word {
                    Ok(word) => line_of(&word),
                    Err(fault) => failed(&fault.to_string()),
                }));
            }
        }
    }
    answers
}

/// A mapper's word as a line; for the built-in mapper, the same text as [`input::map_line`] returns.
pub(super) fn line_of(word: &Word) -> String {
    #[derive(Serialize)]
    struct Mapped<'a> {
        data: &'a RawValue,
        warnings: &'a [Warning],
    }
    #[derive(Serialize)]
    struct Rejected<'a> {
        rejected: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        field: Option<&'a str>,
        #[serde(skip_serializing_if = "str::is_empty")]
        message: &'a str,
    }
    let written = match word {
        Word::Mapped(Payload { data, warnings, .. }) => {
            serde_json::from_str::<&RawValue>(data).and_then(|data| serde_json::to_string(&Mapped { data, warnings }))
        }
        Word::Rejected(Rejection { code, field, message }) => {
            serde_json::to_string(&Rejected { rejected: code, field: field.as_deref(), message })
        }
    };
    written.unwrap_or_else(|error| failed(&format!("the payload is not JSON: {error}")))
}

fn failed(error: &str) -> String {
    serde_json::json!({ "error": error }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_builtin_answers_the_same_line_whichever_way_it_is_asked() {
        let lines: Vec<Vec<u8>> = [
            r#"{"now":1,"product":{"id":"p","title":"Belt \"x\"","slug":"b","status":"active","visibility":"public"},"variant":{"id":"v","price":29900}}"#,
            r#"{"now":1,"product":{"id":"p","slug":"b","status":"archived","visibility":"public"},"variant":{"id":"v","price":1}}"#,
            r#"{"now":2,"product":{"title":5}}"#,
            r#"{"now":2,"product":{"id":"p","title":"Hat","slug":"h","status":"active","visibility":"public"},"variant":{"price":1}}"#,
            "{",
        ]
        .into_iter()
        .map(|line| line.as_bytes().to_vec())
        .chain([b"\xff".to_vec()])
        .collect();
        let natively: Vec<String> = lines.iter().map(|line| answer_natively(line)).collect();
        assert_eq!(ask(&LoadedMapper::builtin(), &lines), natively);
        assert!(natively[0].starts_with(r#"{"data":"#) && natively[1].starts_with(r#"{"rejected":"#), "{natively:#?}");
    }
}
