//! Who is connected to this node: sessions by person and by phone number.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use smallvec::SmallVec;

use super::session::SessionShared;
use crate::delivery::CloseReason;
use crate::domain::people::Subject;
use crate::domain::phone::PhoneNumber;

/// Nearly everybody has one connection.
type Sessions = SmallVec<[Arc<SessionShared>; 1]>;

/// The sessions of everybody but sister services.
#[derive(Default)]
pub struct Directory {
    connections: AtomicUsize,
    by_subject: DashMap<Subject, Sessions>,
    by_phone: DashMap<PhoneNumber, Sessions>,
}

impl Directory {
    /// A session has begun. True when it is the first of its subject.
    pub fn add(&self, session: &Arc<SessionShared>) -> bool {
        let identity = session.identity();
        let mut first = false;
        if !matches!(identity.subject, Subject::Service(_)) {
            let mut sessions = self.by_subject.entry(identity.subject.clone()).or_default();
            first = sessions.is_empty();
            sessions.push(Arc::clone(session));
        }
        if let Some(phone) = &identity.phone {
            self.by_phone
                .entry(phone.clone())
                .or_default()
                .push(Arc::clone(session));
        }
        first
    }

    /// A session that may have been added has ended. True when it was the last of its subject.
    pub fn remove(&self, session: &SessionShared) -> bool {
        let identity = session.identity();
        if let Some(phone) = &identity.phone {
            remove_from(&self.by_phone, phone, session);
        }
        remove_from(&self.by_subject, &identity.subject, session)
    }

    /// How many sessions there are, greeted or not.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// One more session has begun.
    pub fn count_in(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// It has ended.
    pub fn count_out(&self) {
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// Somebody's sessions.
    pub fn of_subject(&self, subject: &Subject) -> Sessions {
        self.by_subject
            .get(subject)
            .map(|sessions| sessions.clone())
            .unwrap_or_default()
    }

    /// Sessions whose credential vouches for this number.
    pub fn of_phone(&self, phone: &PhoneNumber) -> Sessions {
        self.by_phone
            .get(phone)
            .map(|sessions| sessions.clone())
            .unwrap_or_default()
    }

    /// The newest session of everybody of whom `whose` is true.
    pub fn newest_where(&self, whose: impl Fn(&Subject) -> bool) -> Vec<Arc<SessionShared>> {
        let concerned = self.by_subject.iter().filter(|entry| whose(entry.key()));
        concerned
            .filter_map(|entry| entry.value().last().cloned())
            .collect()
    }

    /// Whether nobody who is connected has a number that their credential vouches for.
    pub fn knows_no_phones(&self) -> bool {
        self.by_phone.is_empty()
    }

    /// The numbers of everybody who is connected.
    pub fn phones(&self) -> Vec<PhoneNumber> {
        self.by_phone.iter().map(|entry| entry.key().clone()).collect()
    }

    /// Closes the sessions of everybody of whom `whose` is true.
    pub fn close_where(&self, whose: impl Fn(&Subject) -> bool, reason: CloseReason) {
        let concerned = self.by_subject.iter().filter(|entry| whose(entry.key()));
        // Not while the map is locked: whoever is closed takes themselves out of it.
        let sessions: Vec<_> = concerned.flat_map(|entry| entry.value().clone()).collect();
        for session in sessions {
            session.close(reason);
        }
    }

    /// Closes all sessions of somebody who is connected now.
    pub fn close_all(&self, subject: &Subject, reason: CloseReason) -> usize {
        let sessions = self.of_subject(subject);
        for session in &sessions {
            session.close(reason);
        }
        sessions.len()
    }
}

/// True when it was the last of its key.
fn remove_from<K: Eq + std::hash::Hash>(
    map: &DashMap<K, Sessions>,
    key: &K,
    session: &SessionShared,
) -> bool {
    let Some(mut sessions) = map.get_mut(key) else {
        return false;
    };
    let before = sessions.len();
    sessions.retain(|other| other.id() != session.id());
    let last = before > 0 && sessions.is_empty();
    drop(sessions);
    map.remove_if(key, |_, sessions| sessions.is_empty());
    last
}
