//! The size of a component when it is compiled.
//!
//! Compilers flatten: an inner component that is instantiated a thousand times, by one that is instantiated a thousand
//! times, results in a million instances from a file of one kilobyte. A type is expanded wherever it is used, so a pair
//! of pairs of pairs … doubles with each line. The engine compares its own limits with the result only after it has
//! built it. This module therefore performs the compiler's steps, but only counts, and stops at a limit.
//!
//! Promises: all work is counted, and counting takes time and memory in proportion to the file and the limits.
//! Left out on purpose: components that are passed as values, because their size depends on the receiver. No tool
//! builds a mapper this way; they are refused.

use std::collections::HashMap;

use wasmparser::component_types::{
    ComponentAnyTypeId, ComponentDefinedType, ComponentDefinedTypeId, ComponentEntityType, ComponentFuncTypeId,
    ComponentInstanceTypeId, ComponentItem, ComponentTypeId, ComponentValType,
};
use wasmparser::types::{Types, TypesRef};
use wasmparser::{
    CanonicalFunction, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Instance, Parser, Payload, ValidPayload, Validator,
};

use super::{bounded, damaged};
use crate::host::MOST_INSTANCES;
use crate::load::LoadError;

// In brackets what QuickJS has.

/// Definitions that are processed, and the types that they expand to (35,614).
const MOST_WORK: usize = 1_000_000;
/// Functions between the module and the host, or between components inside (92). Each is compiled.
const MOST_CROSSINGS: usize = 2_000;

/// Nesting depth of components (2). Counting recurses to this depth, on the loader's stack.
const DEEPEST: usize = 20;

const WORK: &str = "definitions when everything in it is instantiated and every type is written out";

/// Refuses a component that exceeds a limit. The bytes are valid.
pub(super) fn check(bytes: &[u8]) -> Result<(), LoadError> {
    count(bytes).map(drop)
}

fn count(bytes: &[u8]) -> Result<Counts, LoadError> {
    let file = File::read(bytes)?;
    let mut counts = Counts::default();
    counts.instantiate(&file, &file.parts[0], 0)?;
    Ok(counts)
}

/// A component and those inside.
#[derive(Debug, Default)]
struct File {
    /// The first is the outermost.
    parts: Vec<Part>,
    /// The imports of the core module that has most: each instance of it lists them.
    widest: usize,
    /// Resource types: their data is copied for each component that is instantiated.
    resources: usize,
}

/// A component as written in the file.
#[derive(Debug, Default)]
struct Part {
    /// Its own definitions, and the sizes of their types.
    work: usize,
    /// Core modules that it instantiates.
    modules: usize,
    /// Functions that it lifts and lowers, and that the engine makes for it.
    crossings: usize,
    /// The functions that it lowers, by index: the type of each is written out once more.
    lowered: Vec<u32>,
    /// The components inside that it can instantiate, by index.
    inside: Vec<usize>,
    /// Its instances, by index.
    instances: Vec<Made>,
    /// Those among its exports that are instances.
    exports: Vec<u32>,
    /// How many exports it has.
    width: usize,
}

/// The origin of an instance of components. Instances are copied with all their contents.
#[derive(Debug)]
enum Made {
    /// The component that instantiates this one passes it in.
    Imported,
    /// It is in that instance, or is that instance.
    Within(u32),
    /// This number of items, including these instances.
    Bundled(usize, Vec<u32>),
    /// An inner component, which receives this number of items, including these instances.
    Of(usize, usize, Vec<u32>),
}

impl File {
    fn read(bytes: &[u8]) -> Result<Self, LoadError> {
        let mut file = Self { parts: vec![Part::default()], ..Self::default() };
        let mut validator = Validator::new();
        let mut types = Sizes::default();
        // The components that are being read, from outside inwards; `None` is a core module.
        let mut open = vec![Some(0)];
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload.map_err(damaged)?;
            let valid = validator.payload(&payload).map_err(damaged)?;
            if let Payload::ImportSection(imports) = &payload {
                // Bytes apart, each import of a core module counts, whether grouped or not.
                file.widest = file.widest.max(imports.clone().into_imports().count());
            }
            let Some(part) = open.last().copied().flatten() else {
                if let ValidPayload::End(_) = valid {
                    open.pop();
                }
                continue;
            };
            match &payload {
                Payload::ModuleSection { .. } => open.push(None),
                Payload::ComponentSection { .. } => {
                    let new = file.parts.len();
                    file.parts.push(Part::default());
                    file.parts[part].inside.push(new);
                    open.push(Some(new));
                    bounded("components within one another", open.len(), DEEPEST)?;
                }
                _ => file.parts[part].take(&payload)?,
            }
            if let ValidPayload::End(known) = valid {
                let part = &mut file.parts[part];
                part.work = part.work.saturating_add(types.own(&known, &part.lowered));
                file.resources = file.resources.saturating_add(Sizes::resources(&known));
                open.pop();
            }
        }
        Ok(file)
    }
}

impl Part {
    /// Reads a section.
    fn take(&mut self, payload: &Payload<'_>) -> Result<(), LoadError> {
        match payload {
            Payload::InstanceSection(section) => {
                for instance in section.clone() {
                    match instance.map_err(damaged)? {
                        Instance::Instantiate { args, .. } => {
                            self.modules += 1;
                            self.work += 1 + args.len();
                        }
                        Instance::FromExports(exports) => self.work += 1 + exports.len(),
                    }
                }
            }
            Payload::ComponentInstanceSection(section) => {
                for instance in section.clone() {
                    let made = match instance.map_err(damaged)? {
                        ComponentInstance::Instantiate { component_index, args } => {
                            let component = self.inside.get(index(component_index)).copied().ok_or_else(handed)?;
                            let given = instances(args.iter().map(|arg| (arg.kind, arg.index)))?;
                            Made::Of(component, args.len(), given)
                        }
                        ComponentInstance::FromExports(exports) => {
                            let items = instances(exports.iter().map(|export| (export.kind, export.index)))?;
                            Made::Bundled(exports.len(), items)
                        }
                    };
                    self.instances.push(made);
                }
            }
            Payload::ComponentAliasSection(section) => {
                for alias in section.clone() {
                    self.work += 1;
                    match alias.map_err(damaged)? {
                        ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. }
                        | ComponentAlias::Outer { kind: ComponentOuterAliasKind::Component, .. } => {
                            return Err(handed());
                        }
                        ComponentAlias::InstanceExport {
                            kind: ComponentExternalKind::Instance,
                            instance_index,
                            ..
                        } => self.instances.push(Made::Within(instance_index)),
                        _ => {}
                    }
                }
            }
            Payload::ComponentImportSection(section) => {
                for import in section.clone() {
                    self.work += 1;
                    match import.map_err(damaged)?.ty {
                        ComponentTypeRef::Component(_) => return Err(handed()),
                        ComponentTypeRef::Instance(_) => self.instances.push(Made::Imported),
                        _ => {}
                    }
                }
            }
            Payload::ComponentExportSection(section) => {
                for export in section.clone() {
                    let export = export.map_err(damaged)?;
                    self.work += 1;
                    self.width += 1;
                    match export.kind {
                        ComponentExternalKind::Component => return Err(handed()),
                        ComponentExternalKind::Instance => {
                            self.exports.push(export.index);
                            self.instances.push(Made::Within(export.index));
                        }
                        _ => {}
                    }
                }
            }
            Payload::ComponentCanonicalSection(section) => {
                for function in section.clone() {
                    self.work += 1;
                    self.crossings += 1;
                    if let CanonicalFunction::Lower { func_index, .. } = function.map_err(damaged)? {
                        self.lowered.push(func_index);
                    }
                }
            }
            // A function that runs at the start of a component is not part of the world.
            _ => {}
        }
        Ok(())
    }
}

/// The counts so far, of everything that is instantiated.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    work: usize,
    modules: usize,
    crossings: usize,
}

impl Counts {
    /// Instantiates a component and returns the size of its exports. No instance that it receives is larger than
    /// `given`.
    fn instantiate(&mut self, file: &File, part: &Part, given: usize) -> Result<usize, LoadError> {
        self.modules = self.modules.saturating_add(part.modules);
        bounded("instances of core modules", self.modules, index(MOST_INSTANCES))?;
        self.crossings = self.crossings.saturating_add(part.crossings);
        bounded("functions between its components and to the host", self.crossings, MOST_CROSSINGS)?;
        self.work(part.work.saturating_add(part.modules.saturating_mul(file.widest)))?;
        self.work(file.resources.saturating_add(1))?;

        let mut sizes: Vec<usize> = Vec::new();
        let of = |sizes: &[usize], at: &u32| sizes.get(index(*at)).copied().unwrap_or(usize::MAX);
        let sum = |sizes: &[usize], items: &[u32], width: usize| {
            items.iter().fold(width.saturating_add(1), |sum, item| sum.saturating_add(of(sizes, item)))
        };
        for made in &part.instances {
            let size = match made {
                Made::Imported => given.max(1),
                Made::Within(instance) => of(&sizes, instance),
                Made::Bundled(width, items) => sum(&sizes, items, *width),
                Made::Of(component, width, args) => {
                    self.work(sum(&sizes, args, *width))?;
                    let largest = args.iter().map(|arg| of(&sizes, arg)).max().unwrap_or(0);
                    self.instantiate(file, &file.parts[*component], largest)?
                }
            };
            self.work(size)?;
            sizes.push(size);
        }
        let exported = sum(&sizes, &part.exports, part.width);
        self.work(exported)?;
        Ok(exported)
    }

    fn work(&mut self, more: usize) -> Result<(), LoadError> {
        self.work = self.work.saturating_add(more);
        bounded(WORK, self.work, MOST_WORK)
    }
}

/// The size of types when they are expanded.
#[derive(Debug, Default)]
struct Sizes {
    defined: HashMap<ComponentDefinedTypeId, usize>,
    functions: HashMap<ComponentFuncTypeId, usize>,
    instances: HashMap<ComponentInstanceTypeId, usize>,
    components: HashMap<ComponentTypeId, usize>,
}

impl Sizes {
    /// Of all that a component defines, imports, aliases and exports, and of the functions that it lowers.
    fn own(&mut self, known: &Types, lowered: &[u32]) -> usize {
        let types = known.as_ref();
        let mut sum = 0_usize;
        let mut add = |size: usize| sum = sum.saturating_add(size);
        (0..types.component_type_count()).for_each(|at| add(self.any(types, types.component_any_type_at(at))));
        (0..types.component_function_count()).for_each(|at| add(self.function(types, types.component_function_at(at))));
        lowered.iter().for_each(|at| add(self.function(types, types.component_function_at(*at))));
        (0..types.component_instance_count()).for_each(|at| add(self.instance(types, types.component_instance_at(at))));
        (0..types.module_count()).for_each(|at| add(module(types, types.module_at(at))));
        sum
    }

    /// Resource types that a component knows.
    fn resources(known: &Types) -> usize {
        let types = known.as_ref();
        let is_resource = |at: &u32| matches!(types.component_any_type_at(*at), ComponentAnyTypeId::Resource(_));
        (0..types.component_type_count()).filter(is_resource).count()
    }

    fn any(&mut self, types: TypesRef<'_>, id: ComponentAnyTypeId) -> usize {
        match id {
            ComponentAnyTypeId::Resource(_) => 1,
            ComponentAnyTypeId::Defined(id) => self.defined(types, id),
            ComponentAnyTypeId::Func(id) => self.function(types, id),
            ComponentAnyTypeId::Instance(id) => self.instance(types, id),
            ComponentAnyTypeId::Component(id) => self.component(types, id),
        }
    }

    fn value(&mut self, types: TypesRef<'_>, ty: ComponentValType) -> usize {
        match ty {
            ComponentValType::Primitive(_) => 1,
            ComponentValType::Type(id) => self.defined(types, id),
        }
    }

    fn values(&mut self, types: TypesRef<'_>, of: impl IntoIterator<Item = ComponentValType>) -> usize {
        of.into_iter().fold(1, |sum: usize, ty| sum.saturating_add(1).saturating_add(self.value(types, ty)))
    }

    fn defined(&mut self, types: TypesRef<'_>, id: ComponentDefinedTypeId) -> usize {
        use ComponentDefinedType as Type;

        if let Some(size) = self.defined.get(&id) {
            return *size;
        }
        let size = match &types[id] {
            Type::Primitive(_) | Type::Own(_) | Type::Borrow(_) => 1,
            Type::Flags(names) | Type::Enum(names) => names.len().saturating_add(1),
            Type::Record(record) => self.values(types, record.fields.values().copied()),
            Type::Tuple(tuple) => self.values(types, tuple.types.iter().copied()),
            Type::Variant(variant) => {
                let size = self.values(types, variant.cases.values().filter_map(|case| case.ty));
                size.saturating_add(variant.cases.len())
            }
            Type::List { element, .. } | Type::FixedLengthList { element, .. } => self.values(types, [*element]),
            Type::Map { key, value, .. } => self.values(types, [*key, *value]),
            Type::Option { ty, .. } => self.values(types, [*ty]),
            Type::Result { ok, err, .. } => self.values(types, ok.iter().chain(err).copied()),
            Type::Future { ty, .. } | Type::Stream { ty, .. } => self.values(types, ty.iter().copied()),
        };
        self.defined.insert(id, size);
        size
    }

    fn function(&mut self, types: TypesRef<'_>, id: ComponentFuncTypeId) -> usize {
        if let Some(size) = self.functions.get(&id) {
            return *size;
        }
        let function = &types[id];
        let all = function.params.iter().map(|(_, ty)| ty).chain(&function.result).copied();
        let size = self.values(types, all);
        self.functions.insert(id, size);
        size
    }

    fn instance(&mut self, types: TypesRef<'_>, id: ComponentInstanceTypeId) -> usize {
        if let Some(size) = self.instances.get(&id) {
            return *size;
        }
        let size = self.items(types, types[id].exports.values());
        self.instances.insert(id, size);
        size
    }

    fn component(&mut self, types: TypesRef<'_>, id: ComponentTypeId) -> usize {
        if let Some(size) = self.components.get(&id) {
            return *size;
        }
        let component = &types[id];
        let size = self.items(types, component.imports.values().chain(component.exports.values()));
        self.components.insert(id, size);
        size
    }

    fn items<'a>(&mut self, types: TypesRef<'_>, items: impl Iterator<Item = &'a ComponentItem>) -> usize {
        items.fold(1, |sum: usize, item| {
            sum.saturating_add(match item.ty {
                ComponentEntityType::Module(id) => module(types, id),
                ComponentEntityType::Func(id) => self.function(types, id),
                ComponentEntityType::Value(ty) => self.value(types, ty),
                ComponentEntityType::Type { referenced, .. } => self.any(types, referenced),
                ComponentEntityType::Instance(id) => self.instance(types, id),
                ComponentEntityType::Component(id) => self.component(types, id),
            })
        })
    }
}

fn module(types: TypesRef<'_>, id: wasmparser::component_types::ComponentCoreModuleTypeId) -> usize {
    let module = &types[id];
    module.imports.len().saturating_add(module.exports.len()).saturating_add(1)
}

/// Returns the instances among some items; a component among them is refused.
fn instances(items: impl Iterator<Item = (ComponentExternalKind, u32)>) -> Result<Vec<u32>, LoadError> {
    let mut found = Vec::new();
    for (kind, index) in items {
        match kind {
            ComponentExternalKind::Component => return Err(handed()),
            ComponentExternalKind::Instance => found.push(index),
            _ => {}
        }
    }
    Ok(found)
}

fn handed() -> LoadError {
    LoadError::TooComplex { what: "component handed around as a value".into(), count: 1, limit: 0 }
}

fn index(at: u32) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
