//! What clients say on a connection, and how they are told what became of it.

use actix::{ActorFutureExt, AsyncContext, WrapFuture};

use super::actor::{Ctx, SocketIoActor};
use super::admin::{self, ADMIN};
use super::outcome::{Done, Refused};
use crate::delivery::CloseReason;
use crate::wire::Reading;
use crate::wire::incident::admin::{self as admin_words, AdminMessage};
use crate::wire::incident::{self, ClientMessage, UNKNOWN_EVENT, Word};
use crate::wire::socketio::{Args, Encoded, Namespace};

/// The longest message, in characters (protocol page, section 3).
const CONTENT_MAX_CHARS: usize = 2000;

/// Who waits for what became of an event.
pub(super) struct Asked {
    pub namespace: Namespace,
    /// The acknowledgement that is wanted.
    pub id: Option<u64>,
}

impl SocketIoActor {
    pub(super) fn event(&mut self, asked: Asked, name: &str, args: &Args, ctx: &mut Ctx) {
        let now = self.node.now();
        if !self.budget.take(now) {
            self.too_many(&asked);
            return;
        }
        self.refused = 0;
        self.note();
        let reading = Reading {
            now,
            max_ahead: self.node.settings.locations.max_ahead,
            radius_max_km: self.node.settings.radius_max_km,
            content_max_chars: CONTENT_MAX_CHARS,
        };
        let Some(seat) = self.seats.iter().find(|seat| seat.namespace == asked.namespace) else {
            return;
        };
        let client = self.client(seat);
        if seat.namespace == ADMIN {
            return self.operate(&asked, name, args, &reading, ctx);
        }
        match incident::parse(name, args, &reading) {
            Ok(ClientMessage::RefreshCredential { token }) => self.renew(asked, token.reveal(), ctx),
            Ok(_) if self.pending >= self.settings.pending_max => {
                self.refuse(
                    &asked,
                    &Refused::new("BUSY", "too much waits for answers already"),
                );
            }
            Ok(message) => {
                self.pending += 1;
                self.queue.push_back((asked, client, message));
                self.hand_next(ctx);
            }
            Err(error) => self.refuse(&asked, &error.into()),
        }
    }

    /// What an operator says: which events they want, and what keeps their connection.
    pub(super) fn operate(
        &mut self,
        asked: &Asked,
        name: &str,
        args: &Args,
        reading: &Reading,
        ctx: &mut Ctx,
    ) {
        let radius_max_km = self.node.ops.radius_max_km();
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.namespace == ADMIN) else {
            return;
        };
        let done = match admin_words::parse(name, args, radius_max_km) {
            Ok(Some(AdminMessage::Subscribe { filter, cursor })) => {
                // The one before ends first: nothing comes twice.
                seat.following = None;
                admin::follow(&self.node, &seat.session, filter, cursor.as_deref()).map(
                    |(following, done)| {
                        seat.following = Some(following);
                        done
                    },
                )
            }
            Ok(Some(AdminMessage::Unsubscribe)) => {
                seat.following = None;
                Ok(Done::nothing())
            }
            Ok(None) => match incident::parse(name, args, reading) {
                Ok(ClientMessage::Ping { echo }) => Ok(Done::saying(incident::pong(&echo, reading.now))),
                Ok(ClientMessage::Heartbeat) => Ok(Done::saying(incident::heartbeat(reading.now))),
                Ok(ClientMessage::RefreshCredential { token }) => {
                    let asked = Asked {
                        namespace: asked.namespace.clone(),
                        id: asked.id,
                    };
                    return self.renew(asked, token.reveal(), ctx);
                }
                Ok(_) => Err(Refused::new(
                    UNKNOWN_EVENT,
                    "there is no such event in this namespace",
                )),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        };
        match done {
            Ok(done) => self.done(asked, &done),
            Err(refused) => self.refuse(asked, &refused),
        }
    }

    /// One too many is refused; whoever goes on all the same is sent away.
    pub(super) fn too_many(&mut self, asked: &Asked) {
        self.refused += 1;
        if self.refused > self.settings.refused_max {
            let _ = self.outbox.close(CloseReason::TooManyMessages);
            return;
        }
        let wait = self.budget.wait().as_secs() + 1;
        let refused = Refused::new("RATE_LIMITED", format!("Too many, come back in {wait} s"));
        self.refuse(asked, &refused);
    }

    /// Hands on what waits, one after the other.
    pub(super) fn hand_next(&mut self, ctx: &mut Ctx) {
        if self.handing {
            return;
        }
        let Some((asked, client, message)) = self.queue.pop_front() else {
            return;
        };
        self.handing = true;
        ctx.spawn(client.begin(message).into_actor(self).map(|answer, act, ctx| {
            act.handing = false;
            ctx.spawn(answer.into_actor(act).map(move |answer, act, ctx| {
                act.pending -= 1;
                match answer {
                    Ok(done) => act.done(&asked, &done),
                    Err(refused) => act.refuse(&asked, &refused),
                }
                act.carry(ctx);
            }));
            act.hand_next(ctx);
        }));
    }

    pub(super) fn done(&mut self, asked: &Asked, done: &Done) {
        if let Some(word) = &done.word {
            self.say(&asked.namespace, word);
        }
        if let Some(id) = asked.id {
            let args = Args::build().encoded(&done.ack()).done();
            let _ = self.connection.ack(&asked.namespace, id, args);
        }
    }

    pub(super) fn refuse(&mut self, asked: &Asked, refused: &Refused) {
        self.node.observer.refused(refused.code);
        self.say(&asked.namespace, &refused.word());
        if let Some(id) = asked.id {
            let args = Args::build().encoded(&refused.ack()).done();
            let _ = self.connection.ack(&asked.namespace, id, args);
        }
    }

    pub(super) fn say(&mut self, namespace: &Namespace, word: &Word) {
        let encoded = Encoded::event(namespace, None, word.name, &word.args());
        let _ = self.connection.send(namespace, encoded);
    }
}
