//! Looks for words in messages. A message is looked at as it is stored before it is decoded: most do not hold the
//! words, and finding that out costs a fraction of decoding.

use memchr::memchr2_iter;

/// Words to be found in messages.
pub(crate) struct Words {
    /// In small letters.
    text: String,
    /// JSON holds them as they are.
    is_plain: bool,
}

impl Words {
    /// Makes them ready to be looked for.
    pub fn new(text: &str) -> Self {
        let escaped = |byte: u8| byte == b'"' || byte == b'\\' || byte < b' ' || byte == 0x7f;
        Self {
            text: text.to_ascii_lowercase(),
            is_plain: !text.bytes().any(escaped),
        }
    }

    /// Whether a stored message can hold them: if not, it need not be decoded.
    pub fn may_be_in(&self, body: &[u8]) -> bool {
        !self.is_plain || self.are_in(body)
    }

    /// Whether a text holds them.
    pub fn are_in(&self, text: &[u8]) -> bool {
        let words = self.text.as_bytes();
        let Some(first) = words.first() else { return true };
        let Some(last) = text.len().checked_sub(words.len()) else {
            return false;
        };
        memchr2_iter(*first, first.to_ascii_uppercase(), &text[..=last])
            .any(|at| text[at..at + words.len()].eq_ignore_ascii_case(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_found_as_if_both_were_in_small_letters(text in "[a-cA-C\\u{e9}\"\\\\ ]{0,12}", words in "[a-cA-C\\u{e9}\" ]{1,3}") {
            let expected = text.to_ascii_lowercase().contains(&words.to_ascii_lowercase());
            let words = Words::new(&words);
            prop_assert_eq!(words.are_in(text.as_bytes()), expected);
            // What is looked at first never loses what decoding would find.
            let stored = serde_json::to_string(&text).unwrap();
            prop_assert!(!expected || words.may_be_in(stored.as_bytes()));
        }
    }
}
