//! Reads a room's messages, and searches them from the newest on. A search ends its page after so many messages and
//! says where it stopped.

use std::time::Instant;

use futures_util::TryStreamExt;
use mongodb::bson::doc;

use super::db::{Db, Find};
use super::docs::{EVENTS, EventDoc, instant, number, participant};
use super::error::Outcome;
use crate::domain::ids::RoomId;
use crate::domain::room::{EventBody, Seq};
use crate::store::codec::{self, corrupt};
use crate::store::types::{FoundMessages, StoredMessage};
use crate::store::words::Words;

/// Messages, the newest first. With `text` at most `look_max` are looked through.
pub(super) async fn messages(
    db: &Db,
    room: &RoomId,
    before: Option<Seq>,
    limit: usize,
    text: Option<&str>,
    look_max: usize,
) -> Outcome<FoundMessages> {
    let mut found = FoundMessages::default();
    if limit == 0 {
        return Ok(found);
    }
    let before = before.map_or(i64::MAX, number);
    let filter = doc! { "roomId": room.as_str(), "seq": { "$lt": before }, "message": true };
    let words = text.map(Words::new);
    let most = if words.is_some() { look_max.max(1) } else { limit };
    let find = Find::new(EVENTS, filter)
        .sort(doc! { "roomId": -1, "seq": -1 })
        .limit(most.saturating_add(1));
    let begun = Instant::now();
    let mut stored = find.open::<EventDoc>(db).await?;
    let (mut looked, mut last) = (0, None);
    while let Some(next) = stored.try_next().await? {
        let seq = super::docs::seq(next.seq);
        if words.is_some() && looked >= look_max.max(1) {
            found.more_before = last;
            break;
        }
        (looked, last) = (looked + 1, Some(seq));
        if words
            .as_ref()
            .is_some_and(|words| !words.may_be_in(next.body.as_bytes()))
        {
            continue;
        }
        let EventBody::MessageSent { id, content, relay } = codec::decode_body(&next.body)? else {
            return Err(corrupt("a message").into());
        };
        if words
            .as_ref()
            .is_some_and(|words| !words.are_in(content.as_bytes()))
        {
            continue;
        }
        if found.messages.len() == limit {
            found.more_before = found.messages.last().map(|message| message.seq);
            break;
        }
        found.messages.push(StoredMessage {
            seq,
            at: instant(next.at),
            sender: next.actor.as_deref().map(participant).transpose()?,
            id,
            content,
            relay,
        });
    }
    find.told(db, begun);
    Ok(found)
}
