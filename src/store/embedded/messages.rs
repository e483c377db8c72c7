//! Reads a room's messages, and searches them.
//!
//! A search reads messages from the newest on and looks at each as it is stored before it is decoded: most do not
//! hold the words, and finding that out costs a fraction of decoding. There is no index of words: it would cost every
//! message that is sent, an SOS's among them, what few searches of short logs save. So that one search never keeps a
//! reader for long, it ends its page after so many messages and says where it stopped.

use memchr::memchr2_iter;
use rusqlite::params;

use super::rows::{find_key, participant, timestamp};
use super::sql::Db;
use crate::domain::ids::RoomId;
use crate::domain::room::{EventBody, Seq};
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::types::{FoundMessages, StoredMessage};

/// Words to be found in messages.
struct Words {
    /// In small letters.
    text: String,
    /// JSON holds them as they are.
    is_plain: bool,
}

impl Words {
    fn new(text: &str) -> Self {
        let escaped = |byte: u8| byte == b'"' || byte == b'\\' || byte < b' ' || byte == 0x7f;
        Self {
            text: text.to_ascii_lowercase(),
            is_plain: !text.bytes().any(escaped),
        }
    }

    /// Whether a stored message can hold them: if not, it need not be decoded.
    fn may_be_in(&self, body: &[u8]) -> bool {
        !self.is_plain || self.are_in(body)
    }

    fn are_in(&self, text: &[u8]) -> bool {
        let words = self.text.as_bytes();
        let Some(first) = words.first() else { return true };
        let Some(last) = text.len().checked_sub(words.len()) else {
            return false;
        };
        memchr2_iter(*first, first.to_ascii_uppercase(), &text[..=last])
            .any(|at| text[at..at + words.len()].eq_ignore_ascii_case(words))
    }
}

/// Messages, the newest first. With `text` at most `look_max` are looked through.
pub(super) fn messages(
    db: &mut Db<'_>,
    room: &RoomId,
    before: Option<Seq>,
    limit: usize,
    text: Option<&str>,
    look_max: usize,
) -> Result<FoundMessages, StoreError> {
    let mut found = FoundMessages::default();
    let Some(key) = find_key(db, room)?.filter(|_| limit > 0) else {
        return Ok(found);
    };
    let before = before.map_or(i64::MAX, |seq| i64::try_from(seq.get()).unwrap_or(i64::MAX));
    let words = text.map(Words::new);
    let (mut looked, mut last) = (0, None);
    db.scan(
        "SELECT seq, at, actor, body FROM events WHERE room = ?1 AND seq < ?2 AND message = 1 ORDER BY seq DESC",
        params![key, before],
        |row| {
            let seq = Seq::new(row.get::<_, i64>(0)?.cast_unsigned());
            if words.is_some() && looked >= look_max.max(1) {
                found.more_before = last;
                return Ok(false);
            }
            (looked, last) = (looked + 1, Some(seq));
            let body = row.get_ref(3)?;
            if words.as_ref().is_some_and(|words| !words.may_be_in(body.as_bytes().unwrap_or_default())) {
                return Ok(true);
            }
            let EventBody::MessageSent { id, content } = codec::decode_body(body.as_str()?)? else {
                return Err(corrupt("a message"));
            };
            if words.as_ref().is_some_and(|words| !words.are_in(content.as_bytes())) {
                return Ok(true);
            }
            if found.messages.len() == limit {
                found.more_before = found.messages.last().map(|message| message.seq);
                return Ok(false);
            }
            let sender = row.get::<_, Option<i64>>(2)?.map(|_| participant(row, 2)).transpose()?;
            found.messages.push(StoredMessage { seq, at: timestamp(row, 1)?, sender, id, content });
            Ok(true)
        },
    )?;
    Ok(found)
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
