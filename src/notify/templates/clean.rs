//! What may stand in a message.

use std::collections::BTreeMap;

use crate::domain::notify::Content;

/// The longest value, in characters.
const VALUE_MAX: usize = 1_000;

/// The values without anything that could act: control characters become spaces, marks that turn the direction of what
/// follows are left out, and a link is one or is not there.
pub(super) fn values(content: &Content) -> BTreeMap<String, String> {
    let values = content.values.iter().filter_map(|(name, value)| {
        let value: String = line(value).chars().take(VALUE_MAX).collect();
        let link = matches!(name.as_str(), "map" | "acknowledge");
        let kept = if link { is_link(&value) } else { !value.is_empty() };
        kept.then(|| (name.clone(), value))
    });
    values.collect()
}

/// One line: every run of spaces and control characters is one space.
pub(super) fn line(text: &str) -> String {
    let plain: String = text
        .chars()
        .filter(|c| !turns(*c))
        .map(|c| if c.is_control() || is_line_end(c) { ' ' } else { c })
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Lines without spaces at their ends, never two empty ones in a row.
pub(super) fn lines(text: &str) -> String {
    let mut lines: Vec<&str> = vec![];
    for line in text.lines().map(str::trim_end) {
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned()
}

/// Text that is only text in HTML.
pub(super) fn html(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#x27;"),
            c => safe.push(c),
        }
    }
    safe
}

/// Overrides, embeddings and isolates of the text's direction: with them a text shows as another.
const fn turns(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

const fn is_line_end(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

fn is_link(text: &str) -> bool {
    !text.contains(' ') && url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "https" | "http"))
}
