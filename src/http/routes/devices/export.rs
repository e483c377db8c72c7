//! `GET /devices/me/export`: everything that is kept of whoever asks, as one JSON document.
//!
//! It is written while it is read, page by page and never ahead of the reader, so that a history of years needs no
//! more memory than a short one. Its last member is `complete`; whatever goes wrong on the way cuts the document off,
//! and what was cut off is no JSON.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION};
use actix_web::web::{self, Bytes};
use actix_web::{HttpResponse, mime};
use futures_util::stream::unfold;
use serde::Serialize;
use tokio::sync::mpsc;

use super::views::{DeviceView, KeyView, OwnReport, PushView, SubjectView, Whereabouts};
use crate::actors::Engine;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::people::{Identity, Subject};
use crate::domain::room::{Event, EventBody, Seq};
use crate::http::auth::Caller;
use crate::http::error::ApiError;
use crate::http::routes::Api;
use crate::store::{HistoryQuery, Place, StoreError};
use crate::wire::rest::{ContactsView, DeedView, LocationView};
use crate::wire::stamp::Stamp;

/// Rows that are read at once.
const PAGE: usize = 500;
/// A piece of the document leaves when it has so many bytes.
const PIECE_BYTES: usize = 32 * 1024;
/// Pieces that wait for the reader.
const PIECES: usize = 2;
/// Told to whoever finds all exports in use.
const BUSY_RETRY: Duration = Duration::from_secs(10);

/// `GET /devices/me/export`
pub(in crate::http::routes) async fn export(
    api: web::Data<Api>,
    caller: Caller,
) -> Result<HttpResponse, ApiError> {
    let permit = api
        .exports
        .clone()
        .try_acquire_owned()
        .map_err(|_| ApiError::unavailable("Too many exports are running", BUSY_RETRY))?;
    let (to, pieces) = mpsc::channel(PIECES);
    let (finished, ended) = {
        let flag = Arc::new(AtomicBool::new(false));
        (Arc::clone(&flag), flag)
    };
    let (engine, timeout, now) = (api.engine.clone(), api.export_timeout, Stamp(api.now()));
    actix_web::rt::spawn(async move {
        let mut document = Document::new(to);
        let written = tokio::time::timeout(timeout, document.write(&engine, &caller.identity, now)).await;
        match written.unwrap_or(Err(Broken::Slow)) {
            Ok(()) => finished.store(true, Ordering::Release),
            Err(Broken::Gone) => {}
            Err(broken) => tracing::warn!(%broken, "an export was cut off"),
        }
        drop(permit);
    });
    // A document that was not finished must not look so: the connection breaks.
    let body = unfold(Some((pieces, ended)), |reading| async {
        let (mut pieces, ended) = reading?;
        match pieces.recv().await {
            Some(piece) => Some((Ok(piece), Some((pieces, ended)))),
            None if ended.load(Ordering::Acquire) => None,
            None => Some((Err(Broken::CutOff), None)),
        }
    });
    Ok(HttpResponse::Ok()
        .content_type(mime::APPLICATION_JSON)
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"mayday-export.json\""))
        .streaming(body))
}

/// Why a document was not finished.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("it could not be written: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the reader has gone")]
    Gone,
    #[error("the reader took too long")]
    Slow,
    #[error("it was not finished")]
    CutOff,
}

/// A JSON document on its way to the reader.
struct Document {
    to: mpsc::Sender<Bytes>,
    piece: Vec<u8>,
    /// Nothing stands in the present list or object yet.
    first: bool,
}

impl Document {
    fn new(to: mpsc::Sender<Bytes>) -> Self {
        Self {
            to,
            piece: Vec::with_capacity(PIECE_BYTES),
            first: true,
        }
    }

    async fn write(&mut self, engine: &Engine, who: &Identity, now: Stamp) -> Result<(), Broken> {
        self.piece.extend_from_slice(br#"{"success":true,"data":{"#);
        self.member("exportedAt", &now)?;
        let subjects: Vec<Subject> = who.subjects().collect();
        let shown: Vec<_> = subjects.iter().map(SubjectView::of).collect();
        self.member("subjects", &shown)?;
        let device = match who.own_device() {
            Some(id) => Some((id, engine.device(id).await?)),
            None => None,
        };
        self.member("device", &DeviceView::of(device))?;
        self.open("participations")?;
        for subject in &subjects {
            self.participations(engine, subject).await?;
        }
        self.close();
        self.open("positions")?;
        for subject in &subjects {
            self.positions(engine, subject).await?;
        }
        self.close();
        // Only registered users have any.
        let book = engine.contacts(who).await?;
        self.member("contacts", &ContactsView::of(&book))?;
        self.open("pushTargets")?;
        for subject in &subjects {
            for (to, until) in engine.node().push_targets_kept(subject).await? {
                self.item(&PushView::new(&to, until)).await?;
            }
        }
        self.close();
        self.open("idempotencyKeys")?;
        for subject in &subjects {
            self.keys(engine, subject).await?;
        }
        self.close();
        self.member("complete", &true)?;
        self.piece.extend_from_slice(b"}}");
        self.send().await
    }

    /// Every room that knows them, with what they did there and what happened to them.
    async fn participations(&mut self, engine: &Engine, subject: &Subject) -> Result<(), Broken> {
        let mut after: Option<RoomId> = None;
        loop {
            let page = engine.places(subject, after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.room.clone());
            for place in &page {
                self.comma();
                self.piece.extend_from_slice(br#"{"place":"#);
                serde_json::to_writer(&mut self.piece, &Whereabouts::of(place))?;
                self.piece.extend_from_slice(br#","events":["#);
                self.first = true;
                self.deeds(engine, &place.room, place.person.participant).await?;
                self.piece.extend_from_slice(br#"],"reports":["#);
                self.first = true;
                self.reports(engine, place).await?;
                self.piece.extend_from_slice(b"]}");
                self.first = false;
            }
        }
    }

    async fn deeds(&mut self, engine: &Engine, room: &RoomId, who: ParticipantId) -> Result<(), Broken> {
        let mut after = Seq::ZERO;
        loop {
            let page = engine.log(room, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.seq;
            for event in page.iter().filter(|event| concerns(event, who)) {
                self.item(&DeedView::of(event)).await?;
            }
        }
    }

    /// What they reported of others, and that others reported something of them.
    async fn reports(&mut self, engine: &Engine, place: &Place) -> Result<(), Broken> {
        let mut after = None;
        loop {
            let page = engine.reports_in(&place.room, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.place());
            for complaint in &page {
                if let Some(report) = OwnReport::of(complaint, place.person.participant) {
                    self.item(&report).await?;
                }
            }
        }
    }

    async fn positions(&mut self, engine: &Engine, subject: &Subject) -> Result<(), Broken> {
        let mut query = HistoryQuery {
            limit: PAGE,
            ..HistoryQuery::default()
        };
        loop {
            let page = engine.positions_of(subject, query.clone()).await?;
            let Some(last) = page.last() else { return Ok(()) };
            query.after = Some((last.fix.at, last.participant));
            for kept in &page {
                let view = LocationView::new(kept.participant, None, &kept.fix);
                self.item(&view).await?;
            }
        }
    }

    async fn keys(&mut self, engine: &Engine, subject: &Subject) -> Result<(), Broken> {
        let mut after: Option<String> = None;
        loop {
            let page = engine.keys_of(subject, after.as_deref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.key.clone());
            for kept in &page {
                self.item(&KeyView::of(kept)).await?;
            }
        }
    }

    fn comma(&mut self) {
        if !std::mem::replace(&mut self.first, false) {
            self.piece.push(b',');
        }
    }

    fn name(&mut self, name: &str) -> Result<(), Broken> {
        self.comma();
        serde_json::to_writer(&mut self.piece, name)?;
        self.piece.push(b':');
        Ok(())
    }

    fn member(&mut self, name: &str, value: &impl Serialize) -> Result<(), Broken> {
        self.name(name)?;
        Ok(serde_json::to_writer(&mut self.piece, value)?)
    }

    /// Begins a list.
    fn open(&mut self, name: &str) -> Result<(), Broken> {
        self.name(name)?;
        self.piece.push(b'[');
        self.first = true;
        Ok(())
    }

    fn close(&mut self) {
        self.piece.push(b']');
        self.first = false;
    }

    async fn item(&mut self, value: &impl Serialize) -> Result<(), Broken> {
        self.comma();
        serde_json::to_writer(&mut self.piece, value)?;
        if self.piece.len() >= PIECE_BYTES {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Broken> {
        let piece = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE_BYTES));
        let sent = self.to.send(piece.into()).await;
        sent.map_err(|_| Broken::Gone)
    }
}

/// Whether somebody did this, or it happened to them.
fn concerns(event: &Event, who: ParticipantId) -> bool {
    let about = match &event.body {
        EventBody::Joined { who, .. }
        | EventBody::Left { who, .. }
        | EventBody::JoinRequested { who }
        | EventBody::JoinDenied { who }
        | EventBody::ContactAlerted { who } => Some(*who),
        _ => None,
    };
    event.actor.participant() == Some(who) || about == Some(who)
}
