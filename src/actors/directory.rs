//! Who is connected to this node: sessions by person and by phone number.

use std::sync::Arc;

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
    by_subject: DashMap<Subject, Sessions>,
    by_phone: DashMap<PhoneNumber, Sessions>,
}

impl Directory {
    /// A session has begun.
    pub fn add(&self, session: &Arc<SessionShared>) {
        let identity = session.identity();
        if !matches!(identity.subject, Subject::Service(_)) {
            self.by_subject
                .entry(identity.subject.clone())
                .or_default()
                .push(Arc::clone(session));
        }
        if let Some(phone) = &identity.phone {
            self.by_phone
                .entry(phone.clone())
                .or_default()
                .push(Arc::clone(session));
        }
    }

    /// A session has ended.
    pub fn remove(&self, session: &SessionShared) {
        let identity = session.identity();
        remove_from(&self.by_subject, &identity.subject, session);
        if let Some(phone) = &identity.phone {
            remove_from(&self.by_phone, phone, session);
        }
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

fn remove_from<K: Eq + std::hash::Hash>(map: &DashMap<K, Sessions>, key: &K, session: &SessionShared) {
    if let Some(mut sessions) = map.get_mut(key) {
        sessions.retain(|other| other.id() != session.id());
    }
    map.remove_if(key, |_, sessions| sessions.is_empty());
}
