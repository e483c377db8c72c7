//! Coming back (Socket.IO's connection state recovery): a client that shows the secret of the seat it had, and how far
//! it was in each incident, sits down there again and is told what it missed, by the log. Whose seat it was is judged
//! by who it is now; nobody skips the door.

use std::sync::Arc;

use super::commands::Client;
use crate::actors::error::CommandError;
use crate::actors::node::Node;
use crate::actors::room::{Act, By, Manner, Reply, RoomView};
use crate::actors::session::SessionShared;
use crate::actors::session::voice::read_offset;
use crate::delivery::Mark;
use crate::domain::ids::RoomId;
use crate::domain::people::Identity;
use crate::domain::room::{Command, Event, Seq, UserType};
use crate::wire::incident::encode_event;

/// No room has this number: the one of incidents that are over.
const OVER: u64 = 0;

/// Where somebody was, and is to be again.
#[derive(Debug, Default)]
pub(super) struct Resumed {
    /// Incidents that they are in, and how far they were.
    open: Vec<(RoomId, Seq)>,
    /// Incidents that ended meanwhile, and what happened in them until then.
    over: Vec<(Box<RoomView>, Seq, Vec<Event>)>,
}

/// Finds what `who` missed since `offset`; `None` when that is not known, or they are where they were no more: they
/// begin anew.
pub(super) async fn find(
    node: &Node,
    who: &Arc<Identity>,
    offset: &str,
    events_max: usize,
) -> Option<Resumed> {
    let places = read_offset(offset, node.settings.session_rooms_max)?;
    let memberships = node.memberships.once(&who.subject).await.ok()?;
    let mut resumed = Resumed::default();
    for (room, seq) in places {
        let view = node.room(&room).view(Some(Arc::clone(who))).await.ok()?;
        let missed = view.state.seq.get().checked_sub(seq.get())?;
        let missed = usize::try_from(missed)
            .ok()
            .filter(|missed| *missed <= events_max)?;
        if memberships.iter().any(|known| known.room == room) {
            resumed.open.push((room, seq));
        } else if view.inside && view.state.incident.is_some() && !view.state.is_open() {
            let events = node.store.events(&room, seq, missed).await.ok()?;
            resumed.over.push((view, seq, events));
        } else {
            return None;
        }
    }
    Some(resumed)
}

impl Resumed {
    /// Tells the session what ended without it, and has it sit down where it was.
    pub async fn take_up(self, client: Client) {
        for (view, seq, events) in self.over {
            tell_end(&client.session, &view, seq, &events);
        }
        let seats = self.open.into_iter().map(|(room, since)| {
            let session = Arc::clone(&client.session);
            let by = By::Person(Arc::clone(session.identity()), Some(session));
            let user_type = UserType::Citizen;
            let mut act = Act::new(by, Command::Join { user_type }, Reply::nobody());
            act.since = Some(since);
            act.manner = Manner::Resumed;
            let client = &client;
            async move {
                let seated = match client.hand(&room, act) {
                    Ok(answer) => answer.await.map(drop),
                    Err(error) => Err(error),
                };
                if let Err(error) = seated {
                    client.lost(&error);
                }
            }
        });
        futures_util::future::join_all(seats).await;
    }
}

impl Client {
    /// It was to come back to a room, and has not: it must not believe that it is there.
    fn lost(&self, error: &CommandError) {
        tracing::debug!(session = %self.session.id(), code = error.code(), "could not take up a seat");
        self.session.close(crate::delivery::CloseReason::ServerError);
    }
}

fn tell_end(session: &SessionShared, view: &RoomView, seq: Seq, events: &[Event]) {
    let room = &view.state.id;
    let mark = Mark {
        room: OVER,
        seq: seq.get(),
    };
    session.begin(room, mark, None, session.now());
    for event in events {
        let people = |who| view.people.iter().find(|person| person.participant == who);
        let came_as = |who| view.state.participants.get(&who).map(|stay| stay.user_type);
        session.tell(event, &encode_event(event, &people, &came_as), OVER);
    }
    session.exit(room);
}
