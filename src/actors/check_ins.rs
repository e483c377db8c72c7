//! Check-ins: somebody says by when they will have said that they are well. If they do not, it becomes an SOS.
//!
//! The card is the truth, the job its clock: both are written together, so that no restart forgets one of them.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::clock::random;
use super::error::CommandError;
use super::node::Node;
use super::notify::JobBody;
use super::push::version;
use super::room::{Act, By, Reply};
use crate::domain::check_in::{CheckIn, Due};
use crate::domain::geo::Position;
use crate::domain::ids::RoomId;
use crate::domain::incident::{Address, IncidentType, Report, Severity, Status, Visibility};
use crate::domain::notify::Lane;
use crate::domain::people::{Identity, Role, Subject};
use crate::domain::phone::PhoneNumber;
use crate::domain::pin::PinEntry;
use crate::domain::room::{Command, Genesis, Proof, Rejection, UserType};
use crate::domain::scopes::Scopes;
use crate::domain::time::Timestamp;
use crate::store::{Card, CardText, CardWrite, JobId, JobWrite, NewJob, StoreError, codec};

/// With which the names of the cards begin.
const PREFIX: &str = "checkin:";
/// How often somebody else may be first.
const TRIES_MAX: u32 = 5;
/// What an SOS says when the check-in says nothing.
const SILENT: &str = "A check-in was not confirmed in time";

/// What check-ins go by.
#[derive(Clone, Copy, Debug)]
pub struct CheckInSettings {
    /// Of one person at the same time.
    pub per_person_max: usize,
    /// How far ahead one may be due.
    pub horizon: Duration,
    /// The longest grace.
    pub grace_max: Duration,
}

impl Default for CheckInSettings {
    fn default() -> Self {
        Self {
            per_person_max: 20,
            horizon: Duration::from_secs(30 * 24 * 3_600),
            grace_max: Duration::from_secs(24 * 3_600),
        }
    }
}

/// One that waits.
#[derive(Clone, Debug, PartialEq)]
pub struct Waiting {
    /// By this name it is confirmed.
    pub id: String,
    /// What was asked for.
    pub asked: CheckIn,
    /// What it has become, if it has.
    pub sos: Option<RoomId>,
}

/// Why there is no check-in, or it is not confirmed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CheckInError {
    /// They have as many as they may.
    #[error("at most {0} check-ins wait for one person")]
    TooMany(usize),
    /// There is none of theirs by that name.
    #[error("there is no such check-in")]
    Unknown,
    /// It has become an SOS.
    #[error("the check-in has become an SOS")]
    Raised(RoomId),
    /// They have a PIN, and it was not typed in.
    #[error("the PIN is needed")]
    PinRequired,
    /// Something failed.
    #[error(transparent)]
    Failed(#[from] CommandError),
}

impl From<StoreError> for CheckInError {
    fn from(error: StoreError) -> Self {
        Self::Failed(error.into())
    }
}

/// A check-in as it is kept.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    whose: String,
    due: i64,
    grace_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<(f64, f64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    phone: Option<String>,
    /// The SOS that it is becoming, from before it is raised: whoever confirms later is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sos: Option<String>,
    /// It becomes one silently, under duress.
    #[serde(default)]
    duress: bool,
}

/// A card that was read.
struct Read {
    id: String,
    whose: Subject,
    kept: Kept,
    version: i64,
}

impl Read {
    fn of(card: &Card) -> Result<Self, StoreError> {
        let corrupt = || codec::corrupt("a check-in");
        let kept: Kept = serde_json::from_str(&card.text.body).map_err(|_| corrupt())?;
        Ok(Self {
            id: card.key.strip_prefix(PREFIX).ok_or_else(corrupt)?.to_owned(),
            whose: codec::parse_subject(&kept.whose)?,
            kept,
            version: card.version,
        })
    }

    fn shown(&self) -> Result<Waiting, StoreError> {
        let corrupt = |_| codec::corrupt("a check-in");
        let position = self.kept.at.map(|(lat, lon)| Position::new(lat, lon));
        Ok(Waiting {
            id: self.id.clone(),
            asked: CheckIn {
                due_at: Timestamp::from_ms(self.kept.due),
                grace: Duration::from_millis(self.kept.grace_ms),
                message: self.kept.message.clone(),
                position: position.transpose().map_err(|_| codec::corrupt("a check-in"))?,
            },
            sos: self
                .kept
                .sos
                .clone()
                .map(RoomId::new)
                .transpose()
                .map_err(corrupt)?,
        })
    }

    fn phone(&self) -> Option<PhoneNumber> {
        let phone = self.kept.phone.as_deref().map(PhoneNumber::from_e164);
        phone.and_then(Result::ok)
    }

    /// Whoever asked for it, as their credential said.
    fn identity(&self) -> Identity {
        Identity {
            role: match self.whose {
                Subject::Device(_) => Role::Anon,
                _ => Role::Citizen,
            },
            subject: self.whose.clone(),
            name: self.kept.name.clone(),
            phone: self.phone(),
            email: None,
            mission: None,
            device: None,
            scopes: Scopes::ALL,
        }
    }

    fn write(&self) -> CardWrite {
        let text = CardText {
            shelf: None,
            whose: Some(self.whose.clone()),
            until: None,
            body: serde_json::to_string(&self.kept).expect("invariant: texts and numbers always serialize"),
        };
        CardWrite {
            key: key(&self.id),
            seen: self.version,
            then: Some((version(), text)),
        }
    }

    fn gone(&self) -> CardWrite {
        CardWrite {
            key: key(&self.id),
            seen: self.version,
            then: None,
        }
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}

/// The job that minds a check-in: whoever knows the one knows the other.
fn job_id(id: &str) -> JobId {
    let bits = u64::from_str_radix(id.get(..16).unwrap_or_default(), 16).unwrap_or_default();
    JobId::from_random(bits)
}

/// What came of a look.
pub(super) enum Looked {
    /// There is nothing left to be done.
    Over,
    /// It is looked at again after so long.
    Wait(Duration),
    /// They are to be reminded, and it is looked at again after so long.
    Remind(Reminder, Duration),
    /// It has become an SOS.
    Raised,
}

/// Whom to remind of what.
pub(super) struct Reminder {
    pub whose: Subject,
    pub phone: Option<PhoneNumber>,
    pub left: Duration,
    pub ends_at: Timestamp,
}

impl Node {
    /// Begins one; it is on disk when this returns.
    ///
    /// # Errors
    /// When they have too many, or the store fails.
    pub async fn begin_check_in(&self, who: &Identity, new: CheckIn) -> Result<Waiting, CheckInError> {
        let max = self.settings.check_ins.per_person_max;
        if self.store.cards_of(&who.subject, PREFIX, max).await?.len() >= max {
            return Err(CheckInError::TooMany(max));
        }
        let read = Read {
            id: hex::encode(random::<16>()),
            whose: who.subject.clone(),
            kept: Kept {
                whose: codec::subject_text(&who.subject),
                due: new.due_at.ms(),
                grace_ms: u64::try_from(new.grace.as_millis()).unwrap_or(u64::MAX),
                message: new.message,
                at: new
                    .position
                    .map(|position| (position.latitude(), position.longitude())),
                name: who.name.clone(),
                phone: who.phone.as_ref().map(|phone| phone.reveal().to_owned()),
                sos: None,
                duress: false,
            },
            version: 0,
        };
        let job = NewJob {
            id: job_id(&read.id),
            key: key(&read.id),
            lane: Lane::Sos,
            room: None,
            whose: Some(who.subject.clone()),
            after: new.due_at.since(self.now()),
            body: JobBody::CheckIn(read.id.clone()).encode(),
        };
        if !self
            .store
            .write_cards(vec![read.write()], vec![JobWrite::Add(job)])
            .await?
        {
            return Err(CommandError::Busy.into());
        }
        Ok(read.shown()?)
    }

    /// Those of somebody that wait, the first one due first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn check_ins(&self, who: &Subject) -> Result<Vec<Waiting>, StoreError> {
        let max = self.settings.check_ins.per_person_max;
        let cards = self.store.cards_of(who, PREFIX, max).await?;
        let mut found = Vec::with_capacity(cards.len());
        for card in &cards {
            let read = Read::of(card)?;
            // What it has become under duress is nobody's to see here.
            if !read.kept.duress {
                found.push(read.shown()?);
            }
        }
        found.sort_by_key(|one| (one.asked.due_at, one.id.clone()));
        Ok(found)
    }

    /// They are well, or need it no more: it becomes nothing. Under duress it looks so, and is an SOS at once.
    ///
    /// # Errors
    /// When there is none, it has become an SOS, the PIN is missing or wrong, or the store fails.
    pub async fn end_check_in(
        &self,
        who: &Subject,
        id: &str,
        pin: Option<&PinEntry>,
    ) -> Result<(), CheckInError> {
        for _ in 0..TRIES_MAX {
            let card = self.store.card(&key(id)).await?;
            let read = card.as_ref().map(Read::of).transpose()?;
            let Some(mut read) = read.filter(|read| read.whose == *who && !read.kept.duress) else {
                return Err(CheckInError::Unknown);
            };
            if let Some(sos) = read.shown()?.sos {
                return Err(CheckInError::Raised(sos));
            }
            if pin.is_none() && self.has_pin(who).await? {
                return Err(CheckInError::PinRequired);
            }
            let proof = self.prove(who, pin).await?;
            let (write, job) = if proof == Proof::Duress {
                read.kept.sos = Some(RoomId::from_random(random()).to_string());
                read.kept.duress = true;
                (read.write(), JobWrite::Hasten(job_id(id)))
            } else {
                (read.gone(), JobWrite::Drop(job_id(id)))
            };
            if self.store.write_cards(vec![write], vec![job]).await? {
                if let Some(notifier) = self.notifier.get() {
                    notifier.wake(Lane::Sos);
                }
                return Ok(());
            }
        }
        Err(CommandError::Busy.into())
    }

    /// Looks at one whose time may have come, and raises the SOS that it has become. Done twice, it is one.
    ///
    /// # Errors
    /// When it is to be looked at again soon.
    pub(super) async fn look_at_check_in(&self, id: &str) -> Result<Looked, CommandError> {
        let Some(card) = self.store.card(&key(id)).await? else {
            return Ok(Looked::Over);
        };
        let mut read = Read::of(&card)?;
        if read.kept.sos.is_none() {
            let asked = read.shown()?.asked;
            match asked.look(self.now()) {
                Due::Wait(wait) => return Ok(Looked::Wait(wait)),
                Due::Remind(left) => {
                    let reminder = Reminder {
                        whose: read.whose.clone(),
                        phone: read.phone(),
                        left,
                        ends_at: asked.ends_at(),
                    };
                    return Ok(Looked::Remind(reminder, left));
                }
                Due::Raise => {}
            }
            // From here on it cannot be confirmed any more.
            read.kept.sos = Some(RoomId::from_random(random()).to_string());
            let write = read.write();
            read.version = write.then.as_ref().map_or(0, |(version, _)| *version);
            if !self.store.write_cards(vec![write], vec![]).await? {
                return Ok(Looked::Wait(Duration::ZERO));
            }
        }
        let Some(sos) = read.shown()?.sos else {
            return Ok(Looked::Over);
        };
        // The room's name is in the card: whoever does this again finds what was done.
        let report = self.report_of(&read).await?;
        let create = Command::Create {
            genesis: Genesis::Incident(Box::new(report)),
            user_type: UserType::Citizen,
        };
        self.act_as(&read, &sos, create).await?;
        if read.kept.duress {
            let mask = Command::SetStatus {
                to: Status::Cancelled,
                expected: None,
                note: None,
                lower_case: false,
                proof: Proof::Duress,
            };
            self.act_as(&read, &sos, mask).await?;
        }
        // Whoever has erased it meanwhile is right.
        self.store.write_cards(vec![read.gone()], vec![]).await?;
        Ok(Looked::Raised)
    }

    async fn report_of(&self, read: &Read) -> Result<Report, CommandError> {
        let CheckIn {
            message, position, ..
        } = read.shown()?.asked;
        Ok(Report {
            kind: IncidentType::Other,
            message: message.unwrap_or_else(|| SILENT.to_owned()),
            silent: read.kept.duress,
            drill: false,
            raised_at: None,
            guarded: self.has_pin(&read.whose).await?,
            severity: Severity::High,
            position,
            accuracy: None,
            address: Address::default(),
            city_id: None,
            visibility: Visibility::Restricted,
            trip_id: None,
            booking_id: None,
            raised_from: vec![],
        })
    }

    /// Does something as whoever asked for a check-in. What was done before stays done; any other refusal is a failure, or a
    /// check-in would be dropped without an SOS.
    async fn act_as(&self, read: &Read, room: &RoomId, command: Command) -> Result<(), CommandError> {
        let by = By::Person(Arc::new(read.identity()), None);
        match self.room(room).act(Act::new(by, command, Reply::nobody())).await {
            Ok(_)
            | Err(CommandError::Rejected(Rejection::AlreadyExists | Rejection::InvalidTransition { .. })) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}
