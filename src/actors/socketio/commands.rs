//! What an incident client wants, and where it goes.
//!
//! A command is begun when the one before it was handed to its room, so that rooms meet them in the order in which they
//! were sent; their answers come as they come.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, ready};
use tokio::sync::oneshot;

use super::outcome::{Done, Refused};
use crate::actors::batcher::{Batchers, Upload};
use crate::actors::clock::random;
use crate::actors::engine::earlier;
use crate::actors::error::CommandError;
use crate::actors::node::Node;
use crate::actors::room::{Act, By, Look, Manner, Outcome, Reply, RoomView, Work};
use crate::actors::session::SessionShared;
use crate::domain::geo::Fix;
use crate::domain::ids::{MessageId, ParticipantId, RoomId};
use crate::domain::incident::Status;
use crate::domain::people::Role;
use crate::domain::pin::PinEntry;
use crate::domain::room::{Command, Means, Proof, Rejection, RoomKind, UserType};
use crate::domain::scopes::Scope;
use crate::store::Membership;
use crate::wire::incident::{ClientMessage, Said, UNAUTHORIZED, UNAUTHORIZED_SOS, history_response};
use crate::wire::incident::{heartbeat, participants_response, pong};
use crate::wire::json::ServerMessage;
use crate::wire::rest::{ParticipantView, Sender};

/// What is still to come of a command that was begun.
pub(super) type Answer = LocalBoxFuture<'static, Result<Done, Refused>>;

/// Somebody on a seat, as commands know them.
#[derive(Clone)]
pub(super) struct Client {
    pub node: Arc<Node>,
    pub batcher: Batchers,
    pub session: Arc<SessionShared>,
}

impl Client {
    /// Hands a command to where it belongs.
    pub async fn begin(self, message: ClientMessage) -> Answer {
        let begun = match message {
            ClientMessage::Join {
                sos,
                user_type,
                display_name,
            } => self.join(sos, user_type, display_name),
            ClientMessage::Location { sos, fix, .. } => {
                self.locate(&sos, fix).await.map(|()| done(Done::of(&sos)))
            }
            ClientMessage::RescuerLocation { sos, fix, arrived } => self.rescue(sos, fix, arrived).await,
            ClientMessage::Leave { sos } => self.act(sos, Command::Leave),
            ClientMessage::Acknowledge { sos } => {
                self.act(sos, Command::Acknowledge { means: Means::Socket })
            }
            ClientMessage::Close { sos } => self.set_status(sos, (Status::Closed, false), Proof::Nothing),
            ClientMessage::SetStatus {
                sos,
                status,
                lower_case,
                pin: None,
            } => self.set_status(sos, (status, lower_case), Proof::Nothing),
            ClientMessage::SetStatus {
                sos,
                status,
                lower_case,
                pin: Some(pin),
            } => Ok(self.prove(sos, (status, lower_case), pin).boxed_local()),
            ClientMessage::Message { sos, content, id } => self.say(sos, content, id),
            ClientMessage::Typing {
                sos,
                on,
                display_name,
            } => self.type_on(&sos, on, display_name),
            ClientMessage::History { sos, limit, skip } => Ok(self.history(sos, limit, skip).boxed_local()),
            ClientMessage::Participants { sos } => Ok(self.participants(sos).boxed_local()),
            ClientMessage::Ping { echo } => Ok(done(Done::saying(pong(&echo, self.node.now())))),
            ClientMessage::Heartbeat => Ok(done(Done::saying(heartbeat(self.node.now())))),
            ClientMessage::RefreshCredential { .. } => {
                Err(Refused::new(UNAUTHORIZED, "credentials are the connection's"))
            }
        };
        begun.unwrap_or_else(|refused| ready(Err(refused)).boxed_local())
    }

    fn act(&self, sos: RoomId, command: Command) -> Result<Answer, Refused> {
        let answer = self.hand(&sos, self.acting(command))?;
        Ok(async move {
            answer
                .await
                .map(|outcome| Done::at(&sos, outcome.seq))
                .map_err(Refused::from)
        }
        .boxed_local())
    }

    fn acting(&self, command: Command) -> Act {
        let by = By::Person(
            Arc::clone(self.session.identity()),
            Some(Arc::clone(&self.session)),
        );
        Act::new(by, command, Reply::nobody())
    }

    /// Gives a room a command now; its answer comes within the time that commands have.
    pub fn hand(
        &self,
        room: &RoomId,
        mut act: Act,
    ) -> Result<impl Future<Output = Result<Outcome, CommandError>> + use<>, CommandError> {
        let (reply, answer) = oneshot::channel();
        act.reply = Reply::call(reply);
        let handed = self.node.room(room).hand_over(Work::Act(Box::new(act)));
        handed.map_err(|(_, error)| error)?;
        let within = self.node.settings.command_timeout;
        Ok(async move { in_time(within, answer).await? })
    }

    /// The room is an incident: this dialect does not reach into circles.
    async fn incident(&self, room: &RoomId) -> Result<(), CommandError> {
        self.node.incident(room, self.session.identity()).await
    }

    fn join(
        &self,
        sos: RoomId,
        user_type: Option<UserType>,
        display_name: Option<String>,
    ) -> Result<Answer, Refused> {
        if !self.session.has_room() && !self.session.is_in(&sos) {
            return Err(Refused::new(
                "TOO_MANY_SOS",
                "This connection is in too many incidents",
            ));
        }
        let mut act = self.acting(Command::Join {
            user_type: user_type.unwrap_or(UserType::Citizen),
        });
        // Only an incident will do; the room asks for one that is not known here.
        act.manner = match user_type {
            Some(_) => Manner::Stated,
            None => Manner::Incident,
        };
        act.display_name = display_name;
        let answer = self.hand(&sos, act)?;
        let client = self.clone();
        let joined = async move {
            match answer.await {
                Ok(outcome) => Ok(Done::at(&sos, outcome.seq)),
                Err(CommandError::Rejected(Rejection::AlreadyIn)) => client.joined_before(&sos).await,
                Err(error) => Err(error.into()),
            }
        };
        Ok(joined.boxed_local())
    }

    /// Whoever asks again is told again, and nobody else.
    async fn joined_before(&self, sos: &RoomId) -> Result<Done, Refused> {
        let view = self.view(sos).await?;
        let Some(participant) = view.viewer else {
            return Err(Rejection::NotIn.into());
        };
        let again = ServerMessage::JoinApproved {
            room: sos,
            seq: view.state.seq,
            recovered: false,
            participant,
        };
        self.session.send(&again, self.node.now());
        Ok(Done::at(sos, view.state.seq))
    }

    /// They end it by their PIN.
    async fn prove(self, sos: RoomId, to: (Status, bool), pin: PinEntry) -> Result<Done, Refused> {
        let who = &self.session.identity().subject;
        let proof = self.node.prove(who, Some(&pin)).await?;
        self.set_status(sos, to, proof)?.await
    }

    fn set_status(
        &self,
        sos: RoomId,
        (to, lower_case): (Status, bool),
        proof: Proof,
    ) -> Result<Answer, Refused> {
        self.act(
            sos,
            Command::SetStatus {
                to,
                expected: None,
                note: None,
                lower_case,
                proof,
            },
        )
    }

    fn say(&self, sos: RoomId, content: String, id: Option<MessageId>) -> Result<Answer, Refused> {
        let id = id.unwrap_or_else(|| MessageId::from_random(random()));
        let command = Command::SendMessage {
            id: id.clone(),
            content,
        };
        let answer = self.hand(&sos, self.acting(command))?;
        let said = async move {
            let seq = match answer.await {
                Ok(outcome) => outcome.seq,
                Err(CommandError::Rejected(Rejection::SentBefore { seq })) => seq,
                Err(error) => return Err(error.into()),
            };
            Ok(Done {
                id: Some(id),
                ..Done::at(&sos, seq)
            })
        };
        Ok(said.boxed_local())
    }

    fn type_on(&self, sos: &RoomId, on: bool, name: Option<String>) -> Result<Answer, Refused> {
        if !self.session.is_in(sos) {
            return Err(Rejection::NotIn.into());
        }
        let session = Arc::clone(&self.session);
        let look = Work::Look(Look::Typing { session, on, name });
        let handed = self.node.room(sos).hand_over(look);
        handed.map_err(|(_, error)| error)?;
        Ok(done(Done::of(sos)))
    }

    /// The newest of a second is told, none is refused for being too many.
    async fn locate(&self, sos: &RoomId, fix: Fix) -> Result<(), Refused> {
        let identity = self.session.identity();
        identity
            .allows(Scope::PositionsWrite)
            .map_err(Rejection::OutOfScope)?;
        let rooms = match self.node.memberships.peek(&identity.subject) {
            Some(rooms) => rooms,
            None => self
                .node
                .memberships
                .get(&identity.subject)
                .await
                .map_err(CommandError::from)?,
        };
        let theirs = |known: &&Membership| {
            known.room == *sos && known.kind == RoomKind::Sos && identity.may_enter(&known.room)
        };
        let Some(target) = rooms.iter().find(theirs) else {
            return Err(Refused::new(UNAUTHORIZED_SOS, "not in this incident"));
        };
        // Nearly everybody is in one room, whose list is shared.
        let targets = if rooms.len() == 1 {
            Arc::clone(&rooms)
        } else {
            Arc::from([target.clone()])
        };
        let upload = Upload::live(identity.subject.clone(), targets, fix);
        self.batcher.offer(upload)?;
        Ok(())
    }

    async fn rescue(&self, sos: RoomId, fix: Fix, arrived: bool) -> Result<Answer, Refused> {
        let identity = self.session.identity();
        let sent = identity.role == Role::Anon && identity.mission.is_some();
        if identity.role != Role::Rescuer && !sent {
            return Err(Refused::new(
                UNAUTHORIZED,
                "only a rescuer sends a rescuer's position",
            ));
        }
        self.locate(&sos, fix).await?;
        if !arrived {
            return Ok(done(Done::of(&sos)));
        }
        let set = self.set_status(sos.clone(), (Status::Arrived, false), Proof::Nothing)?;
        let arrival = async move {
            match set.await {
                // It is there already, or further.
                Err(refused) if refused.is_no_move() => Ok(Done::of(&sos)),
                other => other,
            }
        };
        Ok(arrival.boxed_local())
    }

    async fn view(&self, sos: &RoomId) -> Result<Box<RoomView>, Refused> {
        self.incident(sos).await?;
        let who = Arc::clone(self.session.identity());
        Ok(self.node.room(sos).view(Some(who)).await?)
    }

    async fn history(self, sos: RoomId, limit: usize, skip: usize) -> Result<Done, Refused> {
        let view = self.view(&sos).await?;
        if !view.inside {
            return Err(Refused::new(UNAUTHORIZED_SOS, "not in this incident"));
        }
        let found = self
            .node
            .store
            .messages(&sos, earlier(None, view.until), skip + limit, None)
            .await;
        let found = found.map_err(CommandError::from)?;
        let said: Vec<Said<'_>> = found
            .messages
            .iter()
            .skip(skip)
            .map(|message| Said {
                id: &message.id,
                seq: message.seq,
                at: message.at,
                sender: message.sender.map(|who| sender(&view, who)),
                content: &message.content,
                relay: message.relay.as_ref(),
            })
            .collect();
        Ok(Done {
            word: Some(history_response(&sos, &said)),
            ..Done::at(&sos, view.state.seq)
        })
    }

    async fn participants(self, sos: RoomId) -> Result<Done, Refused> {
        let view = self.view(&sos).await?;
        let active: Vec<_> = view
            .state
            .active_participants()
            .map(|(who, stay)| ParticipantView::of(&sos, who, stay, name(&view, who)))
            .collect();
        let word = participants_response(&sos, &active, active.len(), self.node.now());
        Ok(Done {
            word: Some(word),
            ..Done::at(&sos, view.state.seq)
        })
    }
}

fn done(done: Done) -> Answer {
    ready(Ok(done)).boxed_local()
}

async fn in_time<T>(within: Duration, answer: oneshot::Receiver<T>) -> Result<T, CommandError> {
    match tokio::time::timeout(within, answer).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(_)) => Err(CommandError::Restarted),
        Err(_) => Err(CommandError::TimedOut),
    }
}

fn name(view: &RoomView, who: ParticipantId) -> Option<&str> {
    let person = view.people.iter().find(|person| person.participant == who);
    person.and_then(|person| person.name.as_deref())
}

/// Who said something; they need not ever have been in, when a service passed their words on.
fn sender(view: &RoomView, who: ParticipantId) -> Sender<'_> {
    let known = view.state.participants.get(&who);
    Sender {
        id: who,
        user_type: known.map_or(UserType::Citizen, |known| known.user_type),
        name: name(view, who),
    }
}
