//! Reads a room's messages, and searches them.
//!
//! A search reads messages from the newest on and looks at each as it is stored before it is decoded: most do not
//! hold the words, and finding that out costs a fraction of decoding. There is no index of words: it would cost every
//! message that is sent, an SOS's among them, what few searches of short logs save. So that one search never keeps a
//! reader for long, it ends its page after so many messages and says where it stopped.

use rusqlite::params;

use super::rows::{find_key, participant, timestamp};
use super::sql::Db;
use crate::domain::ids::RoomId;
use crate::domain::room::{EventBody, Seq};
use crate::store::codec::{self, corrupt};
use crate::store::contract::StoreError;
use crate::store::types::{FoundMessages, StoredMessage};
use crate::store::words::Words;

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
            let EventBody::MessageSent { id, content, relay } = codec::decode_body(body.as_str()?)? else {
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
            found.messages.push(StoredMessage { seq, at: timestamp(row, 1)?, sender, id, content, relay });
            Ok(true)
        },
    )?;
    Ok(found)
}
