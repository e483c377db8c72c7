//! Those who come back: what is durable after their `since` is sent first, then they hear what everybody
//! hears. Nothing twice, nothing missing, and the room never waits for them.

use std::sync::Arc;

use actix::{ActorFutureExt, AsyncContext, Context, WrapFuture};

use super::actor::RoomActor;
use crate::actors::session::{SessionId, SessionShared};
use crate::delivery::{CloseReason, Frame, Listener};
use crate::domain::ids::ParticipantId;
use crate::domain::room::{Event, Seq};

/// How many events are read at once for somebody who catches up.
const PAGE: usize = 100;

impl RoomActor {
    /// Sends a session what it missed between `since` and `upto`, then lets it listen if `listen`. What does not
    /// fit into its outbox comes as fast as it reads.
    pub(super) fn catch_up(
        &mut self,
        session: &Arc<SessionShared>,
        participant: ParticipantId,
        since: Seq,
        upto: Seq,
        listen: bool,
        ctx: &mut Context<Self>,
    ) {
        let (bytes_max, queued) = (self.node.settings.catch_up_bytes, session.outbox().queued_bytes());
        let fits = |frames: u64| queued as u64 + frames <= bytes_max as u64;
        if let Some(bytes) = self.core.recent.bytes_after(since, upto)
            && session.speaks_json()
            && fits(bytes)
        {
            self.core
                .recent
                .after(since, upto)
                .for_each(|frame| session.push(frame));
            if listen {
                self.listen(session, participant);
            }
            return;
        }
        if listen {
            self.shared.update(session.id(), |seat| seat.behind = Some(since));
        }
        self.read_page(Arc::clone(session), since, (!listen).then_some(upto), ctx);
    }

    /// Adds a seated session to those who hear what everybody hears.
    pub(super) fn listen(&mut self, session: &Arc<SessionShared>, participant: ParticipantId) {
        self.shared.update(session.id(), |seat| seat.behind = None);
        let token = self.audience.admit(Listener {
            outbox: Arc::clone(session.outbox()),
            origin: participant.bits(),
            tongue: session.tongue(),
            own: session.own(),
        });
        if let Some(old) = self.tokens.insert(session.id(), token) {
            self.audience.remove(old);
        }
    }

    /// Sends the frames of `log` after `since` up to `upto`, as far as they fit. Answers how far it came.
    pub(super) fn send_log(&self, session: &SessionShared, log: &[Event], since: Seq, upto: Seq) -> Seq {
        let mut reached = since;
        for event in log.iter().filter(|event| event.seq > since && event.seq <= upto) {
            if session.outbox().queued_bytes() > self.node.settings.catch_up_bytes {
                return reached;
            }
            if !session.speaks_json() {
                session.tell(event, &self.words(event), self.shared.number());
            } else if let Some(bytes) = self.encode(event, None) {
                session.push(&Frame::text(&bytes));
            }
            reached = event.seq;
        }
        reached
    }

    /// Reads a page of the log for one session, when its outbox has room for it. With `stop` it listens
    /// already and only a gap is filled; without, it listens once it has caught up.
    fn read_page(
        &mut self,
        session: Arc<SessionShared>,
        after: Seq,
        stop: Option<Seq>,
        ctx: &mut Context<Self>,
    ) {
        let (node, room) = (Arc::clone(&self.node), self.id.clone());
        let drained = session.outbox().drained(self.node.settings.catch_up_bytes / 2);
        let read = async move {
            drained.await;
            node.store.events(&room, after, PAGE).await
        };
        ctx.spawn(read.into_actor(self).map(move |page, act, ctx| {
            let Ok(page) = page else {
                // It comes back with the `since` it has.
                session.close(CloseReason::ServerError);
                return;
            };
            // It may have left meanwhile, or left and come back to begin anew.
            let seat = act.shared.seat(session.id());
            let ours = seat.is_some_and(|seat| stop.is_some() || seat.behind == Some(after));
            if !session.is_open() || !ours {
                return;
            }
            let upto = stop.unwrap_or_else(|| act.shared.announced());
            let sent = act.send_log(&session, &page, after, upto);
            let reached = if page.is_empty() { upto } else { sent };
            match stop {
                Some(stop) if reached >= stop => {}
                None if reached >= act.shared.announced() => act.caught_up(&session),
                _ => {
                    if stop.is_none() {
                        act.shared
                            .update(session.id(), |seat| seat.behind = Some(reached));
                    }
                    act.read_page(session, reached, stop, ctx);
                }
            }
        }));
    }

    fn caught_up(&mut self, session: &Arc<SessionShared>) {
        if let Some(seat) = self.shared.seat(session.id()) {
            self.listen(session, seat.participant);
            self.send_newest(session, seat.participant);
        }
    }

    /// Where everybody is, as far as that is known.
    pub(super) fn send_newest(&self, session: &SessionShared, except: ParticipantId) {
        let now = self.node.now();
        let stale_after = self.node.settings.stale_after;
        for (who, fix) in self.core.present_positions(stale_after, now) {
            if who != except {
                let key = self.signal_key(who);
                if let Some(frame) = self.with_fix(who, fix, |message| session.frame(message, now)) {
                    session.push_signal(key, &frame);
                }
            }
        }
    }

    /// Somebody's connection has ended; nobody hears of it while they have another one.
    pub(super) fn is_seated(&self, session: SessionId) -> bool {
        self.tokens.contains_key(&session) || self.shared.seat(session).is_some()
    }
}
