//! An SOS raised from circles: one incident with a room of its own, linked to each of them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::actors::batcher::{Batchers, Upload};
use crate::actors::clock::random;
use crate::actors::error::CommandError;
use crate::actors::node::Node;
use crate::actors::pass::Pass;
use crate::actors::room::{Act, By, Reply};
use crate::domain::geo::Fix;
use crate::domain::ids::RoomId;
use crate::domain::incident::{Address, IncidentType, Report, Severity, Status, Visibility};
use crate::domain::people::Identity;
use crate::domain::pin::PinEntry;
use crate::domain::room::{Command, Genesis, Rejection, UserType};
use crate::store::IdempotencyKey;
use crate::wire::json::EmergencySos;

/// How often another SOS of the same person may turn out to have been first.
const TAKEN_MAX: usize = 8;

/// An SOS that stands.
#[derive(Clone, Debug)]
pub struct Raised {
    /// The circles it stands in.
    pub rooms: Vec<RoomId>,
    /// The incident.
    pub sos: RoomId,
}

/// Why none stands.
#[derive(Clone, Debug)]
pub enum RaiseError {
    /// They own no circle, or not the one they named.
    NoOwnedRooms,
    /// They, or their address, raised too many lately: how long to wait.
    TooMany(Duration),
    /// Something failed.
    Failed(CommandError),
}

impl<E: Into<CommandError>> From<E> for RaiseError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Raises an SOS from the circles that `who` owns, or from one of them. Raised again while it stands, it is
/// the same SOS.
///
/// # Errors
/// When there is no such circle, or the incident could not be made durable.
pub async fn from_circles(
    node: Arc<Node>,
    who: Arc<Identity>,
    sos: EmergencySos,
    batchers: Batchers,
    pass: Arc<dyn Pass>,
) -> Result<Raised, RaiseError> {
    confined(&who)?;
    let begun = Instant::now();
    // One at a time for each person: two devices, or a retry, raise one SOS.
    let _turn = node
        .raising
        .turn(&who.subject, node.settings.command_timeout)
        .await;
    let standing = Standing::of(&node, &who, sos.room.as_ref()).await?;
    if standing.circles.is_empty() {
        return Err(RaiseError::NoOwnedRooms);
    }
    let raised = match (&standing.sos, standing.fresh.is_empty()) {
        (Some(sos), true) => Raised {
            rooms: standing.circles,
            sos: sos.clone(),
        },
        _ => {
            // Only a new one is charged: whoever presses again while it stands is answered.
            pass.raise().map_err(RaiseError::TooMany)?;
            let raised = raise(&node, &who, &sos, standing).await?;
            node.observer.sos_accepted(begun.elapsed());
            pass.raised(&raised.sos, sos.position);
            // The SOS is accepted. That the circles hear of it is driven by its log, however long it takes.
            if let Err(error) = node.room(&raised.sos).links_settled().await {
                tracing::warn!(sos = %raised.sos, %error, "circles are still being told");
            }
            raised
        }
    };
    // The SOS is durable: nothing that fails from here on takes that back. A position may be lost.
    if let Some(position) = sos.position
        && let Ok(fix) =
            Fix::new(position, sos.at.unwrap_or_else(|| node.now())).with_motion(sos.accuracy, None, None)
        && let Ok(rooms) = node.memberships.get(&who.subject).await
    {
        let _ = batchers.offer(Upload::live(who.subject.clone(), rooms, fix));
    }
    Ok(raised)
}

/// What somebody's circles have to do with an SOS before one is raised.
struct Standing {
    /// The circles it is for.
    circles: Vec<RoomId>,
    /// Those of them in which none stands.
    fresh: Vec<RoomId>,
    /// One that stands.
    sos: Option<RoomId>,
    /// How many were raised in all circles so far: tells a second press from a second SOS.
    raised: u64,
}

impl Standing {
    async fn of(node: &Node, who: &Identity, only: Option<&RoomId>) -> Result<Self, CommandError> {
        let mut found = Self {
            circles: vec![],
            fresh: vec![],
            sos: None,
            raised: 0,
        };
        for circle in node.store.circles_of(&who.subject).await? {
            let wanted = only.is_none_or(|only| circle == *only);
            // Circles that it is not for are asked only where other nodes must come to the same number.
            if !wanted && !node.cluster.clustered {
                continue;
            }
            // A circle that does not answer now is told when it can be: it must not keep the SOS from being taken.
            let (sos, raised) = node.room(&circle).emergency().await.unwrap_or_default();
            found.raised += raised;
            if wanted {
                match sos {
                    Some(sos) if is_open(node, &sos).await => found.sos = Some(sos),
                    _ => found.fresh.push(circle.clone()),
                }
                found.circles.push(circle);
            }
        }
        Ok(found)
    }
}

/// Whether an incident is open: one that has ended may not have been told to its circles yet, and is no answer to
/// whoever needs help now. When in doubt it is.
async fn is_open(node: &Node, sos: &RoomId) -> bool {
    let row = node.store.incident(sos).await;
    row.map_or(true, |row| row.is_none_or(|row| row.status.is_open()))
}

/// Raises a new one. Two devices of one person may do so on two nodes at once: the key makes it one SOS, since both
/// count the same number of SOS before it.
async fn raise(
    node: &Node,
    who: &Arc<Identity>,
    sos: &EmergencySos,
    standing: Standing,
) -> Result<Raised, CommandError> {
    let Standing {
        mut fresh,
        circles,
        raised,
        ..
    } = standing;
    let guarded = node.has_pin(&who.subject).await.unwrap_or(false);
    let mut key = format!("circle SOS {raised}");
    for _ in 0..TAKEN_MAX {
        let room = RoomId::from_random(random());
        let genesis = Genesis::Incident(Box::new(report(sos, fresh.clone(), guarded)));
        let command = Command::Create {
            genesis,
            user_type: UserType::Citizen,
        };
        let mut act = Act::new(By::Person(Arc::clone(who), None), command, Reply::nobody());
        act.idempotency = node.cluster.clustered.then(|| IdempotencyKey {
            subject: who.subject.clone(),
            key: key.clone(),
        });
        node.registry.begin(&room);
        let other = match node.room(&room).act(act).await {
            Ok(_) => {
                return Ok(Raised {
                    rooms: fresh,
                    sos: room,
                });
            }
            Err(CommandError::Repeated(other)) => other,
            Err(error) => return Err(error),
        };
        // Another node was first. What its SOS is not for, or one that is over already, needs one of its own.
        let first = node.store.incident(&other).await?;
        if let Some(first) = first.filter(|first| first.status.is_open()) {
            fresh.retain(|circle| !first.report.raised_from.contains(circle));
            if fresh.is_empty() {
                return Ok(Raised {
                    rooms: circles,
                    sos: other,
                });
            }
        }
        key = format!("circle SOS {raised} after {other}");
    }
    Err(CommandError::Busy)
}

/// Ends the SOS that stands in the circles of `who`, or in one of them. Answers with the circles it ended in.
///
/// # Errors
/// When none stands, or its end could not be made durable.
pub async fn resolve(
    node: Arc<Node>,
    who: Arc<Identity>,
    room: Option<RoomId>,
    pin: Option<PinEntry>,
) -> Result<Vec<RoomId>, CommandError> {
    confined(&who)?;
    let proof = node.prove(&who.subject, pin.as_ref()).await?;
    let (mut rooms, mut incidents) = (Vec::new(), BTreeSet::new());
    for circle in owned(&node, &who, room.as_ref()).await? {
        if let (Some(sos), _) = node.room(&circle).emergency().await? {
            rooms.push(circle);
            incidents.insert(sos);
        }
    }
    if incidents.is_empty() {
        return Err(CommandError::NoEmergency);
    }
    for sos in incidents {
        let command = Command::SetStatus {
            to: Status::Resolved,
            expected: None,
            note: None,
            lower_case: false,
            proof,
        };
        let act = Act::new(By::Person(Arc::clone(&who), None), command, Reply::nobody());
        match node.room(&sos).act(act).await {
            Ok(_) | Err(CommandError::Rejected(Rejection::InvalidTransition { .. })) => {}
            Err(error) => return Err(error),
        }
        node.room(&sos).links_settled().await?;
    }
    Ok(rooms)
}

/// Circles are no business of a credential that is bound to one incident, even if its bearer owns some.
fn confined(who: &Identity) -> Result<(), CommandError> {
    if who.mission.is_some() {
        return Err(Rejection::Forbidden.into());
    }
    Ok(())
}

async fn owned(node: &Node, who: &Identity, only: Option<&RoomId>) -> Result<Vec<RoomId>, CommandError> {
    let mut circles = node.store.circles_of(&who.subject).await?;
    if let Some(only) = only {
        circles.retain(|circle| circle == only);
    }
    Ok(circles)
}

fn report(sos: &EmergencySos, raised_from: Vec<RoomId>, guarded: bool) -> Report {
    Report {
        kind: sos.kind.unwrap_or(IncidentType::Other),
        message: sos
            .formatted_location
            .clone()
            .unwrap_or_else(|| "Emergency SOS".to_owned()),
        silent: false,
        drill: false,
        raised_at: None,
        guarded,
        severity: sos.severity.unwrap_or(Severity::Critical),
        position: sos.position,
        accuracy: sos.accuracy,
        address: Address::default(),
        city_id: None,
        visibility: Visibility::Restricted,
        trip_id: None,
        booking_id: None,
        raised_from,
    }
}
