//! How long a session's credential is good, what its client hears before the end, and how it is renewed on the
//! open socket.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use futures_util::future::LocalBoxFuture;

use super::actor::SessionActor;
use crate::delivery::CloseReason;
use crate::domain::people::Identity;
use crate::domain::time::Timestamp;
use crate::wire::json::ServerMessage;

/// Judges a token that a client sends on its open socket. Sessions know no HTTP and no keys.
pub trait Credentials: Send + Sync {
    /// Who its bearer is and when it ends; else why it is no good, for the client to read. Takes a bounded time.
    fn judge(
        self: Arc<Self>,
        token: String,
    ) -> LocalBoxFuture<'static, Result<(Identity, Timestamp), String>>;
}

/// Who opened a connection, and how long they may stay.
pub struct Credential {
    /// Who.
    pub identity: Arc<Identity>,
    /// When it ends; `None`: it does not.
    pub expires_at: Option<Timestamp>,
    /// Who judges the next one.
    pub judge: Arc<dyn Credentials>,
}

/// The session's part of it.
pub(super) struct Lease {
    expires_at: Option<Timestamp>,
    judge: Arc<dyn Credentials>,
    /// The client was told that the end is near.
    warned: bool,
    /// A new token is being looked at.
    judging: bool,
    timer: Option<SpawnHandle>,
}

impl Lease {
    pub fn new(expires_at: Option<Timestamp>, judge: Arc<dyn Credentials>) -> Self {
        Self {
            expires_at,
            judge,
            warned: false,
            judging: false,
            timer: None,
        }
    }
}

impl SessionActor {
    /// Warns and closes when it is time, and otherwise sets the timer for the next of the two. The clock has the
    /// last word: a timer that was early is set again.
    pub(super) fn mind_the_end(&mut self, ctx: &mut Context<Self>) {
        let Some(expires_at) = self.lease.expires_at else {
            return;
        };
        let (now, settings) = (self.node.now(), &self.node.settings);
        let end = expires_at + settings.credential_leeway;
        if now >= end {
            self.shared.close(CloseReason::CredentialExpired);
            return;
        }
        let warn_at = expires_at.before(settings.expiry_warning);
        let warns = !settings.expiry_warning.is_zero() && !self.lease.warned;
        if warns && now >= warn_at {
            self.lease.warned = true;
            self.shared
                .send(&ServerMessage::CredentialExpiring { expires_at }, now);
        }
        let next = if self.lease.warned || !warns { end } else { warn_at };
        let timer = ctx.run_later(next.since(now), Self::mind_the_end);
        self.lease.timer = Some(timer);
    }

    /// Takes a new token of the same bearer in the old one's place. The socket stays open in any case.
    pub(super) fn renew(&mut self, token: String, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.lease.judging, true) {
            self.refuse_token("BUSY", "the token before this one is still being looked at");
            return;
        }
        let judging = Arc::clone(&self.lease.judge).judge(token);
        // Beside everything else: an SOS does not wait for it.
        ctx.spawn(judging.into_actor(self).map(|judged, act, ctx| {
            act.lease.judging = false;
            match judged {
                Ok((identity, expires_at)) => act.take_over(&identity, expires_at, ctx),
                Err(why) => act.refuse_token("UNAUTHENTICATED", &why),
            }
        }));
    }

    fn take_over(&mut self, identity: &Identity, expires_at: Timestamp, ctx: &mut Context<Self>) {
        if let Some(what) = difference(self.shared.identity(), identity) {
            let message = format!("the token's {what} is another: connect again with it");
            self.refuse_token("CREDENTIAL_CHANGED", &message);
            return;
        }
        if let Some(timer) = self.lease.timer.take() {
            ctx.cancel_future(timer);
        }
        self.lease.expires_at = Some(expires_at);
        self.lease.warned = false;
        let refreshed = ServerMessage::CredentialRefreshed { expires_at };
        self.shared.send(&refreshed, self.node.now());
        self.mind_the_end(ctx);
    }

    fn refuse_token(&self, code: &'static str, message: &str) {
        self.node.observer.refused(code);
        let error = ServerMessage::Error {
            code,
            message,
            field: Some("token"),
        };
        self.shared.send(&error, self.node.now());
    }
}

/// What `new` says of its bearer that `old` did not: rooms and areas know the session by the old one, and what
/// somebody may do must not hang on when they asked.
fn difference(old: &Identity, new: &Identity) -> Option<&'static str> {
    [
        ("subject", old.subject == new.subject),
        ("mission", old.mission == new.mission),
        ("scopes", old.scopes == new.scopes),
        ("role", old.role == new.role),
        ("phone number", old.phone == new.phone),
        ("name", old.name == new.name),
        ("email", old.email == new.email),
    ]
    .into_iter()
    .find_map(|(what, same)| (!same).then_some(what))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::DeviceId;
    use crate::domain::people::Role;
    use crate::domain::scopes::{Scope, Scopes};
    use crate::domain::testing::room;

    #[test]
    fn a_new_token_must_say_the_same_of_its_bearer() {
        let old = Identity::device(DeviceId::from_random([1; 16]));
        assert_eq!(difference(&old, &old.clone()), None);
        let changed = |change: &dyn Fn(&mut Identity)| {
            let mut new = old.clone();
            change(&mut new);
            difference(&old, &new)
        };
        let other = Identity::device(DeviceId::from_random([2; 16])).subject;
        assert_eq!(changed(&|new| new.subject = other.clone()), Some("subject"));
        assert_eq!(changed(&|new| new.mission = Some(room("sos"))), Some("mission"));
        let less = Scopes::from(Scope::IncidentsRead);
        assert_eq!(changed(&|new| new.scopes = less), Some("scopes"));
        assert_eq!(changed(&|new| new.role = Role::Admin), Some("role"));
        assert_eq!(changed(&|new| new.name = Some("x".into())), Some("name"));
        assert_eq!(changed(&|new| new.email = Some("x".into())), Some("email"));
    }
}
