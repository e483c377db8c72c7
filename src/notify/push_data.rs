//! What a push holds beside its title and text, for the app that gets it.

use std::collections::BTreeMap;

use super::Templates;
use super::templates::{NoText, Push};
use crate::domain::notify::Outgoing;

/// The fields, by name: `title`, `body`, `occasion`, `id`, and of the values `incident`, `map` and `acknowledge`; `drill`
/// if it is one. Encoded by `encode`, they take at most `max_bytes`: the text is cut, then the links go.
pub(super) fn fitted(
    templates: &Templates,
    message: &Outgoing,
    max_bytes: usize,
    encode: impl Fn(&BTreeMap<String, String>) -> String,
) -> Result<String, NoText> {
    let Push { title, body } = templates.push(&message.content, message.possibly_twice)?;
    let mut fields = BTreeMap::from([
        ("title".to_owned(), title),
        ("occasion".into(), message.content.occasion.as_str().into()),
        ("id".into(), message.key.clone()),
        ("body".into(), String::new()),
    ]);
    if message.content.drill {
        fields.insert("drill".into(), "true".into());
    }
    let values = templates.values(&message.content);
    for name in ["incident", "acknowledge", "map"] {
        if let Some(value) = values.get(name) {
            fields.insert(name.into(), value.clone());
            if encode(&fields).len() > max_bytes {
                fields.remove(name);
            }
        }
    }
    let ends: Vec<usize> = body
        .char_indices()
        .map(|(at, _)| at)
        .chain([body.len()])
        .collect();
    let (mut low, mut high) = (0, ends.len());
    while low + 1 < high {
        // The whole at first, which mostly fits.
        let middle = if high == ends.len() && low == 0 {
            high - 1
        } else {
            usize::midpoint(low, high)
        };
        fields.insert("body".into(), body[..ends[middle]].to_owned());
        if encode(&fields).len() <= max_bytes {
            low = middle;
        } else {
            high = middle;
        }
    }
    fields.insert("body".into(), body[..ends[low]].to_owned());
    let encoded = encode(&fields);
    if encoded.len() <= max_bytes {
        Ok(encoded)
    } else {
        Err(NoText)
    }
}
