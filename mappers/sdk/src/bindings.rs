//! What `wit-bindgen` makes of `mappers/wit/`. Guests use the names that the crate's root gives.

wit_bindgen::generate!({
    path: "../wit",
    world: "mapper",
    generate_all,
    pub_export_macro: true,
    default_bindings_module: "meta_catalog_mapper::bindings",
    runtime_path: "::meta_catalog_mapper::wit_bindgen::rt",
    additional_derives: [PartialEq],
    additional_type_attributes: {
        "catalog:mapper/types@1.0.0/context": [#[derive(Default)]],
        "catalog:mapper/types@1.0.0/settings": [#[derive(Default)]],
        "catalog:mapper/types@1.0.0/product": [#[derive(Default)]],
        "catalog:mapper/types@1.0.0/product-variant": [#[derive(Default)]],
        "catalog:mapper/types@1.0.0/inventory": [#[derive(Default)]],
        "catalog:mapper/types@1.0.0/option-value": [#[derive(Default)]],
    },
});
