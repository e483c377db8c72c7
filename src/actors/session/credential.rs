//! How long a session's credential is good, what its client hears before the end, and how it is renewed on the
//! open socket.

use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt, AsyncContext, Context, SpawnHandle, WrapFuture};
use futures_util::future::LocalBoxFuture;

use super::actor::SessionActor;
use super::shared::SessionShared;
use crate::actors::settings::Settings;
use crate::delivery::CloseReason;
use crate::domain::people::Identity;
use crate::domain::time::Timestamp;
use crate::wire::json::ServerMessage;

/// Who a token's bearer is and when it ends; else why it is no good, for the client to read.
pub type Judged = Result<(Identity, Timestamp), String>;

/// Judges a token that a client sends on its open socket. Sessions know no HTTP and no keys.
pub trait Credentials: Send + Sync {
    /// Who its bearer is and when it ends; else why it is no good, for the client to read. Takes a bounded time.
    fn judge(self: Arc<Self>, token: String) -> LocalBoxFuture<'static, Judged>;
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
pub struct Lease {
    expires_at: Option<Timestamp>,
    judge: Arc<dyn Credentials>,
    /// The client was told that the end is near.
    warned: bool,
    /// A new token is being looked at.
    judging: bool,
    timer: Option<SpawnHandle>,
}

/// Why a new token is not taken; the session stays as it is.
#[derive(Clone, Debug)]
pub struct NotRenewed {
    /// For programs.
    pub code: &'static str,
    /// For people.
    pub message: String,
}

impl Lease {
    /// One that begins now.
    pub fn new(expires_at: Option<Timestamp>, judge: Arc<dyn Credentials>) -> Self {
        Self {
            expires_at,
            judge,
            warned: false,
            judging: false,
            timer: None,
        }
    }

    /// Warns and closes when it is time. Answers after how long to look again. The clock has the last word: whoever
    /// looks too early is told to look again.
    pub fn look(&mut self, session: &SessionShared, now: Timestamp, settings: &Settings) -> Option<Duration> {
        let expires_at = self.expires_at?;
        let end = expires_at + settings.credential_leeway;
        if now >= end {
            session.close(CloseReason::CredentialExpired);
            return None;
        }
        let warn_at = expires_at.before(settings.expiry_warning);
        let warns = !settings.expiry_warning.is_zero() && !self.warned;
        if warns && now >= warn_at {
            self.warned = true;
            session.send(&ServerMessage::CredentialExpiring { expires_at }, now);
        }
        let next = if self.warned || !warns { end } else { warn_at };
        Some(next.since(now))
    }

    /// The timer of the next look; the one before it, if it still runs.
    pub fn set_timer(&mut self, timer: Option<SpawnHandle>) -> Option<SpawnHandle> {
        std::mem::replace(&mut self.timer, timer)
    }

    /// Has a new token judged.
    ///
    /// # Errors
    /// When the one before it still is.
    pub fn judge(&mut self, token: String) -> Result<LocalBoxFuture<'static, Judged>, NotRenewed> {
        if std::mem::replace(&mut self.judging, true) {
            return Err(NotRenewed {
                code: "BUSY",
                message: "the token before this one is still being looked at".to_owned(),
            });
        }
        Ok(Arc::clone(&self.judge).judge(token))
    }

    /// Takes a judged token of the same bearer in the old one's place, and tells so.
    ///
    /// # Errors
    /// When it is no good, or another's.
    pub fn renew(
        &mut self,
        session: &SessionShared,
        judged: Judged,
        now: Timestamp,
    ) -> Result<(), NotRenewed> {
        self.judging = false;
        let (identity, expires_at) = judged.map_err(|message| NotRenewed {
            code: "UNAUTHENTICATED",
            message,
        })?;
        if let Some(what) = difference(session.identity(), &identity) {
            return Err(NotRenewed {
                code: "CREDENTIAL_CHANGED",
                message: format!("the token's {what} is another: connect again with it"),
            });
        }
        self.expires_at = Some(expires_at);
        self.warned = false;
        session.send(&ServerMessage::CredentialRefreshed { expires_at }, now);
        Ok(())
    }
}

impl SessionActor {
    /// Warns and closes when it is time, and otherwise sets the timer for the next of the two.
    pub(super) fn mind_the_end(&mut self, ctx: &mut Context<Self>) {
        let now = self.node.now();
        let next = self.lease.look(&self.shared, now, &self.node.settings);
        let timer = next.map(|delay| ctx.run_later(delay, Self::mind_the_end));
        self.lease.set_timer(timer);
    }

    /// Takes a new token of the same bearer in the old one's place. The socket stays open in any case.
    pub(super) fn renew(&mut self, token: String, ctx: &mut Context<Self>) {
        let judging = match self.lease.judge(token) {
            Ok(judging) => judging,
            Err(why) => return self.refuse_token(&why),
        };
        // Beside everything else: an SOS does not wait for it.
        ctx.spawn(judging.into_actor(self).map(|judged, act, ctx| {
            match act.lease.renew(&act.shared, judged, act.node.now()) {
                Ok(()) => {
                    if let Some(timer) = act.lease.set_timer(None) {
                        ctx.cancel_future(timer);
                    }
                    act.mind_the_end(ctx);
                }
                Err(why) => act.refuse_token(&why),
            }
        }));
    }

    fn refuse_token(&self, why: &NotRenewed) {
        self.node.observer.refused(why.code);
        let error = ServerMessage::Error {
            code: why.code,
            message: &why.message,
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
