//! Whole payloads.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::patch::warning;
use crate::{MappedItem, Outcome, Warning, json};

/// A whole payload, made from scratch: the `data` object of Meta's record.
///
/// Written as canonical JSON (keys sorted, no blanks), which is what the service hashes.
///
/// ```
/// use meta_catalog_mapper::{Outcome, Payload};
///
/// let outcome: Outcome = Payload::new("v-1").text("title", "Linen Shirt").text("price", "299.00 INR").into();
/// # let Outcome::Mapped(mapped) = outcome else { unreachable!() };
/// # assert_eq!(mapped.data, r#"{"id":"v-1","price":"299.00 INR","title":"Linen Shirt"}"#);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a payload does something only as the answer of the mapper"]
pub struct Payload {
    id: String,
    data: Data,
    warnings: Vec<Warning>,
    reevaluate_at: Option<i64>,
}

#[derive(Clone, Debug)]
enum Data {
    /// Field by field: name and JSON.
    Fields(BTreeMap<String, String>),
    /// The whole object.
    Whole(String),
}

/// A value that is no payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadError(String);

impl fmt::Display for PayloadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PayloadError {}

impl Payload {
    /// A payload for the variant with this id, with no other field yet.
    pub fn new(id: impl Into<String>) -> Self {
        let id = id.into();
        let fields = BTreeMap::from([("id".to_owned(), json::text(&id))]);
        Self::made_of(id, Data::Fields(fields))
    }

    /// A payload from a struct or a map with a text `id`.
    ///
    /// ```
    /// use meta_catalog_mapper::{Outcome, Payload};
    /// use serde::Serialize;
    ///
    /// #[derive(Serialize)]
    /// struct Data<'a> {
    ///     title: &'a str,
    ///     id: &'a str,
    /// }
    ///
    /// let payload = Payload::from_value(&Data { title: "Linen Shirt", id: "v-1" }).expect("it has an id");
    /// # let Outcome::Mapped(mapped) = payload.into() else { unreachable!() };
    /// # assert_eq!(mapped.data, r#"{"id":"v-1","title":"Linen Shirt"}"#);
    /// ```
    ///
    /// # Errors
    /// When the value is no JSON object or has no text `id`.
    pub fn from_value(value: &(impl Serialize + ?Sized)) -> Result<Self, PayloadError> {
        let data = json::canonical(value).map_err(|error| PayloadError(error.to_string()))?;
        let fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&data).map_err(|_| PayloadError("a payload is a JSON object".into()))?;
        let id = fields.get("id").and_then(|id| id.as_str().map(str::to_owned));
        let id = id.ok_or_else(|| PayloadError("a payload has a text `id`".into()))?;
        Ok(Self::made_of(id, Data::Whole(data)))
    }

    /// A payload whose JSON is at hand. `data` is one JSON object with `id` in it; the service rewrites what is not
    /// canonical and refuses what is no object or has another id.
    pub fn from_json(id: impl Into<String>, data: impl Into<String>) -> Self {
        Self::made_of(id.into(), Data::Whole(data.into()))
    }

    fn made_of(id: String, data: Data) -> Self {
        Self { id, data, warnings: Vec::new(), reevaluate_at: None }
    }

    /// Sets a text field.
    ///
    /// # Panics
    /// When the field is `id`, which [`Payload::new`] sets; or when the payload was made as a whole. So with every
    /// field.
    pub fn text(self, name: impl Into<String>, value: impl AsRef<str>) -> Self {
        self.field(name.into(), json::text(value.as_ref()))
    }

    /// Sets a text field, if there is a value.
    pub fn text_if(self, name: impl Into<String>, value: Option<impl AsRef<str>>) -> Self {
        match value {
            Some(value) => self.text(name, value),
            None => self,
        }
    }

    /// Sets a list of texts.
    pub fn list<T: AsRef<str>>(self, name: impl Into<String>, values: impl IntoIterator<Item = T>) -> Self {
        self.field(name.into(), json::list(values))
    }

    /// Sets a field to anything that is JSON.
    ///
    /// # Panics
    /// When the value has no JSON, such as a map whose keys are no texts.
    pub fn value(self, name: impl Into<String>, value: &(impl Serialize + ?Sized)) -> Self {
        self.field(name.into(), json::canonical(value).expect("the value of a field has JSON"))
    }

    /// Warns the operator about a field (`""` for the item as a whole); nothing stops the push. `code` is stable
    /// snake_case, `message` says how to mend it.
    pub fn warn(mut self, code: impl Into<String>, field: impl Into<String>, message: impl Into<String>) -> Self {
        self.warnings.push(warning(code.into(), field.into(), message.into()));
        self
    }

    /// Says when time alone changes this answer, in milliseconds since the Unix epoch; of several the earliest counts.
    /// Needed wherever [`Context::now`](crate::Context::now) decided anything.
    pub fn reevaluate_at(mut self, at: i64) -> Self {
        self.reevaluate_at = Some(self.reevaluate_at.map_or(at, |earlier| earlier.min(at)));
        self
    }

    fn field(mut self, name: String, json: String) -> Self {
        assert!(name != "id", "`id` is set when the payload is made");
        match &mut self.data {
            Data::Fields(fields) => fields.insert(name, json),
            Data::Whole(_) => panic!("the payload was made as a whole, so `{name}` cannot be added"),
        };
        self
    }
}

impl From<Payload> for Outcome {
    fn from(payload: Payload) -> Self {
        let data = match payload.data {
            Data::Fields(fields) => object(&fields),
            Data::Whole(data) => data,
        };
        let (id, warnings, reevaluate_at) = (payload.id, payload.warnings, payload.reevaluate_at);
        Self::Mapped(MappedItem { id, data, warnings, reevaluate_at })
    }
}

/// Fields as one object.
fn object(fields: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(fields.iter().map(|(name, json)| name.len() + json.len() + 4).sum());
    for (name, json) in fields {
        out.push(if out.is_empty() { '{' } else { ',' });
        out.push_str(&json::text(name));
        out.push(':');
        out.push_str(json);
    }
    out.push('}');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn data(payload: Payload) -> String {
        let Outcome::Mapped(mapped) = payload.into() else { panic!("a payload") };
        mapped.data
    }

    #[test]
    fn fields_are_sorted_bytewise_whatever_their_order() {
        let payload = Payload::new("v\"1").list("additional_image_link", ["u"]).text_if("size", None::<&str>);
        let payload = payload.value("Z", &json!({"b": 1, "a": null})).text_if("color", Some("red"));
        let expected = r#"{"Z":{"a":null,"b":1},"additional_image_link":["u"],"color":"red","id":"v\"1"}"#;
        assert_eq!(data(payload), expected);
    }

    #[test]
    fn a_value_must_be_a_payload() {
        assert_eq!(
            data(Payload::from_value(&json!({"title": "x", "id": "v-1"})).expect("it is one")),
            r#"{"id":"v-1","title":"x"}"#
        );
        for odd in [json!([]), json!("v-1"), json!({"title": "x"}), json!({"id": 5})] {
            assert!(Payload::from_value(&odd).is_err(), "{odd}");
        }
    }

    #[test]
    #[should_panic(expected = "`title` cannot be added")]
    fn a_whole_payload_takes_no_more_fields() {
        let _ = Payload::from_json("v-1", r#"{"id":"v-1"}"#).text("title", "x");
    }
}
