//! News as bytes.
//!
//! One byte with the version of the layout, eight with the node that speaks (little-endian), one with the kind of the
//! news, then what it says as MessagePack with named fields. Nodes of different versions run side by side while a
//! cluster is brought up to date, so the rules are:
//!
//! - a field is never renamed or given another meaning; a new one has a default, and one that is not known is skipped;
//! - a new kind takes a new number, and one that is not known is skipped;
//! - the version grows only when the layout itself changes. Whoever does not know it looks into the store.
//!
//! Bytes come from whoever can write to Redis, so nothing in them is trusted to be well-formed.

mod parts;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::news::{News, NodeId};
use parts::{AttendanceDto, EventDto, FixDto, PersonDto, RowDto};

/// The layout that is written.
const VERSION: u8 = 1;
/// Version, node and kind.
const HEAD_BYTES: usize = 10;
/// What an envelope needs beside its body, about: no second allocation for most.
const BODY_BYTES: usize = 240;

/// Why bytes are no news.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unread {
    /// From a newer version, in a layout that is not known here: look into the store.
    #[error("a layout of version {0}, which is not known here")]
    Version(u8),
    /// A kind of news that only newer versions know.
    #[error("a kind of news ({0}) that is not known here")]
    Kind(u8),
    /// Not what any version writes.
    #[error("damaged")]
    Damaged,
}

/// Who says it. Costs next to nothing: a node hears itself too, and must know at once.
pub fn speaker(bytes: &[u8]) -> Option<NodeId> {
    let head: [u8; 8] = bytes.get(1..9)?.try_into().ok()?;
    Some(NodeId::from_bits(u64::from_le_bytes(head)))
}

/// Writes news.
pub fn encode(from: NodeId, news: &News) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD_BYTES + BODY_BYTES);
    bytes.push(VERSION);
    bytes.extend(from.bits().to_le_bytes());
    bytes.push(kind(news));
    let body = Body(&mut bytes);
    match news {
        News::Events { room, events, people } => body.write(&EventsDto {
            room: room.to_string(),
            events: events.iter().map(EventDto::from).collect(),
            people: people.iter().map(PersonDto::from).collect(),
        }),
        News::Positions { room, fixes } => body.write(&PositionsDto {
            room: room.to_string(),
            fixes: fixes.iter().map(FixDto::from).collect(),
        }),
        News::Presence {
            room,
            changes,
            whole,
            asks,
        } => body.write(&PresenceDto {
            room: room.to_string(),
            changes: changes.iter().map(AttendanceDto::from).collect(),
            whole: *whole,
            asks: *asks,
        }),
        News::Typing { room, who, on, name } => body.write(&TypingDto {
            room: room.to_string(),
            who: who.bits(),
            on: *on,
            name: name.clone(),
        }),
        News::Incident { row, created } => body.write(&IncidentDto {
            row: RowDto::from(row.as_ref()),
            created: *created,
        }),
        News::Called { room, owner, alarm } => body.write(&CalledDto {
            room: room.to_string(),
            owner: parts::subject_text(owner),
            alarm: *alarm,
        }),
        News::Concerns { subject, room } => body.write(&ConcernsDto {
            subject: parts::subject_text(subject),
            room: room.to_string(),
        }),
        News::Memberships { subjects } => body.write(&MembershipsDto {
            subjects: subjects.iter().map(parts::subject_text).collect(),
        }),
        News::Contacts {
            owner,
            name,
            circles,
            added,
            removed,
        } => body.write(&ContactsDto {
            owner: parts::subject_text(owner),
            name: name.clone(),
            circles: circles.iter().map(ToString::to_string).collect(),
            added: added.iter().map(|phone| phone.reveal().into()).collect(),
            removed: removed.iter().map(|phone| phone.reveal().into()).collect(),
        }),
        News::Erased { subject, places } => body.write(&ErasedDto {
            subject: parts::subject_text(subject),
            places: places
                .iter()
                .map(|(room, who)| (room.to_string(), who.bits()))
                .collect(),
        }),
        News::Blocks | News::Missed => {}
    }
    bytes
}

/// Reads news.
///
/// # Errors
/// When they are of a version or a kind that is not known here, or damaged.
pub fn decode(bytes: &[u8]) -> Result<(NodeId, News), Unread> {
    match bytes.first() {
        Some(&VERSION) => {}
        Some(&version) if version > VERSION => return Err(Unread::Version(version)),
        _ => return Err(Unread::Damaged),
    }
    let from = speaker(bytes).ok_or(Unread::Damaged)?;
    let (&kind, body) = bytes
        .get(9..)
        .and_then(<[u8]>::split_first)
        .ok_or(Unread::Damaged)?;
    let news = read_news(kind, body)?;
    Ok((from, news))
}

fn kind(news: &News) -> u8 {
    match news {
        News::Events { .. } => 1,
        News::Positions { .. } => 2,
        News::Presence { .. } => 3,
        News::Incident { .. } => 4,
        News::Called { .. } => 5,
        News::Concerns { .. } => 6,
        News::Memberships { .. } => 7,
        News::Contacts { .. } => 8,
        News::Blocks => 9,
        News::Erased { .. } => 10,
        News::Missed => 11,
        News::Typing { .. } => 12,
    }
}

fn read_news(kind: u8, body: &[u8]) -> Result<News, Unread> {
    Ok(match kind {
        1 => read::<EventsDto>(body)?.try_into()?,
        2 => read::<PositionsDto>(body)?.try_into()?,
        3 => read::<PresenceDto>(body)?.try_into()?,
        4 => {
            let IncidentDto { row, created } = read(body)?;
            let row = std::sync::Arc::new(row.try_into()?);
            News::Incident { row, created }
        }
        5 => {
            let CalledDto { room, owner, alarm } = read(body)?;
            News::Called {
                room: parts::room(&room)?,
                owner: parts::subject(&owner)?,
                alarm,
            }
        }
        6 => {
            let ConcernsDto { subject, room } = read(body)?;
            News::Concerns {
                subject: parts::subject(&subject)?,
                room: parts::room(&room)?,
            }
        }
        7 => News::Memberships {
            subjects: parts::each(&read::<MembershipsDto>(body)?.subjects, parts::subject)?,
        },
        8 => read::<ContactsDto>(body)?.try_into()?,
        9 => News::Blocks,
        10 => read::<ErasedDto>(body)?.try_into()?,
        11 => News::Missed,
        12 => {
            let TypingDto { room, who, on, name } = read(body)?;
            News::Typing {
                room: parts::room(&room)?,
                who: crate::domain::ids::ParticipantId::from_bits(who),
                on,
                name,
            }
        }
        kind => return Err(Unread::Kind(kind)),
    })
}

/// The rest of the bytes.
struct Body<'a>(&'a mut Vec<u8>);

impl Body<'_> {
    fn write(self, said: &impl Serialize) {
        let mut to = rmp_serde::Serializer::new(self.0).with_struct_map();
        said.serialize(&mut to)
            .expect("invariant: these types can be written, and memory takes everything");
    }
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, Unread> {
    rmp_serde::from_slice(body).map_err(|_| Unread::Damaged)
}

#[derive(Serialize, Deserialize)]
struct EventsDto {
    #[serde(rename = "r")]
    room: String,
    #[serde(rename = "e")]
    events: Vec<EventDto>,
    #[serde(rename = "p", default, skip_serializing_if = "Vec::is_empty")]
    people: Vec<PersonDto>,
}

impl TryFrom<EventsDto> for News {
    type Error = Unread;

    fn try_from(dto: EventsDto) -> Result<Self, Unread> {
        let room = parts::room(&dto.room)?;
        let events = dto.events.into_iter().map(|event| event.of(&room));
        Ok(Self::Events {
            events: events.collect::<Result<_, _>>()?,
            people: dto
                .people
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
            room,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct PositionsDto {
    #[serde(rename = "r")]
    room: String,
    #[serde(rename = "f")]
    fixes: Vec<FixDto>,
}

impl TryFrom<PositionsDto> for News {
    type Error = Unread;

    fn try_from(dto: PositionsDto) -> Result<Self, Unread> {
        Ok(Self::Positions {
            room: parts::room(&dto.room)?,
            fixes: dto
                .fixes
                .into_iter()
                .map(TryInto::try_into)
                .collect::<Result<_, _>>()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct TypingDto {
    #[serde(rename = "r")]
    room: String,
    #[serde(rename = "w")]
    who: u64,
    #[serde(rename = "o")]
    on: bool,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PresenceDto {
    #[serde(rename = "r")]
    room: String,
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    changes: Vec<AttendanceDto>,
    #[serde(rename = "w", default)]
    whole: bool,
    #[serde(rename = "a", default)]
    asks: bool,
}

impl TryFrom<PresenceDto> for News {
    type Error = Unread;

    fn try_from(dto: PresenceDto) -> Result<Self, Unread> {
        Ok(Self::Presence {
            room: parts::room(&dto.room)?,
            changes: dto.changes.into_iter().map(Into::into).collect(),
            whole: dto.whole,
            asks: dto.asks,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct IncidentDto {
    #[serde(rename = "i")]
    row: RowDto,
    #[serde(rename = "n", default)]
    created: bool,
}

#[derive(Serialize, Deserialize)]
struct CalledDto {
    #[serde(rename = "r")]
    room: String,
    #[serde(rename = "o")]
    owner: String,
    #[serde(rename = "a", default)]
    alarm: bool,
}

#[derive(Serialize, Deserialize)]
struct ConcernsDto {
    #[serde(rename = "s")]
    subject: String,
    #[serde(rename = "r")]
    room: String,
}

#[derive(Serialize, Deserialize)]
struct MembershipsDto {
    #[serde(rename = "s")]
    subjects: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct ContactsDto {
    #[serde(rename = "o")]
    owner: String,
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(rename = "c", default, skip_serializing_if = "Vec::is_empty")]
    circles: Vec<String>,
    #[serde(rename = "a", default, skip_serializing_if = "Vec::is_empty")]
    added: Vec<String>,
    #[serde(rename = "d", default, skip_serializing_if = "Vec::is_empty")]
    removed: Vec<String>,
}

impl TryFrom<ContactsDto> for News {
    type Error = Unread;

    fn try_from(dto: ContactsDto) -> Result<Self, Unread> {
        Ok(Self::Contacts {
            owner: parts::subject(&dto.owner)?,
            name: dto.name,
            circles: parts::each(&dto.circles, parts::room)?,
            added: parts::each(&dto.added, parts::phone)?,
            removed: parts::each(&dto.removed, parts::phone)?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct ErasedDto {
    #[serde(rename = "s")]
    subject: String,
    #[serde(rename = "p", default)]
    places: Vec<(String, u64)>,
}

impl TryFrom<ErasedDto> for News {
    type Error = Unread;

    fn try_from(dto: ErasedDto) -> Result<Self, Unread> {
        let place = |(room, who): &(String, u64)| Ok((parts::room(room)?, parts::participant(*who)));
        Ok(Self::Erased {
            subject: parts::subject(&dto.subject)?,
            places: dto.places.iter().map(place).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests;
