//! A variant to map, seen together with its product.

use crate::batch::BatchItem;
use crate::{Builtin, Outcome, Product, Rejection, Variant};

/// A variant to map, with its product.
///
/// ```
/// use meta_catalog_mapper::{Item, Product, Variant};
///
/// let product = Product { title: Some("Linen Shirt".into()), ..Product::default() };
/// let variant = Variant { id: "v-1".into(), price: Some(29_900), ..Variant::default() };
/// let item = Item::new(&product, &variant);
/// assert_eq!(item.product.title.as_deref(), Some("Linen Shirt"));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The product that the variant belongs to.
    pub product: &'a Product,
    /// The variant.
    pub variant: &'a Variant,
    answer: Answer<'a>,
}

/// Where the built-in mapper's word comes from.
#[derive(Clone, Copy, Debug)]
enum Answer<'a> {
    /// Nowhere: a test that gave none.
    Missing,
    /// A test.
    Given(&'a Outcome),
    /// The service, for the item at this index of the batch.
    #[cfg_attr(not(target_arch = "wasm32"), allow(dead_code, reason = "only asked inside the service"))]
    Host(u32),
}

impl<'a> Item<'a> {
    /// An item for a test. Its [`builtin`](Self::builtin) panics; see [`with_builtin`](Self::with_builtin).
    #[must_use]
    pub fn new(product: &'a Product, variant: &'a Variant) -> Self {
        Self { product, variant, answer: Answer::Missing }
    }

    /// The same item, for which the built-in mapper says `outcome`. For tests of mappers that ask.
    ///
    /// ```
    /// use meta_catalog_mapper::{Item, Payload, Product, Variant};
    ///
    /// let (product, variant) = (Product::default(), Variant::default());
    /// let says = Payload::new("v-1").text("price", "299.00 INR").into();
    /// let item = Item::new(&product, &variant).with_builtin(&says);
    /// let builtin = item.builtin().expect("the item is mapped");
    /// assert_eq!(builtin.text("price").as_deref(), Some("299.00 INR"));
    /// ```
    #[must_use]
    pub fn with_builtin(self, outcome: &'a Outcome) -> Self {
        Self { answer: Answer::Given(outcome), ..self }
    }

    /// An item of a batch.
    pub(crate) fn of_batch(products: &'a [Product], item: &'a BatchItem, index: u32) -> Self {
        let product = &products[item.product_index as usize];
        Self { product, variant: &item.variant, answer: Answer::Host(index) }
    }

    /// What the built-in mapper says of this item. A [`patch()`](crate::patch()) needs no such call: ask only for a
    /// rule that must read the result.
    ///
    /// # Errors
    /// When the built-in mapper rejects the item; a patch of it would be rejected likewise.
    ///
    /// # Panics
    /// Outside the service, when the test gave no answer.
    pub fn builtin(&self) -> Result<Builtin, Rejection> {
        match self.answer {
            Answer::Missing => panic!("no built-in result: give the test's item one by `Item::with_builtin`"),
            Answer::Given(outcome) => Builtin::of(outcome.clone()),
            Answer::Host(index) => Builtin::of(ask(index)),
        }
    }
}

#[cfg(target_arch = "wasm32")]
fn ask(index: u32) -> Outcome {
    crate::bindings::catalog::mapper::host::builtin(index)
}

#[cfg(not(target_arch = "wasm32"))]
fn ask(index: u32) -> Outcome {
    panic!("item {index} of the batch is asked for, but only the service knows its built-in result")
}
