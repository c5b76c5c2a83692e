//! Files that are hostile to a loader of mapper modules: small, valid or nearly so, and expensive to read or compile.
//! Each kind has a random size within what a module may have.

use fastrand::Rng;
use wasm_encoder::{
    BlockType, CodeSection, Component, ComponentExportKind, ComponentExportSection, ComponentInstanceSection,
    ConstExpr, CustomSection, DataSection, ElementSection, Elements, Encode as _, Function, FunctionSection,
    InstructionSink, MemorySection, MemoryType, Module, ModuleSection, RefType, TypeSection, ValType,
};

/// The largest file, in bytes.
const LARGEST: usize = 4 << 20;

/// What makes a file expensive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hostile {
    /// Component types in component types, deeper than a stack.
    NestedTypes,
    /// The same in the description of a core module's world.
    NestedWorld,
    /// Loops in loops around many local variables.
    Loops,
    /// Many functions of that kind, each within the bounds of a function.
    Heavy,
    /// Very many references to a function in one segment.
    References,
    /// Very many data segments.
    Segments,
    /// Very many types.
    Types,
    /// Very many functions.
    Functions,
    /// Random bytes after a valid head.
    Noise,
}

impl Hostile {
    /// Every kind.
    pub const ALL: [Self; 9] = [
        Self::NestedTypes,
        Self::NestedWorld,
        Self::Loops,
        Self::Heavy,
        Self::References,
        Self::Segments,
        Self::Types,
        Self::Functions,
        Self::Noise,
    ];

    /// Returns a file of this kind.
    pub fn file(self, random: &mut Rng) -> Vec<u8> {
        let file = match self {
            Self::NestedTypes => nested_types(random.usize(4_300..200_000)),
            Self::NestedWorld => described(&nested_types(random.usize(4_300..200_000))),
            Self::Loops => mapper(&looping(1, random.u32(300..1_500), random.u32(300..1_500))),
            Self::Heavy => mapper(&looping(random.usize(100..400), 90, 540)),
            Self::References => mapper(&referring(random.usize(300_000..1_500_000))),
            Self::Segments => mapper(&segmented(random.usize(30_000..90_000))),
            Self::Types => mapper(&typed(random.usize(30_000..100_000))),
            Self::Functions => mapper(&functions(random.usize(20_000..400_000))),
            Self::Noise => noise(random),
        };
        assert!(file.len() <= LARGEST, "{self:?}: {} bytes", file.len());
        file
    }
}

/// A component that exports the world of mappers, with a core module inside that is compiled before anything else fails.
fn mapper(module: &Module) -> Vec<u8> {
    let mut component = Component::new();
    component.section(&ModuleSection(module));
    let mut instances = ComponentInstanceSection::new();
    instances.export_items(std::iter::empty::<(&str, ComponentExportKind, u32)>());
    component.section(&instances);
    let mut exports = ComponentExportSection::new();
    exports.export("catalog:mapper/mapping@1.0.0", ComponentExportKind::Instance, 0, None);
    component.section(&exports);
    component.finish()
}

/// A component whose only type is a component type in a component type and so on.
fn nested_types(deep: usize) -> Vec<u8> {
    /// A component type with one declaration: a type, which follows.
    const ONE: [u8; 3] = [0x41, 0x01, 0x01];
    let mut section = vec![1];
    for _ in 0..deep {
        section.extend(ONE);
    }
    // The innermost type is `string`.
    section.push(0x73);
    let mut file = b"\0asm\x0d\0\x01\0\x07".to_vec();
    section.len().encode(&mut file);
    file.extend(section);
    file
}

/// A core module that describes its world by this component.
fn described(world: &[u8]) -> Vec<u8> {
    let mut module = Module::new();
    module.section(&CustomSection { name: "component-type:x".into(), data: world.into() });
    module.finish()
}

/// A module of functions that take and give nothing.
fn with_code(bodies: impl Iterator<Item = Function>) -> Module {
    let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([], []);
    for body in bodies {
        functions.function(0);
        code.function(&body);
    }
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&code);
    module
}

fn looping(functions: usize, deep: u32, locals: u32) -> Module {
    let mut body = Function::new([(locals, ValType::I32)]);
    let code: &mut InstructionSink<'_> = &mut body.instructions();
    for _ in 0..deep {
        code.loop_(BlockType::Empty);
    }
    // Each variable changes in the innermost loop, so the head of each loop has a value for each of them.
    for local in 0..locals {
        code.local_get(local).i32_const(1).i32_add().local_set(local);
    }
    for level in 0..deep {
        code.local_get(level % locals).br_if(0).end();
    }
    code.end();
    with_code(std::iter::repeat_n(body, functions))
}

fn empty() -> Function {
    let mut body = Function::new([]);
    body.instructions().end();
    body
}

fn functions(count: usize) -> Module {
    with_code(std::iter::repeat_with(empty).take(count))
}

fn referring(count: usize) -> Module {
    let (mut types, mut functions, mut code) = (TypeSection::new(), FunctionSection::new(), CodeSection::new());
    types.ty().function([], []);
    functions.function(0);
    code.function(&empty());
    let mut elements = ElementSection::new();
    let references: Vec<ConstExpr> = (0..count).map(|_| ConstExpr::ref_func(0)).collect();
    // An expression takes three bytes.
    let most = references.len().min((LARGEST - 1_000) / 3);
    elements.passive(Elements::Expressions(RefType::FUNCREF, references[..most].into()));
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&elements).section(&code);
    module
}

fn segmented(count: usize) -> Module {
    let mut memories = MemorySection::new();
    memories.memory(MemoryType { minimum: 1, maximum: None, memory64: false, shared: false, page_size_log2: None });
    let mut data = DataSection::new();
    for n in 0..count {
        data.active(0, &ConstExpr::i32_const(i32::try_from(n % 60_000).expect("small")), [1]);
    }
    let mut module = Module::new();
    module.section(&memories).section(&data);
    module
}

fn typed(count: usize) -> Module {
    let mut types = TypeSection::new();
    for n in 0..count {
        let kinds = [ValType::I32, ValType::I64, ValType::F32, ValType::F64];
        let parameters = (0..10).map(|place| kinds[(n >> (2 * place)) & 3]);
        types.ty().function(parameters, []);
    }
    let mut module = Module::new();
    module.section(&types);
    module
}

fn noise(random: &mut Rng) -> Vec<u8> {
    let head = if random.bool() { b"\0asm\x0d\0\x01\0" } else { b"\0asm\x01\0\0\0" };
    let mut file = head.to_vec();
    for _ in 0..random.usize(1..20_000) {
        file.push(random.u8(..));
    }
    file
}
