//! `meta-catalog mapper …`.

use std::io::{BufRead as _, BufWriter, Write as _};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{Done, Failed};

#[derive(Debug, Subcommand)]
pub(super) enum MapperCommand {
    /// Map items from stdin, one JSON object a line, to stdout: try a mapper without a database
    #[command(
        long_about = "Map items from stdin to stdout, line by line, without a database.\n\nEach input line is {\"now\", \"settings\", \"env\": {\"S3_PUBLIC_URL\"}, \"product\", \"variant\", \"inventory\", \"brand\": {\"title\"}, \"vendor\": {\"name\"}, \"categories\": [title, …], \"options\": [{\"name\", \"value\"}, …]}; missing settings are the defaults. Each output line, in the same order, is {\"data\": {…}, \"warnings\": […]}, {\"rejected\": \"<reason>\"} or {\"error\": \"…\"}."
    )]
    Map(MapArgs),
}

#[derive(Debug, Args)]
pub(super) struct MapArgs {
    /// The mapper to run; `builtin` is the one inside this binary
    #[arg(long, default_value = "builtin", value_name = "MAPPER")]
    mapper: String,
}

pub(super) fn run(MapperCommand::Map(args): MapperCommand) -> Done {
    if args.mapper != "builtin" {
        let message = format!("there is no mapper {:?} in this version; use --mapper builtin", args.mapper);
        return Err(Failed { message, code: 2 });
    }
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let trimmed = line.trim_ascii();
        if trimmed.is_empty() {
            continue;
        }
        let mapped = match std::str::from_utf8(trimmed) {
            Ok(text) => mapper_core::input::map_line(text),
            Err(error) => format!(r#"{{"error":"not UTF-8: byte {} of the line"}}"#, error.valid_up_to()),
        };
        writeln!(output, "{mapped}")?;
    }
    output.flush()?;
    Ok(ExitCode::SUCCESS)
}
