//! The `filter` parameter of `/products`: `{"retailer_id":{"eq":"sku-1"}}`, `and`, `or`, and the operators on one key.

use serde_json::Value;

use crate::errors::{GraphError, Result};

/// A filter that was read.
#[derive(Debug, PartialEq)]
pub(crate) enum Filter {
    And(Vec<Filter>),
    Or(Vec<Filter>),
    Test { key: String, operator: Operator, operand: Value },
}

/// Operators on one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Neq,
    Contains,
    NotContains,
    IContains,
    IsAny,
    IsNotAny,
    Lt,
    Lte,
    Gt,
    Gte,
    StartsWith,
}

/// Keys whose values are numbers.
const NUMBERS: &[&str] = &["price_amount", "sale_price_amount", "quantity_to_sell_on_facebook", "inventory"];
/// Keys whose values are text.
const TEXTS: &[&str] = &[
    "retailer_id",
    "name",
    "description",
    "brand",
    "category",
    "availability",
    "condition",
    "visibility",
    "product_item_id",
    "retailer_product_group_id",
    "product_type",
    "gtin",
    "gender",
    "age_group",
    "color",
    "size",
    "material",
    "pattern",
    "review_status",
    "currency",
    "custom_label_0",
    "custom_label_1",
    "custom_label_2",
    "custom_label_3",
    "custom_label_4",
];

/// Deepest nesting that is accepted.
const MAX_DEPTH: usize = 16;

impl Filter {
    /// Parses a filter.
    ///
    /// # Errors
    /// Code 100, naming the key or operator that is unknown or has an operand of the wrong type.
    pub(crate) fn read(value: &Value) -> Result<Self> {
        Self::read_at(value, 0)
    }

    fn read_at(value: &Value, depth: usize) -> Result<Self> {
        let Value::Object(map) = value else {
            return Err(bad("a rule must be an object"));
        };
        if depth > MAX_DEPTH {
            return Err(bad("it is nested too deeply"));
        }
        let mut parts = Vec::new();
        for (key, operand) in map {
            match key.as_str() {
                "and" | "or" => {
                    let Value::Array(list) = operand else {
                        return Err(bad(&format!("'{key}' needs an array")));
                    };
                    let inner = list.iter().map(|rule| Self::read_at(rule, depth + 1)).collect::<Result<_>>()?;
                    parts.push(if key == "and" { Self::And(inner) } else { Self::Or(inner) });
                }
                _ => Self::read_tests(key, operand, &mut parts)?,
            }
        }
        Ok(Self::And(parts))
    }

    fn read_tests(key: &str, operand: &Value, parts: &mut Vec<Self>) -> Result<()> {
        if !NUMBERS.contains(&key) && !TEXTS.contains(&key) {
            return Err(bad(&format!("unknown field '{key}'")));
        }
        let Value::Object(tests) = operand else {
            return Err(bad(&format!("'{key}' needs an operator")));
        };
        for (name, operand) in tests {
            let operator = Operator::named(name).ok_or_else(|| bad(&format!("unknown operator '{name}'")))?;
            let list = matches!(operator, Operator::IsAny | Operator::IsNotAny);
            if list != operand.is_array() || operand.is_object() {
                return Err(bad(&format!("the operand of '{name}' has the wrong type")));
            }
            parts.push(Self::Test { key: key.to_owned(), operator, operand: operand.clone() });
        }
        Ok(())
    }

    /// Whether an item passes; `value` reads the item's value of a key.
    pub(crate) fn passes(&self, value: &impl Fn(&str) -> Option<Value>) -> bool {
        match self {
            Self::And(parts) => parts.iter().all(|part| part.passes(value)),
            Self::Or(parts) => parts.iter().any(|part| part.passes(value)),
            Self::Test { key, operator, operand } => operator.holds(value(key).as_ref(), operand),
        }
    }

    /// The only retailer ids that can pass, when the filter determines them: then the catalog need not be scanned.
    pub(crate) fn retailer_ids(&self) -> Option<Vec<String>> {
        match self {
            Self::Test { key, operator, operand } if key == "retailer_id" => match (operator, operand) {
                (Operator::Eq, Value::String(id)) => Some(vec![id.clone()]),
                (Operator::IsAny, Value::Array(ids)) => {
                    Some(ids.iter().filter_map(Value::as_str).map(str::to_owned).collect())
                }
                _ => None,
            },
            Self::Test { .. } => None,
            Self::And(parts) => parts.iter().find_map(Self::retailer_ids),
            Self::Or(parts) => {
                let ids = parts.iter().map(Self::retailer_ids).collect::<Option<Vec<_>>>()?;
                Some(ids.into_iter().flatten().collect())
            }
        }
    }
}

fn bad(why: &str) -> GraphError {
    GraphError::parameter("filter", format!("(#100) Param filter is not valid: {why}"))
}

impl Operator {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "eq" => Self::Eq,
            "neq" => Self::Neq,
            "contains" => Self::Contains,
            "not_contains" => Self::NotContains,
            "i_contains" => Self::IContains,
            "is_any" => Self::IsAny,
            "is_not_any" => Self::IsNotAny,
            "lt" => Self::Lt,
            "lte" => Self::Lte,
            "gt" => Self::Gt,
            "gte" => Self::Gte,
            "starts_with" => Self::StartsWith,
            _ => return None,
        })
    }

    fn holds(self, value: Option<&Value>, operand: &Value) -> bool {
        let texts = || Some((value?.as_str()?, operand.as_str()?));
        let numbers = || Some((value?.as_f64()?, number(operand)?));
        let equals = |operand: &Value| value.is_some_and(|value| same(value, operand));
        let any = || operand.as_array().is_some_and(|list| list.iter().any(equals));
        match self {
            Self::Eq => equals(operand),
            Self::Neq => !equals(operand),
            Self::IsAny => any(),
            Self::IsNotAny => !any(),
            Self::Contains => texts().is_some_and(|(text, part)| text.contains(part)),
            Self::NotContains => !texts().is_some_and(|(text, part)| text.contains(part)),
            Self::IContains => texts().is_some_and(|(text, part)| text.to_lowercase().contains(&part.to_lowercase())),
            Self::StartsWith => texts().is_some_and(|(text, part)| text.starts_with(part)),
            Self::Lt => numbers().is_some_and(|(a, b)| a < b),
            Self::Lte => numbers().is_some_and(|(a, b)| a <= b),
            Self::Gt => numbers().is_some_and(|(a, b)| a > b),
            Self::Gte => numbers().is_some_and(|(a, b)| a >= b),
        }
    }
}

/// A number, or its text: form clients send both.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

fn same(value: &Value, operand: &Value) -> bool {
    match value {
        Value::Number(_) => value.as_f64() == number(operand),
        _ => value == operand,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn passes(filter: Value) -> bool {
        let item = json!({"retailer_id": "a", "name": "Red Belt", "price_amount": 7_100});
        Filter::read(&filter).expect("well formed").passes(&|key| item.get(key).cloned())
    }

    #[test]
    fn each_operator_decides() {
        for (filter, expected) in [
            (json!({"retailer_id": {"eq": "a"}}), true),
            (json!({"retailer_id": {"neq": "a"}}), false),
            (json!({"retailer_id": {"is_any": ["b", "a"]}}), true),
            (json!({"retailer_id": {"is_not_any": ["b", "a"]}}), false),
            (json!({"name": {"contains": "Belt"}}), true),
            (json!({"name": {"contains": "belt"}}), false),
            (json!({"name": {"i_contains": "belt"}}), true),
            (json!({"name": {"not_contains": "Belt"}}), false),
            (json!({"name": {"starts_with": "Red"}}), true),
            (json!({"price_amount": {"lt": 7_100}}), false),
            (json!({"price_amount": {"lte": 7_100, "gte": "7100"}}), true),
            (json!({"price_amount": {"gt": 7_099}}), true),
            (json!({"brand": {"eq": "Acme"}}), false),
            (json!({"brand": {"neq": "Acme"}}), true),
            (json!({"and": [{"retailer_id": {"eq": "a"}}, {"name": {"eq": "x"}}]}), false),
            (json!({"or": [{"retailer_id": {"eq": "b"}}, {"name": {"eq": "Red Belt"}}]}), true),
            (json!({}), true),
        ] {
            assert_eq!(passes(filter.clone()), expected, "{filter}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for filter in [
            json!({"sku": {"eq": "a"}}),
            json!({"retailer_id": {"equals": "a"}}),
            json!({"retailer_id": "a"}),
            json!({"retailer_id": {"is_any": "a"}}),
            json!({"retailer_id": {"eq": ["a"]}}),
            json!({"or": {"retailer_id": {"eq": "a"}}}),
            json!([]),
        ] {
            assert_eq!(Filter::read(&filter).expect_err("refused").code, 100, "{filter}");
        }
    }

    #[test]
    fn ids_are_found_where_they_narrow_the_walk() {
        let ids = |filter| Filter::read(&filter).expect("well formed").retailer_ids();
        assert_eq!(
            ids(json!({"or": [{"retailer_id": {"eq": "a"}}, {"retailer_id": {"is_any": ["b"]}}]})).expect("both").len(),
            2
        );
        assert_eq!(ids(json!({"or": [{"retailer_id": {"eq": "a"}}, {"name": {"eq": "x"}}]})), None);
    }
}
