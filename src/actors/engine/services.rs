//! Incidents, as sister services speak of them: they raise one for somebody, move it along, and tell who came, who
//! went, where a rescuer is and what was said elsewhere. What a service's key lets it do was looked at when it asked.

use std::sync::Arc;
use std::time::Instant;

use futures_util::stream::{self, StreamExt};
use smallvec::smallvec;
use tokio::sync::oneshot;

use super::Engine;
use crate::actors::batcher::Upload;
use crate::actors::error::CommandError;
use crate::actors::room::{Act, By, Glimpse, Outcome, Reply};
use crate::domain::geo::Fix;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::{Report, Status, Visibility};
use crate::domain::people::{Identity, Named, Role, Subject};
use crate::domain::room::{Command, Genesis, Proof, Rejection, RoomKind, RoomState, UserType};
use crate::domain::scopes::Scope;
use crate::store::{IncidentQuery, Membership, Sight, StoreError};

/// How many incidents are looked at together.
const LOOK_AT_ONCE: usize = 16;

/// An incident that a service raises for somebody.
#[derive(Clone, Debug, PartialEq)]
pub struct NewSos {
    /// Its id, and its room's.
    pub sos: RoomId,
    /// Whose it is.
    pub citizen: Named,
    /// What is known of it.
    pub report: Report,
}

/// Why a service did not get what it asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServiceError {
    /// The id is some other room's.
    #[error("the id is taken by another room")]
    Taken,
    /// There is such an incident, and it is somebody else's.
    #[error("there is such an incident of another citizen")]
    Differs,
    /// Nobody in the incident is called so.
    #[error("nobody is called so")]
    Nobody,
    /// They are in it, and not as a rescuer.
    #[error("takes part as {}", .0.as_str())]
    NoRescuer(UserType),
    /// Something failed.
    #[error(transparent)]
    Failed(CommandError),
}

impl<E: Into<CommandError>> From<E> for ServiceError {
    fn from(error: E) -> Self {
        match error.into() {
            CommandError::Rejected(Rejection::NoSuchParticipant) => Self::Nobody,
            error => Self::Failed(error),
        }
    }
}

/// A message that was said elsewhere, and is durable here.
#[derive(Clone, Debug)]
pub struct PassedOn {
    /// What the room made of it; `None`: it was passed on before.
    pub outcome: Option<Outcome>,
    /// Its place in the log.
    pub seq: crate::domain::room::Seq,
}

/// A rescuer of an incident, as far as a position of theirs is concerned.
struct Rescuer {
    participant: ParticipantId,
    subject: Subject,
    is_owner: bool,
}

/// Where somebody who is named stands to an incident.
enum Stand {
    /// They are in it, as this.
    In(Rescuer, UserType),
    /// They are not, and may be brought in as this.
    Out(UserType),
    /// They were put out: a position does not bring them back.
    PutOut,
}

impl Engine {
    /// Gives an incident a command for somebody whom a service names, and waits until its outcome is durable. `role`
    /// is as what they are noted if the incident does not know them.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn act_for(
        &self,
        room: &RoomId,
        (named, role): (Named, Role),
        command: Command,
        display_name: Option<String>,
    ) -> Result<Outcome, CommandError> {
        let mut act = Act::new(By::Behalf(named, role), command, Reply::nobody());
        act.display_name = display_name;
        let outcome = self.node().room(room).act(act).await;
        if let Err(error) = &outcome
            && !matches!(error, CommandError::Rejected(_))
        {
            self.node().observer.refused(error.code());
        }
        outcome
    }

    /// Raises an incident for somebody, by an id that the service gives it; told again, it is the same one. Returns
    /// once it is durable.
    ///
    /// # Errors
    /// When the id is another room's, or the incident somebody else's, or it could not be made durable.
    pub async fn init_sos(&self, who: &Arc<Identity>, new: NewSos) -> Result<(), ServiceError> {
        let begun = Instant::now();
        let NewSos {
            sos,
            citizen,
            mut report,
        } = new;
        if let Named::Subject(subject) = &citizen
            && self.node().blocks.holds(subject, self.node().now())
        {
            // As when they raise it themselves: staff look, and nobody else is sent.
            report.visibility = Visibility::Restricted;
        }
        let command = Command::Create {
            genesis: Genesis::Incident(Box::new(report)),
            user_type: UserType::Citizen,
        };
        match self
            .act_for(&sos, (citizen.clone(), Role::Citizen), command, None)
            .await
        {
            Ok(_) => {
                self.node().observer.sos_accepted(begun.elapsed());
                Ok(())
            }
            Err(CommandError::Rejected(Rejection::AlreadyExists)) => {
                let look = move |glimpse: &Glimpse<'_>| is_theirs(glimpse, &citizen);
                self.glance(&sos, Some(who), look).await?
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Moves an incident along for somebody. One that stands there already stays as it is.
    ///
    /// # Errors
    /// When it may not move so, does not stand where the service thinks, or the move could not be made durable.
    pub async fn move_sos(
        &self,
        sos: &RoomId,
        by: Named,
        to: Status,
        expected: Option<Status>,
    ) -> Result<(), ServiceError> {
        let command = Command::SetStatus {
            to,
            expected,
            note: None,
            lower_case: false,
            proof: Proof::Nothing,
        };
        match self.act_for(sos, (by, Role::Citizen), command, None).await {
            Ok(_) => Ok(()),
            Err(CommandError::Rejected(Rejection::InvalidTransition { from, to })) if from == to => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Says of what type an incident is.
    ///
    /// # Errors
    /// When it is over, or the change could not be made durable.
    pub async fn retype_sos(
        &self,
        sos: &RoomId,
        to: crate::domain::incident::IncidentType,
    ) -> Result<(), ServiceError> {
        let act = Act::new(By::System, Command::SetType { to }, Reply::nobody());
        self.node().room(sos).act(act).await?;
        Ok(())
    }

    /// Brings somebody into an incident; who is in it stays so.
    ///
    /// # Errors
    /// When it is over or full, they are blocked, or it could not be made durable.
    pub async fn bring_in(
        &self,
        sos: &RoomId,
        whom: Named,
        user_type: UserType,
        display_name: Option<String>,
    ) -> Result<(), ServiceError> {
        let command = Command::Join { user_type };
        match self
            .act_for(sos, (whom, role_of(user_type)), command, display_name)
            .await
        {
            Ok(_) | Err(CommandError::Rejected(Rejection::AlreadyIn)) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes somebody out of an incident; who is out of it stays so.
    ///
    /// # Errors
    /// When they never were in it, or it could not be made durable.
    pub async fn take_out(&self, who: &Arc<Identity>, sos: &RoomId, whom: Named) -> Result<(), ServiceError> {
        match self
            .act_for(sos, (whom.clone(), Role::Citizen), Command::Leave, None)
            .await
        {
            Ok(_) => Ok(()),
            Err(CommandError::Rejected(Rejection::NotIn)) => {
                let was_in = move |glimpse: &Glimpse<'_>| {
                    let found = glimpse.find(&whom);
                    found.is_some_and(|who| glimpse.state.participants.contains_key(&who))
                };
                if self.glance(sos, Some(who), was_in).await? {
                    Ok(())
                } else {
                    Err(ServiceError::Nobody)
                }
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Passes on what somebody said elsewhere to those in an incident; told again, it is the same message.
    ///
    /// # Errors
    /// When the incident is over, or it could not be made durable.
    pub async fn pass_on(
        &self,
        sos: &RoomId,
        (sender, role): (Named, Role),
        command: Command,
        display_name: Option<String>,
    ) -> Result<PassedOn, ServiceError> {
        match self.act_for(sos, (sender, role), command, display_name).await {
            Ok(outcome) => Ok(PassedOn {
                seq: outcome.seq,
                outcome: Some(outcome),
            }),
            Err(CommandError::Rejected(Rejection::SentBefore { seq })) => Ok(PassedOn { outcome: None, seq }),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes where a rescuer is now; who is not in the incident yet comes in as one. Returns once what history keeps
    /// of it is durable, with who they are there.
    ///
    /// # Errors
    /// When the incident is over, they were put out of it, are in it as something else, or too much waits.
    pub async fn locate_rescuer(
        &self,
        who: &Arc<Identity>,
        sos: &RoomId,
        whom: Named,
        fix: Fix,
    ) -> Result<ParticipantId, ServiceError> {
        let rescuer = match self.stand(who, sos, &whom).await? {
            Stand::In(rescuer, UserType::Rescuer | UserType::AnonRescuer) => rescuer,
            Stand::In(_, other) => return Err(ServiceError::NoRescuer(other)),
            Stand::PutOut => return Err(Rejection::MayNotJoin.into()),
            Stand::Out(user_type) => {
                self.bring_in(sos, whom.clone(), user_type, None).await?;
                match self.stand(who, sos, &whom).await? {
                    Stand::In(rescuer, _) => rescuer,
                    Stand::Out(_) | Stand::PutOut => return Err(Rejection::NotIn.into()),
                }
            }
        };
        let target = Membership {
            room: sos.clone(),
            kind: RoomKind::Sos,
            participant: rescuer.participant,
            is_owner: rescuer.is_owner,
        };
        let (reply, answer) = oneshot::channel();
        let upload = Upload::durable(rescuer.subject, Arc::from([target]), smallvec![fix], reply);
        self.deliver(upload, answer).await?;
        Ok(rescuer.participant)
    }

    async fn stand(&self, who: &Arc<Identity>, sos: &RoomId, whom: &Named) -> Result<Stand, ServiceError> {
        let whom = whom.clone();
        self.glance(sos, Some(who), move |glimpse| stand(glimpse, &whom))
            .await?
    }

    /// Open incidents that were raised in a circle, the nearest first: what `show` makes of each, and how far it is
    /// from the centre, in metres.
    ///
    /// # Errors
    /// When the store fails, or an incident does not answer.
    pub async fn sos_near<T: Send + 'static>(
        &self,
        who: &Arc<Identity>,
        (centre, radius_m): (crate::domain::geo::Position, f64),
        limit: usize,
        show: impl Fn(&Glimpse<'_>) -> Option<T> + Clone + Send + 'static,
    ) -> Result<Vec<(T, f64)>, CommandError> {
        who.allows(Scope::IncidentsRead).map_err(Rejection::OutOfScope)?;
        let open = Status::ALL.iter().copied().filter(|status| status.is_open());
        let query = IncidentQuery {
            status: open.collect(),
            kind: None,
            city_id: None,
            near: Some((centre, radius_m)),
            sight: Sight::All,
            limit,
            after: None,
        };
        let found: Result<_, StoreError> = self.incidents(&query).await;
        let look = |listed: crate::store::Listed| {
            let show = show.clone();
            async move {
                let open = move |glimpse: &Glimpse<'_>| show(glimpse).filter(|_| glimpse.state.is_open());
                match self.glance(&listed.incident.room, Some(who), open).await {
                    Ok(shown) => Ok(shown.zip(listed.distance_m)),
                    Err(CommandError::Rejected(_)) => Ok(None),
                    Err(error) => Err(error),
                }
            }
        };
        let mut looked = stream::iter(found?).map(look).buffered(LOOK_AT_ONCE);
        let mut shown = Vec::new();
        while let Some(one) = looked.next().await {
            shown.extend(one?);
        }
        Ok(shown)
    }
}

/// Whether an incident that stands is the one that a service means.
fn is_theirs(glimpse: &Glimpse<'_>, citizen: &Named) -> Result<(), ServiceError> {
    let state: &RoomState = glimpse.state;
    if state.kind != Some(RoomKind::Sos) {
        return Err(ServiceError::Taken);
    }
    let owner = state.owner.ok_or(ServiceError::Differs)?;
    let same = match citizen {
        Named::Participant(who) => *who == owner,
        // Who was erased since is not held against it.
        Named::Subject(subject) => glimpse
            .person(owner)
            .is_none_or(|person| person.subject == *subject),
    };
    if same { Ok(()) } else { Err(ServiceError::Differs) }
}

fn stand(glimpse: &Glimpse<'_>, whom: &Named) -> Result<Stand, ServiceError> {
    let state = glimpse.state;
    if state.kind != Some(RoomKind::Sos) {
        return Err(Rejection::NotFound.into());
    }
    if !state.is_open() {
        return Err(Rejection::Closed.into());
    }
    let found = glimpse.find(whom);
    let stay = found.and_then(|who| Some((who, state.participants.get(&who)?)));
    match (stay, whom) {
        (Some((participant, stay)), _) if stay.is_active() => {
            // Where an erased person is can no longer be told.
            let person = glimpse.person(participant).ok_or(ServiceError::Nobody)?;
            let rescuer = Rescuer {
                participant,
                subject: person.subject.clone(),
                is_owner: state.owner == Some(participant),
            };
            Ok(Stand::In(rescuer, stay.user_type))
        }
        (Some((_, stay)), _) if stay.removed => Ok(Stand::PutOut),
        (None, Named::Participant(_)) if found.is_none() => Err(ServiceError::Nobody),
        // Whoever was in as a rescuer without an account comes back as one.
        (Some((_, stay)), _) if stay.user_type == UserType::AnonRescuer => Ok(Stand::Out(stay.user_type)),
        _ => Ok(Stand::Out(UserType::Rescuer)),
    }
}

/// As what somebody is noted who comes as this.
pub fn role_of(user_type: UserType) -> Role {
    match user_type {
        UserType::Citizen => Role::Citizen,
        UserType::Rescuer => Role::Rescuer,
        UserType::AnonRescuer => Role::Anon,
        UserType::Admin => Role::Dispatcher,
    }
}
