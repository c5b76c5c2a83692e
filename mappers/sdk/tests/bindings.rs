//! src/bindings.rs is what `wit-bindgen` makes of `mappers/wit/`. It is checked in, so that building a mapper needs
//! neither the generator nor the world. After a change of either: `UPDATE_BINDINGS=1 cargo test -p meta-catalog-mapper`.

use std::path::Path;

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator};
use wit_bindgen_rust::Opts;

#[test]
fn bindings_are_those_of_the_world() {
    let crate_root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(crate_root.join("../wit")).expect("the world is well-formed");
    let world = resolve.select_world(&[package], Some("mapper")).expect("the package has the world");
    let with_default = ["context", "settings", "product", "product-variant", "inventory", "option-value"];
    let opts = Opts {
        format: true,
        generate_all: true,
        pub_export_macro: true,
        default_bindings_module: Some("meta_catalog_mapper::bindings".into()),
        runtime_path: Some("::meta_catalog_mapper::wit_bindgen::rt".into()),
        additional_derive_attributes: vec!["PartialEq".into()],
        additional_type_attributes: with_default
            .map(|name| (format!("catalog:mapper/types@1.0.0/{name}"), "#[derive(Default)]".into()))
            .into(),
        ..Opts::default()
    };
    let mut files = Files::default();
    opts.build().generate(&mut resolve, world, &mut files).expect("the world has bindings");
    let (_, generated) = files.iter().next().expect("one file");

    let path = crate_root.join("src/bindings.rs");
    if std::env::var_os("UPDATE_BINDINGS").is_some() {
        std::fs::write(&path, generated).expect("src/ can be written");
    }
    let checked_in = std::fs::read(&path).expect("src/bindings.rs is there");
    assert!(checked_in == generated, "src/bindings.rs is out of date; run the tests with UPDATE_BINDINGS=1");
}
