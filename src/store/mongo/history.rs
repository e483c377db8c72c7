//! Reads positions back, oldest first, merged over participants and rooms.

use std::collections::BTreeSet;
use std::time::Instant;

use futures_util::TryStreamExt;
use mongodb::bson::{Document, doc};

use super::db::{Db, Find};
use super::docs::{HISTORY, HistoryDoc, date, participant};
use super::error::Outcome;
use super::{fixes, rooms};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::time::Timestamp;
use crate::store::history_page::HistoryPage;
use crate::store::types::{HistoryFix, HistoryQuery};

/// Up to so many series are read one by one, each only as far as the page needs it; more of them together.
const SERIES_MAX: usize = 16;

/// The server reckons with spans round a time: what is asked for stays clear of the ends of what a date can be. (Years
/// -9999 and 9999.)
const FIRST: Timestamp = Timestamp::from_ms(-377_705_116_800_000);
const LAST: Timestamp = Timestamp::from_ms(253_402_300_799_999);

type Series = (RoomId, ParticipantId);

/// Fixes by query. Without a room and without a subject there is nothing to read.
pub(super) async fn history(db: &Db, query: &HistoryQuery, kept_from: Timestamp) -> Outcome<Vec<HistoryFix>> {
    let mut page = HistoryPage::new(query);
    let all = sources(db, query, kept_from).await?;
    if query.limit == 0 || all.is_empty() {
        return Ok(vec![]);
    }
    let from = page.from().max(kept_from).max(FIRST);
    let span = doc! { "$gte": date(from), "$lte": date(page.to().min(LAST)) };
    if all.len() <= SERIES_MAX {
        for (room, who) in &all {
            let mut filter = fixes::whose(room, *who);
            filter.insert("at", span.clone());
            read(db, filter, &mut page).await?;
        }
    } else {
        let rooms: BTreeSet<&str> = all.iter().map(|(room, _)| room.as_str()).collect();
        let people: BTreeSet<String> = all.iter().map(|(_, who)| who.to_string()).collect();
        let filter = doc! {
            "meta.room": { "$in": rooms.into_iter().collect::<Vec<_>>() },
            "meta.participant": { "$in": people.into_iter().collect::<Vec<_>>() },
            "at": span,
        };
        read(db, filter, &mut page).await?;
    }
    Ok(page.finish())
}

/// Reads until nothing more belongs to the page.
async fn read(db: &Db, filter: Document, page: &mut HistoryPage<'_>) -> Outcome<()> {
    let find = Find::new(HISTORY, filter).sort(doc! { "at": 1 });
    let begun = Instant::now();
    let mut found = find.open::<HistoryDoc>(db).await?;
    while let Some(next) = found.try_next().await? {
        let fix = next.fix.fix()?;
        if !page.wants(fix.at) {
            break;
        }
        page.offer(participant(&next.meta.participant)?, fix);
    }
    find.told(db, begun);
    Ok(())
}

/// Which series the query concerns, each once.
async fn sources(db: &Db, query: &HistoryQuery, kept_from: Timestamp) -> Outcome<BTreeSet<Series>> {
    let mut found: BTreeSet<Series> = BTreeSet::new();
    match (&query.subject, &query.room, query.participant) {
        (Some(subject), _, _) => {
            for place in rooms::of_subject(db, subject, Document::new()).await? {
                found.insert((place.room()?, place.who()?));
            }
        }
        (None, Some(room), Some(who)) => {
            found.insert((room.clone(), who));
        }
        (None, Some(room), None) => {
            let tracked = fixes::newest(db, room, kept_from).await?;
            found.extend(tracked.into_iter().map(|(who, _)| (room.clone(), who)));
        }
        (None, None, _) => {}
    }
    found.retain(|(room, who)| {
        query.room.as_ref().is_none_or(|wanted| wanted == room)
            && query.participant.is_none_or(|wanted| wanted == *who)
            && query.among.as_ref().is_none_or(|among| among.contains(who))
    });
    Ok(found)
}
