//! Tickets that any node takes, once.
//!
//! Redis keeps who asked for a ticket under the ticket's hash, for as long as it is good: whoever reads the keys learns
//! no ticket. It is taken and removed in one step, so of two nodes that are shown the same one only one gets it.

use std::sync::LazyLock;
use std::time::Duration;

use redis::{Script, cmd};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::bus::redis::{Connection, Failure};
use crate::domain::ids::{DeviceId, RoomId};
use crate::domain::people::{Identity, Role};
use crate::domain::phone::PhoneNumber;
use crate::domain::scopes::{Scope, Scopes};
use crate::domain::time::Timestamp;
use crate::http::auth::Caller;
use crate::store::codec;

/// GETDEL came with Redis 6.2.
static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        "local who = redis.call('GET', KEYS[1])
         if who then redis.call('DEL', KEYS[1]) end
         return who",
    )
});

/// The tickets of all nodes.
pub struct SharedTickets {
    connection: Connection,
    prefix: String,
}

impl SharedTickets {
    pub(super) fn new(connection: Connection, prefix: &str) -> Self {
        Self {
            connection,
            prefix: format!("{prefix}ticket/"),
        }
    }

    fn key(&self, ticket: &str) -> String {
        format!("{}{}", self.prefix, hex::encode(Sha256::digest(ticket)))
    }

    /// Lets every node know whose `ticket` is.
    ///
    /// # Errors
    /// When Redis has not taken it; then no node knows.
    pub async fn put(&self, ticket: &str, caller: &Caller, ttl: Duration) -> Result<(), Failure> {
        let who = serde_json::to_string(&Who::from(caller)).map_err(|_| Failure::Unexpected)?;
        let mut set = cmd("SET");
        set.arg(self.key(ticket)).arg(who);
        set.arg("PX")
            .arg(u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
        self.connection.ask(&set).await
    }

    /// Whose `ticket` is; it is used up by this. `None`: nobody's, or Redis is away.
    pub async fn take(&self, ticket: &str) -> Option<Caller> {
        let take = TAKE.key(self.key(ticket));
        let who = match self.connection.run::<Option<String>>(&take).await {
            Ok(who) => who?,
            Err(failure) => {
                tracing::debug!(%failure, "a ticket of another node cannot be looked up");
                return None;
            }
        };
        serde_json::from_str::<Who>(&who).ok()?.try_into().ok()
    }
}

/// Who asked, as Redis keeps it.
#[derive(Serialize, Deserialize)]
struct Who {
    subject: String,
    role: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mission: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// None: not bound by scopes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scopes: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<i64>,
}

impl From<&Caller> for Who {
    fn from(caller: &Caller) -> Self {
        let identity = &caller.identity;
        let scopes = (identity.scopes != Scopes::ALL).then(|| {
            let all = Scope::ALL.iter().filter(|scope| identity.may(**scope));
            all.map(|scope| scope.as_str().to_owned()).collect()
        });
        Self {
            subject: codec::subject_text(&identity.subject),
            role: identity.role.as_str().into(),
            name: identity.name.clone(),
            phone: identity.phone.as_ref().map(|phone| phone.reveal().into()),
            email: identity.email.clone(),
            mission: identity.mission.as_ref().map(ToString::to_string),
            device: identity.device.map(DeviceId::reveal),
            scopes,
            expires_at_ms: caller.expires_at.map(Timestamp::ms),
        }
    }
}

/// Not what any node writes.
struct Damaged;

impl TryFrom<Who> for Caller {
    type Error = Damaged;

    fn try_from(who: Who) -> Result<Self, Damaged> {
        // A scope that is not known here allows nothing here.
        let scopes = who.scopes.map_or(Scopes::ALL, |names| {
            names.iter().filter_map(|name| Scope::parse(name)).collect()
        });
        let identity = Identity {
            subject: codec::parse_subject(&who.subject).map_err(|_| Damaged)?,
            role: Role::parse(&who.role).ok_or(Damaged)?,
            name: who.name,
            phone: who
                .phone
                .map(|phone| PhoneNumber::from_e164(&phone))
                .transpose()
                .map_err(|_| Damaged)?,
            email: who.email,
            mission: who.mission.map(RoomId::new).transpose().map_err(|_| Damaged)?,
            device: who
                .device
                .map(|id| DeviceId::new(&id))
                .transpose()
                .map_err(|_| Damaged)?,
            scopes,
        };
        Ok(Self::new(identity, who.expires_at_ms.map(Timestamp::from_ms)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{ServiceName, UserId};
    use crate::domain::people::Subject;

    #[test]
    fn whoever_asked_is_read_as_they_were_written() {
        let device = DeviceId::from_random([7; 16]);
        let service = ServiceName::new("dispatch").unwrap();
        let user = Identity {
            subject: Subject::User(UserId::new("u|1 ä").unwrap()),
            role: Role::Rescuer,
            name: Some("Ana \"A\"".into()),
            phone: Some(PhoneNumber::from_e164("+639171234567").unwrap()),
            email: Some("ana@example.org".into()),
            mission: Some(RoomId::new("sos-1").unwrap()),
            device: Some(device),
            scopes: [Scope::MessagesWrite, Scope::IncidentsRead].into_iter().collect(),
        };
        for caller in [
            Caller::new(Identity::device(device), None),
            Caller::new(Identity::service(service, Scopes::NONE), None),
            Caller::new(user, Some(Timestamp::from_ms(1_800_000_000_123))),
        ] {
            let text = serde_json::to_string(&Who::from(&caller)).unwrap();
            let read: Who = serde_json::from_str(&text).unwrap();
            assert_eq!(Caller::try_from(read).ok(), Some(caller));
        }
    }

    #[test]
    fn what_a_newer_node_adds_is_skipped_and_a_scope_that_is_not_known_allows_nothing() {
        let text = r#"{"subject":"u:1","role":"CITIZEN","scopes":["stars:move"],"planet":3}"#;
        let read: Who = serde_json::from_str(text).unwrap();
        let caller = Caller::try_from(read).ok().unwrap();
        assert_eq!(caller.identity.scopes, Scopes::NONE);
        let bad = r#"{"subject":"x:1","role":"CITIZEN"}"#;
        assert!(Caller::try_from(serde_json::from_str::<Who>(bad).unwrap()).is_err());
    }
}
