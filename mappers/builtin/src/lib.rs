//! The built-in field mapping as a module.
//!
//! Purpose: the same code as the service's own, and so the same bytes, which the tests compare; the measure of what a
//! full mapping costs as a module; and the place to start from for a shop that needs another mapping altogether.
//! Promises: payload, warnings, rejection and `reevaluate-at` are those of `mapper_core::map`.
//! Left out on purpose: anything of its own.

use mapper_core::{Inventory, MapSettings, OptionValue, Product, Variant};
use meta_catalog_mapper::batch::BatchItem;
use meta_catalog_mapper::{self as sdk, Context, Outcome, mapper};

mapper!(batch: map_batch);

/// Maps a batch. The texts move from the one struct to the other, so nothing is copied.
#[must_use]
pub fn map_batch(context: Context, products: Vec<sdk::Product>, items: Vec<BatchItem>) -> Vec<Outcome> {
    let settings = settings(context.settings).with_extra_json(context.extra_json.as_deref());
    let products: Vec<Product> = products.into_iter().map(product).collect();
    let map = |item: BatchItem| {
        let variant = variant(item.variant);
        let outcome = mapper_core::map(&settings, context.now, &products[item.product_index as usize], &variant);
        answer(variant.id, outcome)
    };
    items.into_iter().map(map).collect()
}

fn answer(id: String, outcome: mapper_core::Outcome) -> Outcome {
    match outcome {
        mapper_core::Outcome::Mapped(mapped) => Outcome::Mapped(sdk::MappedItem {
            id,
            data: mapped.data,
            warnings: mapped.warnings.into_iter().map(warning).collect(),
            reevaluate_at: mapped.reevaluate_at,
        }),
        mapper_core::Outcome::Rejected(reason) => sdk::reject(reason.as_str(), "").into(),
    }
}

fn warning(warning: mapper_core::Warning) -> sdk::Warning {
    sdk::Warning { code: warning.code, field: warning.field, message: warning.message }
}

fn settings(settings: sdk::Settings) -> MapSettings {
    MapSettings {
        currency: settings.currency,
        storefront_base_url: settings.storefront_base_url,
        storefront_product_path: settings.storefront_product_path,
        default_condition: settings.default_condition,
        identifier_exists_fallback: settings.identifier_exists_fallback,
        business_name: settings.business_name,
        title_max_length: settings.title_max_length,
        description_max_length: settings.description_max_length,
        s3_public_url: settings.s3_public_url,
        ..MapSettings::default()
    }
}

fn product(product: sdk::Product) -> Product {
    Product {
        id: product.id,
        title: product.title,
        subtitle: product.subtitle,
        description: product.description,
        slug: product.slug,
        status: product.status,
        visibility: product.visibility,
        thumbnail: product.thumbnail,
        images: product.images,
        deleted_at: product.deleted_at,
        vendor_name: product.vendor_name,
        brand_title: product.brand_title,
        categories: product.categories,
        extra_json: product.extra_json,
    }
}

fn variant(variant: sdk::Variant) -> Variant {
    Variant {
        id: variant.id,
        sku: variant.sku,
        ean: variant.ean,
        upc: variant.upc,
        barcode: variant.barcode,
        price: variant.price,
        special_price: variant.special_price,
        special_price_start: variant.special_price_start,
        special_price_end: variant.special_price_end,
        thumbnail: variant.thumbnail,
        images: variant.images,
        deleted_at: variant.deleted_at,
        inventory: variant.inventory.map(inventory),
        options: variant
            .options
            .into_iter()
            .map(|option| OptionValue { name: option.name, value: option.value })
            .collect(),
        extra_json: variant.extra_json,
    }
}

fn inventory(inventory: sdk::Inventory) -> Inventory {
    Inventory {
        track_inventory: inventory.track_inventory,
        quantity_on_hand: inventory.quantity_on_hand,
        reserved_quantity: inventory.reserved_quantity,
        allow_backorder: inventory.allow_backorder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_those_of_the_native_mapper() {
        let product = sdk::Product {
            id: "p-1".into(),
            title: Some("Linen Shirt".into()),
            slug: Some("linen-shirt".into()),
            status: Some("active".into()),
            visibility: Some("public".into()),
            ..sdk::Product::default()
        };
        let sold = sdk::Variant {
            id: "v-1".into(),
            price: Some(29_900),
            special_price: Some(19_900),
            special_price_end: Some(2_000_000),
            ..sdk::Variant::default()
        };
        let free = sdk::Variant { id: "v-2".into(), ..sdk::Variant::default() };
        let items = [sold, free].map(|variant| BatchItem { product_index: 0, variant });
        let context = Context { now: 1_000_000, ..Context::default() };

        let outcomes = map_batch(context, vec![product], items.into());

        let [Outcome::Mapped(mapped), Outcome::Rejected(rejection)] = &outcomes[..] else {
            panic!("one mapped, one rejected: {outcomes:?}")
        };
        assert_eq!(mapped.id, "v-1");
        assert!(mapped.data.contains(r#""sale_price":"199.00""#), "{}", mapped.data);
        assert_eq!(mapped.reevaluate_at, Some(2_000_000));
        assert!(mapped.warnings.iter().any(|warning| warning.code == "unknown_currency"), "{:?}", mapped.warnings);
        assert_eq!(rejection.code, "missing_price");
    }
}
