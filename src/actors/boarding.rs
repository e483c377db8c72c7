//! What this node puts on the board for the others, and what it looks for there.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::node::Node;
use super::session::SessionShared;
use crate::bus::{Cached, Note, SessionNote};
use crate::domain::people::{ContactBook, Subject};
use crate::store::StoreError;

/// Every so many sweeps a session's note is put again.
const REFRESH_SWEEPS: u64 = 5;

impl Node {
    /// Whose emergency contacts they are to be called: as the board remembers them, or as the store says. Dependents
    /// are not among them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn emergency_contacts(&self, owner: &Subject) -> Result<ContactBook, StoreError> {
        let Subject::User(user) = owner else {
            return self.store.contacts(owner).await;
        };
        // What the board remembers may be an hour old: another service changes its lists when it likes.
        if self.contacts.get().is_some() {
            return self.contact_book(owner).await;
        }
        match self.board.contacts(user).await {
            Cached::Known(emergency) => Ok(ContactBook {
                emergency,
                dependent: vec![],
            }),
            Cached::Unknown(version) => {
                let book = self.store.contacts(owner).await?;
                self.board.keep_contacts(user, version, book.emergency.clone());
                Ok(book)
            }
            Cached::Away => self.store.contacts(owner).await,
        }
    }

    /// Somebody's contact lists have changed.
    pub fn contacts_changed(&self, owner: &Subject) {
        if let Subject::User(user) = owner {
            self.board.put(Note::Contacts(user.clone()));
        }
    }

    /// A user's session is there, or has ended. Whoever has another one here is still there.
    pub(super) fn note_session(&self, session: &SessionShared, begun: bool) {
        if !self.board.is_there() {
            return;
        }
        if begun {
            self.put_session(session, true);
            return;
        }
        match self.directory.of_subject(&session.identity().subject).last() {
            Some(other) => self.put_session(other, true),
            None => self.put_session(session, false),
        }
    }

    fn put_session(&self, session: &SessionShared, online: bool) {
        let identity = session.identity();
        let Subject::User(user) = &identity.subject else {
            return;
        };
        self.board.put(Note::Session(Box::new(SessionNote {
            user: user.clone(),
            role: identity.role,
            name: identity.name.clone(),
            session: session.client_id(),
            connected_at: session.since(),
            seen_at: self.now(),
            node: self.bus.node().to_string(),
            online,
        })));
    }

    /// Says again who is here, a part of them at each of the janitor's sweeps; all of them with `everybody`.
    pub(super) fn refresh_sessions(&self, sweep: u64, everybody: bool) {
        if !self.board.is_there() {
            return;
        }
        let turn = |subject: &Subject| {
            let mut hasher = DefaultHasher::new();
            subject.hash(&mut hasher);
            everybody || hasher.finish() % REFRESH_SWEEPS == sweep % REFRESH_SWEEPS
        };
        let newest: Vec<Arc<SessionShared>> = self.directory.newest_where(turn);
        for session in newest {
            self.put_session(&session, true);
        }
    }

    /// Has the board forget what is stale: trips that nobody hears of, incidents that are over.
    pub(super) async fn sweep_board(&self) {
        if !self.board.is_there() {
            return;
        }
        let stale = self.settings.stale_after.max(self.settings.sweep) * 4;
        let open = self.board.sweep(self.now().before(stale), vec![]).await;
        let mut closed = Vec::new();
        for sos in open {
            match self.store.incident(&sos).await {
                Ok(Some(row)) if row.status.is_open() => {}
                Ok(_) => closed.push(sos),
                // What cannot be looked up is looked at again.
                Err(_) => break,
            }
        }
        if !closed.is_empty() {
            self.board.sweep(self.now().before(stale), closed).await;
        }
    }
}
