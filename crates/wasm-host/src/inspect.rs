//! Inspects a file before anything is built from it.

use wasmparser::{ElementItems, FunctionBody, Operator, Parser, Payload, Validator};

use super::fault::short;
use super::load::LoadError;
use super::wire;

mod flatten;

// Limits on code to compile. The compiler's time and memory grow faster than the size of a function, so a small file
// could occupy them for minutes. In brackets: the numbers of QuickJS, the largest engine that is admitted.

/// Functions of all modules of a component together (2,436).
const MOST_FUNCTIONS: usize = 50_000;
/// Bytes of one function (37,088).
const LONGEST_FUNCTION: usize = 512 << 10;
/// Local variables of one function, without its parameters (86).
const MOST_LOCALS: usize = 10_000;
/// Local variables of one function, with its loops in each other times: each loop has a value for each variable (196).
const MOST_IN_LOOPS: usize = 50_000;
/// Targets of all jump tables (`br_table`) of a component together (3,269).
const MOST_JUMPS: usize = 100_000;
/// Segments of data and of elements of a component together, and the elements in them (6,957).
const MOST_SEGMENTS: usize = 50_000;
/// Types of the core modules of a component together (204).
const MOST_TYPES: usize = 10_000;

/// The kind of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// A core module that describes the world it was built for.
    Core,
    /// A component.
    Component,
}

/// Returns the kind of a file, and refuses a file that is not a mapper. The file is then valid WebAssembly.
pub(super) fn format(bytes: &[u8]) -> Result<Format, LoadError> {
    let format = if Parser::is_core_wasm(bytes) {
        Format::Core
    } else if Parser::is_component(bytes) {
        Format::Component
    } else {
        return Err(LoadError::NotWasm);
    };
    // Before wit-component reads it, because wit-component panics on damaged files.
    Validator::new().validate_all(bytes).map_err(damaged)?;
    if format == Format::Core {
        core(bytes)?;
    }
    Ok(format)
}

/// Checks that a core module describes its world and imports nothing of WASI's.
fn core(bytes: &[u8]) -> Result<(), LoadError> {
    let mut has_world = false;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    refuse_wasi(import.map_err(damaged)?.module)?;
                }
            }
            Payload::CustomSection(section) => has_world |= section.name().starts_with("component-type"),
            _ => {}
        }
    }
    if has_world { Ok(()) } else { Err(LoadError::NotMadeWithSdk) }
}

/// Checks that a component exports the served world, imports nothing of WASI's, and stays within the compile limits.
pub(super) fn component(bytes: &[u8]) -> Result<(), LoadError> {
    let mut exports = Vec::new();
    let mut code = Code::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(damaged)? {
            Payload::CodeSectionEntry(body) => code.add(&body)?,
            Payload::DataSection(section) => code.segments(section.count())?,
            Payload::ElementSection(section) => {
                for element in section {
                    code.segments(elements(&element.map_err(damaged)?.items).saturating_add(1))?;
                }
            }
            Payload::TypeSection(section) => code.types(section.count())?,
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if depth == 0 => {
                for import in imports {
                    refuse_wasi(import.map_err(damaged)?.name.name)?;
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    exports.push(export.map_err(damaged)?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    flatten::check(bytes)?;
    if exports.iter().any(|name| serves(name)) {
        return Ok(());
    }
    let interface = wire::MAPPING.split('@').next().unwrap_or(wire::MAPPING);
    Err(match exports.iter().find(|name| name.split('@').next() == Some(interface)) {
        Some(other) => LoadError::OtherWorld { found: short(other), ours: wire::MAPPING.into() },
        None => LoadError::NotAMapper { exports: short(&exports.join(", ")) },
    })
}

/// Measures the code of a component.
#[derive(Debug, Default)]
struct Code {
    functions: usize,
    jumps: usize,
    segments: usize,
    types: usize,
    /// The most local variables times loops in each other of a function.
    in_loops: usize,
}

impl Code {
    fn add(&mut self, body: &FunctionBody<'_>) -> Result<(), LoadError> {
        self.functions += 1;
        bounded("functions", self.functions, MOST_FUNCTIONS)?;
        bounded("bytes in one function", body.range().len(), LONGEST_FUNCTION)?;
        let mut locals = 0_usize;
        for group in body.get_locals_reader().map_err(damaged)? {
            let (count, _) = group.map_err(damaged)?;
            locals = locals.saturating_add(size(count));
        }
        bounded("local variables in one function", locals, MOST_LOCALS)?;
        // Whether each open block is a loop.
        let (mut blocks, mut loops, mut deepest) = (Vec::new(), 0_usize, 0_usize);
        for operator in body.get_operators_reader().map_err(damaged)? {
            match operator.map_err(damaged)? {
                Operator::BrTable { targets } => self.jumps = self.jumps.saturating_add(size(targets.len())),
                Operator::Loop { .. } => {
                    blocks.push(true);
                    loops += 1;
                    deepest = deepest.max(loops);
                }
                Operator::Block { .. } | Operator::If { .. } | Operator::TryTable { .. } => blocks.push(false),
                // The last one ends the function.
                Operator::End => loops -= usize::from(blocks.pop() == Some(true)),
                _ => {}
            }
        }
        self.in_loops = self.in_loops.max(locals.saturating_mul(deepest));
        bounded("local variables in loops in each other", self.in_loops, MOST_IN_LOOPS)?;
        bounded("targets of jump tables", self.jumps, MOST_JUMPS)
    }

    fn segments(&mut self, more: u32) -> Result<(), LoadError> {
        self.segments = self.segments.saturating_add(size(more));
        bounded("segments and their elements", self.segments, MOST_SEGMENTS)
    }

    fn types(&mut self, more: u32) -> Result<(), LoadError> {
        self.types = self.types.saturating_add(size(more));
        bounded("types", self.types, MOST_TYPES)
    }
}

/// The number of elements of a segment.
fn elements(items: &ElementItems<'_>) -> u32 {
    match items {
        ElementItems::Functions(items) => items.count(),
        ElementItems::Expressions(_, items) => items.count(),
    }
}

fn size(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn bounded(what: &'static str, count: usize, limit: usize) -> Result<(), LoadError> {
    if count <= limit { Ok(()) } else { Err(LoadError::TooComplex { what: what.into(), count, limit }) }
}

/// Whether an export is the expected one. Versions with one major number match: wasmtime compares the types.
fn serves(export: &str) -> bool {
    let major = |name: &str| name.split_once('@').and_then(|(_, version)| version.split('.').next().map(str::to_owned));
    export.split('@').next() == wire::MAPPING.split('@').next() && major(export) == major(wire::MAPPING)
}

fn refuse_wasi(import: &str) -> Result<(), LoadError> {
    if import.starts_with("wasi") { Err(LoadError::Wasi { import: short(import) }) } else { Ok(()) }
}

fn damaged(error: wasmparser::Error) -> LoadError {
    LoadError::Damaged(short(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_one_major_number_find_each_other() {
        assert!(serves("catalog:mapper/mapping@1.0.0"));
        assert!(serves("catalog:mapper/mapping@1.3.2"));
        for other in ["catalog:mapper/mapping@2.0.0", "catalog:mapper/mapping", "catalog:mapper/mapping2@1.0.0", ""] {
            assert!(!serves(other), "{other}");
        }
    }

    #[test]
    fn what_is_no_webassembly_is_told_apart() {
        assert_eq!(format(b"#!/bin/sh\n"), Err(LoadError::NotWasm));
        assert_eq!(format(b"\0asm\x01\0\0\0"), Err(LoadError::NotMadeWithSdk), "an empty core module is valid");
        assert!(matches!(format(b"\0asm\x01\0\0\0\x01"), Err(LoadError::Damaged(_))));
        assert_eq!(format(b"\0asm\x0d\0\x01\0"), Ok(Format::Component));
        assert_eq!(component(b"\0asm\x0d\0\x01\0"), Err(LoadError::NotAMapper { exports: String::new() }));
    }

    /// A section, or a text or list with its length before it.
    fn sized(id: Option<u8>, content: &[u8]) -> Vec<u8> {
        let mut bytes: Vec<u8> = id.into_iter().collect();
        bytes.extend(number(content.len()));
        bytes.extend(content);
        bytes
    }

    /// A number of variable length (LEB128).
    fn number(mut value: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            let low = u8::try_from(value & 0x7f).expect("seven bits");
            value >>= 7;
            bytes.push(if value == 0 { low } else { low | 0x80 });
            if value == 0 {
                return bytes;
            }
        }
    }

    /// A core module; its only type is a function that takes and gives nothing.
    fn core_module(sections: &[Vec<u8>]) -> Vec<u8> {
        [b"\0asm\x01\0\0\0".as_slice(), &sized(Some(1), &[1, 0x60, 0, 0]), &sections.concat()].concat()
    }

    #[test]
    fn what_a_file_says_is_shown_in_short_and_without_control_characters() {
        let import = format!("wasi\0\u{1b}[31m\u{9b}{}", "x".repeat(50_000));
        let imports = [&[1][..], &sized(None, import.as_bytes()), &sized(None, b"f"), &[0, 0]].concat();
        let error = format(&core_module(&[sized(Some(2), &imports)])).expect_err("refused");
        assert!(matches!(error, LoadError::Wasi { .. }), "{error:?}");
        let export = sized(None, import.as_bytes());
        let twice = [&[2][..], &export, &[0, 0], &export, &[0, 0]].concat();
        let function = [sized(Some(3), &[1, 0]), sized(Some(7), &twice), sized(Some(10), &[1, 2, 0, 0x0b])];
        let damaged = format(&core_module(&function)).expect_err("refused");
        assert!(matches!(&damaged, LoadError::Damaged(text) if text.contains("duplicate")), "{damaged:?}");
        for text in [error.to_string(), damaged.to_string()] {
            assert!(!text.contains(char::is_control) && text.chars().count() < 700, "{text}");
        }
    }

    /// What is said of a module of `count` functions with this body.
    fn weighed(count: usize, body: &[u8]) -> Result<(), LoadError> {
        let functions = [number(count), vec![0; count]].concat();
        let code = [number(count), sized(None, body).repeat(count)].concat();
        let module = core_module(&[sized(Some(3), &functions), sized(Some(10), &code)]);
        Validator::new().validate_all(&module).expect("valid, or this test says nothing");
        match component(&module) {
            Err(LoadError::NotAMapper { .. }) => Ok(()),
            other => other,
        }
    }

    #[test]
    fn what_would_occupy_the_compiler_is_refused() {
        /// No locals, nothing done.
        const IDLE: &[u8] = &[0, 0x0b];
        let too_complex =
            |what: &'static str, count, limit| Err(LoadError::TooComplex { what: what.into(), count, limit });

        assert_eq!(weighed(MOST_FUNCTIONS, IDLE), Ok(()));
        let more = MOST_FUNCTIONS + 1;
        assert_eq!(weighed(more, IDLE), too_complex("functions", more, MOST_FUNCTIONS));

        let long = |bytes: usize| [&[0][..], &vec![0x01; bytes - 2], &[0x0b]].concat();
        assert_eq!(weighed(1, &long(LONGEST_FUNCTION)), Ok(()));
        let more = LONGEST_FUNCTION + 1;
        assert_eq!(weighed(1, &long(more)), too_complex("bytes in one function", more, LONGEST_FUNCTION));

        let locals = |count: usize| [&[1][..], &number(count), &[0x7f, 0x0b]].concat();
        assert_eq!(weighed(1, &locals(MOST_LOCALS)), Ok(()));
        let more = MOST_LOCALS + 1;
        assert_eq!(weighed(1, &locals(more)), too_complex("local variables in one function", more, MOST_LOCALS));

        // i32.const 0; br_table 0 0 …, default 0; end
        let jumps = |count: usize| [&[0, 0x41, 0, 0x0e][..], &number(count), &vec![0; count + 1], &[0x0b]].concat();
        assert_eq!(weighed(2, &jumps(MOST_JUMPS / 2)), Ok(()));
        let more = MOST_JUMPS + 2;
        assert_eq!(weighed(2, &jumps(more / 2)), too_complex("targets of jump tables", more, MOST_JUMPS));
        // As many loops in each other, with as many locals, as the bound allows; and one loop more.
        let loops = |deep: usize, count: usize| {
            let open = [0x03, 0x40].repeat(deep);
            [&[1][..], &number(count), &[0x7f], &open, &vec![0x0b; deep + 1]].concat()
        };
        assert_eq!(weighed(1, &loops(100, MOST_IN_LOOPS / 100)), Ok(()));
        let more = MOST_IN_LOOPS + MOST_IN_LOOPS / 100;
        let what = "local variables in loops in each other";
        assert_eq!(weighed(1, &loops(101, MOST_IN_LOOPS / 100)), too_complex(what, more, MOST_IN_LOOPS));

        let typed = |count: usize| {
            let types = [number(count), [0x60, 0, 0].repeat(count)].concat();
            [b"\0asm\x01\0\0\0".as_slice(), &sized(Some(1), &types)].concat()
        };
        assert_eq!(component(&typed(MOST_TYPES + 1)), too_complex("types", MOST_TYPES + 1, MOST_TYPES));
        let data = |count: usize| {
            let segments = [number(count), [1, 1, b'x'].repeat(count)].concat();
            [b"\0asm\x01\0\0\0".as_slice(), &sized(Some(11), &segments)].concat()
        };
        let more = MOST_SEGMENTS + 1;
        assert_eq!(component(&data(more)), too_complex("segments and their elements", more, MOST_SEGMENTS));
        let text = LoadError::TooComplex { what: "functions".into(), count: 2, limit: 1 }.to_string();
        assert!(text.contains("2 functions, 1 are allowed"), "{text}");
    }

    #[test]
    fn the_modules_that_come_with_the_service_are_far_from_the_bounds() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../mappers/modules");
        for name in ["builtin.wasm", "seasonal-label.wasm"] {
            let bytes = std::fs::read(folder.join(name)).expect("a module");
            let mut code = Code::default();
            let (mut longest, mut locals) = (0, 0);
            for payload in Parser::new(0).parse_all(&bytes) {
                let payload = payload.expect("valid");
                match &payload {
                    Payload::DataSection(section) => code.segments(section.count()).expect("within bounds"),
                    Payload::ElementSection(section) => {
                        for element in section.clone() {
                            let items = elements(&element.expect("valid").items);
                            code.segments(items + 1).expect("within bounds");
                        }
                    }
                    Payload::TypeSection(section) => code.types(section.count()).expect("within bounds"),
                    _ => {}
                }
                if let Payload::CodeSectionEntry(body) = payload {
                    code.add(&body).expect("within bounds");
                    longest = longest.max(body.range().len());
                    let groups = body.get_locals_reader().expect("valid").into_iter();
                    locals = locals.max(groups.map(|group| group.expect("valid").0).sum::<u32>());
                }
            }
            assert!(code.functions > 100, "{name}: the modules inside are seen");
            let locals = usize::try_from(locals).expect("a count");
            let found = [code.functions, longest, locals, code.jumps, code.in_loops, code.segments, code.types];
            let allowed =
                [MOST_FUNCTIONS, LONGEST_FUNCTION, MOST_LOCALS, MOST_JUMPS, MOST_IN_LOOPS, MOST_SEGMENTS, MOST_TYPES];
            assert!(found.iter().zip(allowed).all(|(found, allowed)| found * 5 < allowed), "{name}: {found:?}");
        }
    }
}
