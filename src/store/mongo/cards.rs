//! Small records by name, each replaced whole by whoever saw its last version.

use std::collections::HashMap;
use std::sync::Arc;

use mongodb::bson::{DateTime, doc};
use mongodb::{BoxFuture, ClientSession};
use serde::{Deserialize, Serialize};

use super::db::{Db, Find};
use super::docs::{CARDS, date, instant, subject as subject_text};
use super::error::Outcome;
use super::jobs;
use super::writer::replacement;
use crate::domain::people::Subject;
use crate::store::cards::{Card, CardText, CardWrite};
use crate::store::codec;
use crate::store::contract::StoreError;
use crate::store::jobs::JobWrite;

#[derive(Serialize, Deserialize)]
struct CardDoc {
    #[serde(rename = "_id")]
    key: String,
    version: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shelf: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whose: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<DateTime>,
    body: String,
}

impl CardDoc {
    fn of(key: &str, version: i64, text: &CardText) -> Self {
        Self {
            key: key.to_owned(),
            version,
            shelf: text.shelf.clone(),
            whose: text.whose.as_ref().map(subject_text),
            until: text.until.map(date),
            body: text.body.clone(),
        }
    }

    fn card(self) -> Result<Card, StoreError> {
        Ok(Card {
            key: self.key,
            version: self.version,
            text: CardText {
                shelf: self.shelf,
                whose: self.whose.as_deref().map(codec::parse_subject).transpose()?,
                until: self.until.map(instant),
                body: self.body,
            },
        })
    }
}

/// The card of a name.
pub(super) async fn card(db: &Db, key: &str) -> Outcome<Option<Card>> {
    let found = Find::new(CARDS, doc! { "_id": key }).first::<CardDoc>(db).await?;
    Ok(found.map(CardDoc::card).transpose()?)
}

async fn some(find: Find, limit: usize, db: &Db) -> Outcome<Vec<Card>> {
    if limit == 0 {
        return Ok(vec![]);
    }
    let found = find
        .sort(doc! { "_id": 1 })
        .limit(limit)
        .all::<CardDoc>(db)
        .await?;
    found.into_iter().map(|card| Ok(card.card()?)).collect()
}

/// The cards of a shelf, by name.
pub(super) async fn on_shelf(db: &Db, shelf: &str, limit: usize) -> Outcome<Vec<Card>> {
    some(Find::new(CARDS, doc! { "shelf": shelf }), limit, db).await
}

/// Somebody's cards whose names begin so, by name.
pub(super) async fn of(db: &Db, whose: &Subject, prefix: &str, limit: usize) -> Outcome<Vec<Card>> {
    let filter = doc! {
        "whose": subject_text(whose),
        "_id": { "$gte": prefix, "$lt": format!("{prefix}\u{10ffff}") },
    };
    some(Find::new(CARDS, filter), limit, db).await
}

/// Writes cards, and jobs with them, unless one of the cards is not as it was seen.
pub(super) async fn write(db: &Arc<Db>, cards: Vec<CardWrite>, new: Vec<JobWrite>) -> Outcome<bool> {
    let both = Arc::new((cards, new));
    db.transaction(|session| {
        let (db, both) = (Arc::clone(db), Arc::clone(&both));
        let writing: BoxFuture<'_, _> =
            Box::pin(async move { write_in(&db, session, &both.0, &both.1).await });
        writing
    })
    .await
}

#[derive(Deserialize)]
struct Version {
    #[serde(rename = "_id")]
    key: String,
    version: i64,
}

async fn write_in(
    db: &Db,
    session: &mut ClientSession,
    cards: &[CardWrite],
    new: &[JobWrite],
) -> Outcome<bool> {
    let keys: Vec<&str> = cards.iter().map(|card| card.key.as_str()).collect();
    let found: Vec<Version> = db
        .find_in(session, CARDS, doc! { "_id": { "$in": keys } })
        .await?;
    let found: HashMap<String, i64> = found.into_iter().map(|card| (card.key, card.version)).collect();
    let as_seen = |card: &CardWrite| found.get(&card.key).copied().unwrap_or(0) == card.seen;
    if !cards.iter().all(as_seen) {
        return Ok(false);
    }
    let gone = cards.iter().filter(|card| card.then.is_none());
    let gone = gone.map(|card| doc! { "_id": &card.key }).collect();
    db.delete_in(session, CARDS, gone).await?;
    let put = cards.iter().filter_map(|card| {
        let (version, text) = card.then.as_ref()?;
        let whole = CardDoc::of(&card.key, *version, text);
        Some(replacement(doc! { "_id": &card.key }, &whole, true))
    });
    db.update_in(session, CARDS, put.collect::<Outcome<_>>()?).await?;
    jobs::write_in(db, session, new.iter()).await?;
    Ok(true)
}

/// Removes somebody's.
pub(super) async fn erase(db: &Db, session: &mut ClientSession, name: &str) -> Outcome<u64> {
    db.delete_in(session, CARDS, vec![doc! { "whose": name }]).await
}
