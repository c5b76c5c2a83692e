//! Reading JSON more strictly than serde does by itself: what is said twice, or said to be nothing, is refused.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};

/// A JSON object in which no key comes twice. Objects within it are not looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UniqueMap(pub Map<String, Value>);

impl<'de> Deserialize<'de> for UniqueMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Unique)
    }
}

struct Unique;

impl<'de> Visitor<'de> for Unique {
    type Value = UniqueMap;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<UniqueMap, A::Error> {
        let mut map = Map::new();
        while let Some((key, value)) = access.next_entry::<String, Value>()? {
            if map.contains_key(&key) {
                let shown: String = key.chars().take(100).collect();
                return Err(A::Error::custom(format_args!("duplicate field `{shown}`")));
            }
            map.insert(key, value);
        }
        Ok(UniqueMap(map))
    }
}

/// For `deserialize_with` beside `default`: the field may be absent, but not `null`.
///
/// # Errors
/// What the value itself says, `null` included.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_comes_twice_is_named() {
        let taken: UniqueMap = serde_json::from_str(r#"{"a":1,"b":{"c":null}}"#).expect("taken");
        assert_eq!(taken.0.len(), 2);
        let refused = serde_json::from_str::<UniqueMap>(r#"{"a":1,"a":1}"#).expect_err("refused");
        assert!(refused.to_string().starts_with("duplicate field `a`"), "{refused}");
        assert!(serde_json::from_str::<UniqueMap>("[]").is_err());
    }
}
