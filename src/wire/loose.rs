//! A JSON value of whatever type the client chose.
//!
//! Reading a field loosely first and judging it afterwards makes one pass over the bytes enough, and still
//! names the field at fault: serde's own errors know only a column.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A field as it came. `null` is as good as absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Loose<'a> {
    /// Not there, or `null`.
    #[default]
    Absent,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number, 0 or more.
    Whole(u64),
    /// Any other number.
    Number(f64),
    /// A string.
    Text(Cow<'a, str>),
    /// An array or an object.
    Nested,
}

impl<'a> Loose<'a> {
    /// A member of an object that was read in full.
    pub fn of(value: Option<&'a Value>) -> Self {
        match value {
            None | Some(Value::Null) => Self::Absent,
            Some(Value::Bool(flag)) => Self::Flag(*flag),
            Some(Value::Number(number)) => match number.as_u64() {
                Some(whole) => Self::Whole(whole),
                None => Self::Number(number.as_f64().unwrap_or(f64::NAN)),
            },
            Some(Value::String(text)) => Self::Text(Cow::Borrowed(text)),
            Some(Value::Array(_) | Value::Object(_)) => Self::Nested,
        }
    }

    /// Whether there is anything.
    pub fn is_present(&self) -> bool {
        *self != Self::Absent
    }

    /// A parameter of a query: text that may stand for a number.
    pub fn number_in(text: &str) -> Self {
        if let Ok(whole) = text.parse() {
            return Self::Whole(whole);
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Self::Number(number),
            _ => Self::Text(Cow::Owned(text.to_owned())),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Loose::Absent)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Loose::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Loose::Whole(number))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(number).map_or(Loose::Number(number as f64), Loose::Whole))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
        Ok(Loose::Number(number))
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Nested)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Nested)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_json_value_is_taken_as_it_is() {
        let read = |text| serde_json::from_str::<Loose<'_>>(text).unwrap();
        assert_eq!(read("null"), Loose::Absent);
        assert_eq!(read("true"), Loose::Flag(true));
        assert_eq!(read("7"), Loose::Whole(7));
        assert_eq!(read("-7"), Loose::Number(-7.0));
        assert_eq!(read("7.5"), Loose::Number(7.5));
        assert_eq!(read(r#""a\n""#), Loose::Text("a\n".into()));
        assert_eq!(read(r#"[1,{"a":[]}]"#), Loose::Nested);
        assert_eq!(read(r#"{"a":{"b":[1]}}"#), Loose::Nested);
    }

    #[test]
    fn both_ways_of_reading_agree() {
        for text in ["null", "false", "0", "-1", "1e3", "\"x\"", "[]", "{}"] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(
                serde_json::from_str::<Loose<'_>>(text).unwrap(),
                Loose::of(Some(&value)),
                "{text}"
            );
        }
    }
}
