//! Looks at an incident: who is to be told now? What is planned is written with the jobs that do it.
//!
//! The first message of a step is carried by whoever plans it, and begun with the plan: however many messages of other
//! incidents wait, each SOS is with a vendor as soon as somebody has looked at it. While nothing waits, so are the others.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use super::body::{JobBody, SendBody};
use super::content;
use super::core::{Next, Progress};
use super::errand::Errand;
use super::places::{Place, Places};
use super::send;
use crate::actors::clock::random;
use crate::actors::error::CommandError;
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::incident::{Report, Status};
use crate::domain::notify::plan::{self, Facts, Look, Message, Step, Target};
use crate::domain::notify::{DeliveryState, Destination, Occasion, Vendor};
use crate::domain::people::{Contact, Person, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::room::{Command, Event, EventBody, NOTIFICATIONS_MAX, Planned, Rejection, Told};
use crate::domain::time::Timestamp;
use crate::store::{JobId, JobThen, JobWrite, NewJob};

/// When an incident that could not be looked at is looked at again.
const AGAIN: Duration = Duration::from_secs(1);

/// An incident, as far as telling people goes.
pub(super) struct Snapshot {
    pub room: RoomId,
    pub report: Report,
    pub open: bool,
    pub false_alarm: bool,
    pub created_at: Timestamp,
    pub told: Told,
    pub owner: Option<Person>,
    /// Whom it knows by nothing but a number.
    pub known: HashMap<PhoneNumber, ParticipantId>,
}

impl Snapshot {
    fn facts(&self, now: Timestamp) -> Facts<'_> {
        Facts {
            told: &self.told,
            open: self.open,
            false_alarm: self.false_alarm,
            // Who raises it silently, or too late to be asked, has no second thoughts to be given time for.
            revocable_since: (self.report.guarded && !self.report.silent && self.report.raised_at.is_none())
                .then_some(self.created_at),
            now,
        }
    }
}

/// Looks, and plans what is due; answers when to look again.
pub(super) async fn look(errand: &Errand, places: &Arc<Places>) -> Option<Duration> {
    let room = errand.job.room.clone()?;
    let snapshot = match read(errand, &room).await {
        Ok(Some(snapshot)) => snapshot,
        Ok(None) => return errand.done().await,
        Err(error) => {
            tracing::warn!(%room, %error, "an incident cannot be looked at");
            return errand.again(AGAIN, None).await;
        }
    };
    let settings = &errand.shared.settings.plan;
    let now = errand.shared.now();
    match plan::look(settings, &snapshot.facts(now)) {
        Look::Done => errand.done().await,
        Look::Wait(wait) => errand.again(wait, None).await,
        Look::Plan { step, occasion, how } => {
            tell(errand, places, &snapshot, (step, occasion, how), now).await
        }
    }
}

async fn read(errand: &Errand, room: &RoomId) -> Result<Option<Snapshot>, CommandError> {
    let id = room.clone();
    let read = errand.shared.glance(room, move |glimpse| {
        let state = glimpse.state;
        let incident = state.incident.as_ref()?;
        let by_owner = incident.ended_by.is_some() && incident.ended_by == state.owner;
        let known = glimpse.people().filter_map(|person| match &person.subject {
            Subject::Phone(phone) => Some((phone.clone(), person.participant)),
            _ => None,
        });
        Some(Snapshot {
            room: id,
            report: incident.report.clone(),
            open: incident.status.is_open(),
            false_alarm: incident.status == Status::Cancelled && by_owner,
            created_at: state.created_at,
            told: incident.told.clone(),
            owner: state.owner.and_then(|owner| glimpse.person(owner)).cloned(),
            known: known.collect(),
        })
    });
    match read.await {
        Err(CommandError::Rejected(Rejection::NotFound)) => Ok(None),
        read => read,
    }
}

/// Plans a step, and writes its messages with their jobs.
async fn tell(
    errand: &Errand,
    places: &Arc<Places>,
    snapshot: &Snapshot,
    (step, occasion, how): (u16, Occasion, Option<Step>),
    now: Timestamp,
) -> Option<Duration> {
    let shared = &errand.shared;
    let contacts = match &snapshot.owner {
        Some(owner) => match shared.contacts(&owner.subject).await {
            Ok(contacts) => contacts,
            Err(error) => {
                tracing::error!(room = %snapshot.room, %error, "whom an SOS is for cannot be read");
                return errand.again(AGAIN, None).await;
            }
        },
        None => vec![],
    };
    let (targets, people) = targets(errand, snapshot, &contacts).await;
    let operators = Target {
        who: None,
        reached: shared.operators(),
        quiet: None,
    };
    let settings = &shared.settings.plan;
    let facts = snapshot.facts(now);
    let mut found = plan::messages(settings, &facts, (occasion, how), &operators, &targets);
    found.truncate(NOTIFICATIONS_MAX.saturating_sub(snapshot.told.messages.len()));
    let unreached = plan::unreachable(occasion, &targets);
    let then = next_look(settings, snapshot, !found.is_empty() || step > 1);
    if found.is_empty() && unreached.is_empty() && step == 1 {
        // Nobody to tell.
        return errand.done().await;
    }
    let names: HashMap<ParticipantId, &Contact> = targets
        .iter()
        .zip(&contacts)
        .filter_map(|(target, contact)| Some((target.who?, contact)))
        .collect();
    let mut jobs = vec![errand.settle(then, None)];
    let mut begun: Vec<Begun> = vec![];
    for (place, (id, message)) in (snapshot.told.next_id()..).zip(&found).enumerate() {
        let contact = message.who.and_then(|who| names.get(&who).copied());
        let mut body = body(errand, snapshot, occasion, (id, message, contact), now);
        // The first one goes in the place of this errand.
        let own = if begun.is_empty() {
            None
        } else {
            Places::spare(places, errand.job.lane)
        };
        let vendor = (begun.is_empty() || own.is_some())
            .then(|| starts_with(errand, occasion, message, &mut body, now))
            .flatten();
        let job = job(&snapshot.room, (id, occasion), message, &body);
        jobs.push(match vendor {
            Some(vendor) => {
                let hold = errand.hold();
                let taken = JobWrite::AddTaken(job.clone(), hold);
                let errand = Errand::of_new(Arc::clone(shared), job, hold, now);
                begun.push(Begun {
                    nth: place,
                    id,
                    vendor,
                    errand,
                    body,
                    own,
                });
                taken
            }
            None => JobWrite::Add(job),
        });
    }
    let planned = found.iter().map(|message| Planned {
        to: message.who,
        channel: message.to.channel(),
    });
    let command = Command::PlanNotifications {
        step,
        occasion,
        planned: planned.collect(),
        unreached,
        begun: begun.iter().map(|begun| (begun.nth, begun.vendor)).collect(),
    };
    match errand.act(&snapshot.room, command, jobs, people).await {
        Ok(outcome) => {
            if step == 1 {
                shared.planned(shared.now().since(snapshot.created_at));
            }
            for event in &outcome.events {
                if matches!(event.body, EventBody::ContactUnreached { .. }) {
                    shared
                        .follow_up(&snapshot.room, std::slice::from_ref(event))
                        .await;
                }
            }
            let next = match then {
                JobThen::Release(wait) => Some(wait),
                JobThen::Done | JobThen::Keep(_) => None,
            };
            let mut sent = None;
            // Backwards: the first is carried here when the others are on their way.
            for one in begun.into_iter().rev() {
                if one.is_in(&outcome.events) {
                    sent = one.carry().await;
                } else {
                    one.give_back().await;
                }
            }
            next.into_iter().chain(sent).min()
        }
        // It has ended meanwhile, or is open again as far as this goes.
        Err(CommandError::Rejected(Rejection::Closed)) => errand.again(Duration::ZERO, None).await,
        Err(error) => {
            tracing::warn!(room = %snapshot.room, %error, "a step of an escalation cannot be written");
            for one in begun {
                one.give_back().await;
            }
            errand.again(AGAIN, None).await
        }
    }
}

/// A message that is begun in the step that plans it.
struct Begun {
    nth: usize,
    id: u32,
    vendor: Vendor,
    errand: Errand,
    body: SendBody,
    /// A place of its own; `None`: that of whoever plans it.
    own: Option<Place>,
}

impl Begun {
    /// Whether it was: a step that was planned before is not planned again.
    fn is_in(&self, events: &[Event]) -> bool {
        events.iter().any(|event| {
            matches!(&event.body, EventBody::NotificationMoved(change)
                     if change.id == self.id && change.to == DeliveryState::Sending)
        })
    }

    /// It is not known whether it was: if so, nobody was asked, and it is anybody's.
    async fn give_back(mut self) {
        self.body.progress = Progress::default();
        let body = JobBody::Send(Box::new(self.body));
        let job = self.errand.settle(JobThen::Release(Duration::ZERO), Some(&body));
        self.errand.write(vec![job]).await;
    }

    async fn carry(self) -> Option<Duration> {
        let Self {
            errand,
            body,
            vendor,
            own,
            ..
        } = self;
        errand.shared.tally.taken(errand.job.lane, false);
        let Some(mut own) = own else {
            return send::carry_begun(&errand, body, vendor).await;
        };
        actix::spawn(async move {
            let again = send::carry_begun(&errand, body, vendor).await;
            own.look_again(again);
        });
        None
    }
}

/// The vendor with whom a message can be begun at once in this errand's place; the message then says that it is.
fn starts_with(
    errand: &Errand,
    occasion: Occasion,
    message: &Message,
    body: &mut SendBody,
    now: Timestamp,
) -> Option<Vendor> {
    let shared = &errand.shared;
    if !message.after.is_zero() || plan::lane(occasion) != errand.job.lane {
        return None;
    }
    let choices = shared.choices(&body.to);
    let times = (now, body.expires_at);
    match body
        .progress
        .next(&shared.settings.retry, body.state, &choices, times)
    {
        Next::Send(vendor) => {
            body.progress.asking(vendor, now);
            Some(vendor)
        }
        _ => None,
    }
}

/// When to look at it after this step. Who acknowledges, and its end, have it looked at again in any case.
fn next_look(settings: &plan::PlanSettings, snapshot: &Snapshot, tells: bool) -> JobThen {
    if !snapshot.open || !tells {
        return JobThen::Done;
    }
    let round = match snapshot.told.acknowledged_at {
        Some(_) => 1,
        None => usize::from(snapshot.told.round) + 1,
    };
    settings
        .steps
        .get(round)
        .map_or(JobThen::Done, |next| JobThen::Release(next.after))
}

/// The contacts with where each is reached, and the records of those whom the incident does not know yet.
async fn targets(errand: &Errand, snapshot: &Snapshot, contacts: &[Contact]) -> (Vec<Target>, Vec<Person>) {
    let (mut targets, mut people) = (Vec::with_capacity(contacts.len()), Vec::new());
    for contact in contacts {
        let reached = errand.shared.reached(contact).await;
        let who = snapshot.known.get(&contact.phone).copied().unwrap_or_else(|| {
            let who = ParticipantId::from_bits(u64::from_be_bytes(random()));
            people.push(Person {
                participant: who,
                subject: Subject::Phone(contact.phone.clone()),
                name: Some(contact.name.clone()),
                phone: Some(contact.phone.clone()),
                role: Role::Citizen,
            });
            who
        });
        targets.push(Target {
            who: Some(who),
            reached,
            quiet: contact.reach.quiet,
        });
    }
    (targets, people)
}

fn body(
    errand: &Errand,
    snapshot: &Snapshot,
    occasion: Occasion,
    (id, message, contact): (u32, &Message, Option<&Contact>),
    now: Timestamp,
) -> SendBody {
    let shared = &errand.shared;
    SendBody {
        notification: Some(id),
        state: DeliveryState::Pending,
        to: message.to.clone(),
        content: content::of_incident(shared, snapshot, occasion, message.who, contact, now),
        raised_at: (occasion == Occasion::SosRaised && message.after.is_zero())
            .then_some(snapshot.created_at),
        expires_at: now + message.after + shared.settings.plan.ttl,
        progress: Progress::default(),
    }
}

fn job(room: &RoomId, (id, occasion): (u32, Occasion), message: &Message, body: &SendBody) -> NewJob {
    NewJob {
        id: message_job(room, id),
        key: message_key(room, id, &message.to),
        lane: plan::lane(occasion),
        room: Some(room.clone()),
        whose: None,
        after: message.after,
        body: JobBody::Send(Box::new(body.clone())).encode(),
    }
}

/// What a message is called by every attempt and every vendor. An incident's id may be 64 characters long: its digest
/// stands for it where vendors take fewer.
fn message_key(room: &RoomId, id: u32, to: &Destination) -> String {
    format!(
        "m-{}-{id}-{}",
        digest(room.as_str()),
        to.channel().as_str().to_ascii_lowercase()
    )
}

/// The job that minds a message: whoever knows the message knows the job.
pub(super) fn message_job(room: &RoomId, id: u32) -> JobId {
    JobId::from_random(bits(&format!("{room}\0{id}")))
}

/// The job that looks at an incident.
pub(super) fn incident_job(room: &RoomId) -> JobId {
    JobId::from_random(bits(&format!("{room}\0incident")))
}

/// What that job is.
pub(super) fn incident_look(room: &RoomId, after: Duration) -> NewJob {
    NewJob {
        id: incident_job(room),
        key: format!("incident:{room}"),
        lane: crate::domain::notify::Lane::Sos,
        room: Some(room.clone()),
        whose: None,
        after,
        body: JobBody::Incident.encode(),
    }
}

fn hash(text: &str) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(text.as_bytes()).into()
}

pub(super) fn bits(text: &str) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&hash(text)[..8]);
    u64::from_be_bytes(first)
}

/// 24 hex digits that stand for a text.
pub(super) fn digest(text: &str) -> String {
    hex::encode(&hash(text)[..12])
}

/// The identity by which the engine looks at what it keeps.
pub fn operator() -> Arc<crate::domain::people::Identity> {
    let name = crate::domain::ids::ServiceName::new("mayday").expect("invariant: a name");
    Arc::new(crate::domain::people::Identity::service(
        name,
        crate::domain::scopes::Scopes::ALL,
    ))
}
