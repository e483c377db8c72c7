//! Says whether a message is what a story expects: every field of the pattern is there and fits; what the
//! pattern does not name may be anything.
//!
//! In a pattern, text that ends in `*` fits any text that starts so, and `"*"` fits anything but `null`.

use serde_json::Value;

/// What keeps `value` from fitting, with the path to it.
pub fn misfit(pattern: &Value, value: &Value) -> Option<String> {
    at("$", pattern, value)
}

fn at(path: &str, pattern: &Value, value: &Value) -> Option<String> {
    let says = |what: String| Some(format!("{path}: {what}"));
    match (pattern, value) {
        (Value::String(any), Value::Null) if any == "*" => says("expected anything but null".into()),
        (Value::String(any), _) if any == "*" => None,
        (Value::String(start), Value::String(text)) if start.ends_with('*') => {
            let start = &start[..start.len() - 1];
            (!text.starts_with(start)).then(|| format!("{path}: {text:?} does not start with {start:?}"))
        }
        (Value::Object(wanted), Value::Object(found)) => wanted.iter().find_map(|(key, wanted)| {
            let path = format!("{path}.{key}");
            match found.get(key) {
                Some(found) => at(&path, wanted, found),
                None => Some(format!("{path}: is not there")),
            }
        }),
        (Value::Array(wanted), Value::Array(found)) => {
            if wanted.len() != found.len() {
                return says(format!(
                    "expected {} entries, found {}",
                    wanted.len(),
                    found.len()
                ));
            }
            let mut pairs = wanted.iter().zip(found).enumerate();
            pairs.find_map(|(n, (wanted, found))| at(&format!("{path}[{n}]"), wanted, found))
        }
        (Value::Number(wanted), Value::Number(found)) if wanted.as_f64() == found.as_f64() => None,
        _ if pattern == value => None,
        _ => says(format!("expected {pattern}, found {value}")),
    }
}
