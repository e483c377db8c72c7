//! Who sits in which namespace of a connection: let in, where they were or anew, and for as long as their credential is good.

use std::sync::Arc;
use std::time::Instant;

use actix::{ActorFutureExt, AsyncContext, WrapFuture};

use super::actor::{Ctx, SocketIoActor};
use super::admin::ADMIN;
use super::commands::Client;
use super::door::Admitted;
use super::events::Asked;
use super::outcome::{Done, Refused};
use super::resume;
use super::seat::Seat;
use crate::actors::clock::random;
use crate::delivery::CloseReason;
use crate::wire::socketio::{ConnectError, Namespace, Resume};

impl SocketIoActor {
    pub(super) fn turn_away(&mut self, namespace: &Namespace, error: &ConnectError, ctx: &mut Ctx) {
        self.connection.refuse(namespace, error);
        self.carry(ctx);
    }

    /// Somebody may sit down: where they were, if they show that they were there, or anew.
    pub(super) fn admit(
        &mut self,
        namespace: Namespace,
        admitted: Admitted,
        resume: Option<Resume>,
        ctx: &mut Ctx,
    ) {
        let who = Arc::clone(&admitted.credential.identity);
        let known = resume.and_then(|resume| {
            let sid = self.door.sid_of(&namespace, &who.subject, &resume.pid)?;
            Some((sid, resume.pid, resume.offset))
        });
        let (node, events_max) = (Arc::clone(&self.node), self.settings.recovery_max_events);
        let find = async move {
            let (sid, pid, offset) = known?;
            let resumed = resume::find(&node, &who, &offset, events_max).await?;
            Some((sid, pid, resumed))
        };
        ctx.spawn(find.into_actor(self).map(move |found, act, ctx| {
            let resumed = act.seat(&namespace, admitted, found, ctx);
            act.mind_the_end(&namespace, ctx);
            if let Some((resumed, client)) = resumed {
                // After this, as everything that they are told from now on.
                ctx.spawn(resumed.take_up(client).into_actor(act));
            }
            act.carry(ctx);
        }));
    }

    pub(super) fn seat(
        &mut self,
        namespace: &Namespace,
        admitted: Admitted,
        found: Option<(String, String, resume::Resumed)>,
        ctx: &mut Ctx,
    ) -> Option<(resume::Resumed, Client)> {
        let begun = Instant::now();
        // Operators go on by the cursor of their feed.
        let recovers = self.settings.protocol.recovery && *namespace != ADMIN;
        let whose = &admitted.credential.identity.subject;
        let (sid, pid, resumed) = match found {
            Some((sid, pid, resumed)) => (sid, Some(pid), Some(resumed)),
            None => {
                let sid = hex::encode(random::<10>());
                let pid = recovers.then(|| self.door.pid(namespace, whose, &sid));
                (sid, pid, None)
            }
        };
        if !self.connection.accept(namespace, &sid, pid.as_deref()) {
            return None;
        }
        // What greets them leaves before anything that is put into their outbox.
        self.carry(ctx);
        let seat = Seat::take(&self.node, &self.outbox, namespace.clone(), admitted, recovers);
        let client = self.client(&seat);
        let held = self
            .node
            .blocks
            .holds(&seat.session.identity().subject, self.node.now());
        let session = Arc::clone(&seat.session);
        self.seats.push(seat);
        self.note();
        self.node.observer.connected(begun.elapsed());
        // Blocked while it was opened: whoever closes sessions has not seen this one.
        if held {
            session.close(CloseReason::Forbidden);
        }
        resumed.map(|resumed| (resumed, client))
    }

    pub(super) fn client(&self, seat: &Seat) -> Client {
        Client {
            node: Arc::clone(&self.node),
            batcher: self.batcher.clone(),
            session: Arc::clone(&seat.session),
        }
    }

    pub(super) fn stand_up(&mut self, namespace: &Namespace) {
        if let Some(at) = self.seats.iter().position(|seat| seat.namespace == *namespace) {
            self.seats.swap_remove(at).leave(&self.node);
        }
    }

    /// They are here. Worth a note now and then.
    pub(super) fn note(&mut self) {
        let now = self.node.now();
        if now.since(self.noted) >= self.node.settings.devices_seen_every {
            self.noted = now;
            for seat in &self.seats {
                self.node.saw(seat.session.identity());
            }
        }
    }

    pub(super) fn renew(&mut self, asked: Asked, token: String, ctx: &mut Ctx) {
        let seat = self
            .seats
            .iter_mut()
            .find(|seat| seat.namespace == asked.namespace);
        let Some(seat) = seat else { return };
        let judging = match seat.lease.judge(token) {
            Ok(judging) => judging,
            Err(why) => return self.refuse(&asked, &Refused::new(why.code, why.message)),
        };
        ctx.spawn(judging.into_actor(self).map(move |judged, act, ctx| {
            let now = act.node.now();
            let seat = act
                .seats
                .iter_mut()
                .find(|seat| seat.namespace == asked.namespace);
            let Some(seat) = seat else { return };
            match seat.lease.renew(&seat.session, judged, now) {
                Ok(()) => act.done(&asked, &Done::nothing()),
                Err(why) => act.refuse(&asked, &Refused::new(why.code, why.message)),
            }
            act.mind_the_end(&asked.namespace, ctx);
            act.carry(ctx);
        }));
    }

    /// Warns and closes when a seat's credential ends.
    pub(super) fn mind_the_end(&mut self, namespace: &Namespace, ctx: &mut Ctx) {
        let now = self.node.now();
        let settings = &self.node.settings;
        let Some(seat) = self.seats.iter_mut().find(|seat| seat.namespace == *namespace) else {
            return;
        };
        let next = seat.lease.look(&seat.session, now, settings);
        let timer = next.map(|delay| {
            let namespace = namespace.clone();
            ctx.run_later(delay, move |act, ctx| act.mind_the_end(&namespace, ctx))
        });
        if let Some(before) = seat.lease.set_timer(timer) {
            ctx.cancel_future(before);
        }
    }
}
