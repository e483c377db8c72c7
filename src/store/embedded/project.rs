//! Carries out what the projection says, row by row.

use rusqlite::params;

use super::geo::band;
use super::rows::RoomKey;
use super::sql::Db;
use crate::domain::geo::Position;
use crate::domain::ids::ParticipantId;
use crate::domain::incident::{IncidentType, Report, Status};
use crate::domain::room::{Event, Seq, UserType};
use crate::domain::time::Timestamp;
use crate::store::contract::StoreError;
use crate::store::projection::{Change, RoomRow};

/// Takes the room's next event. The room's own row is the caller's to write.
pub(super) fn project(
    db: &mut Db<'_>,
    key: RoomKey,
    row: &mut RoomRow,
    event: &Event,
) -> Result<(), StoreError> {
    for change in row.take(event) {
        match change {
            Change::Created {
                owner,
                report: Some(report),
                at,
            } => create_incident(db, key, event.seq, owner, report, at)?,
            Change::Created { report: None, .. } => {}
            Change::Entered { who, user_type, at } => {
                row.members += u32::from(enter(db, key, who, user_type, at)?);
            }
            Change::Went { who, at } => {
                row.members = row.members.saturating_sub(u32::from(go(db, key, who, at)?));
            }
            Change::AllWent { at } => {
                let sql = "UPDATE participants SET left_at = ?2 WHERE room = ?1 AND left_at IS NULL";
                db.run(sql, params![key, at.ms()])?;
                row.members = 0;
            }
            Change::Retyped { to } => retype_incident(db, key, to)?,
            Change::Moved { to, at, ended } => move_incident(db, key, to, at, ended)?,
        }
    }
    Ok(())
}

/// Forgets what the log of a room was projected to.
pub(super) fn forget(db: &mut Db<'_>, key: RoomKey) -> Result<(), StoreError> {
    db.run("DELETE FROM participants WHERE room = ?1", [key])?;
    leave_map(db, key)?;
    db.run("DELETE FROM incidents WHERE room = ?1", [key])?;
    Ok(())
}

/// True when they were not in.
fn enter(
    db: &mut Db<'_>,
    key: RoomKey,
    who: ParticipantId,
    user_type: UserType,
    at: Timestamp,
) -> Result<bool, StoreError> {
    let row = params![key, who.bits().cast_signed(), user_type.as_str(), at.ms()];
    let new = "INSERT OR IGNORE INTO participants (room, participant, user_type, joined_at) VALUES (?1, ?2, ?3, ?4)";
    if db.run(new, row)? == 1 {
        return Ok(true);
    }
    let back = "UPDATE participants SET user_type = ?3, joined_at = ?4, left_at = NULL
                WHERE room = ?1 AND participant = ?2 AND left_at IS NOT NULL";
    if db.run(back, row)? == 1 {
        return Ok(true);
    }
    let again = "UPDATE participants SET user_type = ?3, joined_at = ?4 WHERE room = ?1 AND participant = ?2";
    db.run(again, row)?;
    Ok(false)
}

/// True when they were in.
fn go(db: &mut Db<'_>, key: RoomKey, who: ParticipantId, at: Timestamp) -> Result<bool, StoreError> {
    let row = params![key, who.bits().cast_signed(), at.ms()];
    let left =
        "UPDATE participants SET left_at = ?3 WHERE room = ?1 AND participant = ?2 AND left_at IS NULL";
    if db.run(left, row)? == 1 {
        return Ok(true);
    }
    db.run(
        "UPDATE participants SET left_at = ?3 WHERE room = ?1 AND participant = ?2",
        row,
    )?;
    Ok(false)
}

fn create_incident(
    db: &mut Db<'_>,
    key: RoomKey,
    origin: Seq,
    owner: Option<ParticipantId>,
    report: &Report,
    at: Timestamp,
) -> Result<(), StoreError> {
    db.run(
        "INSERT INTO incidents (room, origin, creator, status, open, kind, public, city, created_at, updated_at,
                                band, lat, lon)
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6, ?7, ?8, ?8, ?9, ?10, ?11)",
        params![
            key,
            origin.get().cast_signed(),
            owner.map(|who| who.bits().cast_signed()),
            Status::Active.as_str(),
            report.kind.as_str(),
            report.is_public(),
            report.city_id,
            at.ms(),
            report.position.map(|position| band(position.latitude())),
            report.position.map(Position::latitude),
            report.position.map(Position::longitude),
        ],
    )?;
    let Some(position) = report.position else {
        return Ok(());
    };
    db.run(
        "INSERT INTO geo (open, band, lon, room, lat, status, kind, public, city)
         VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        params![
            band(position.latitude()),
            position.longitude(),
            key,
            position.latitude(),
            Status::Active.as_str(),
            report.kind.as_str(),
            report.is_public(),
            report.city_id,
        ],
    )?;
    Ok(())
}

fn move_incident(
    db: &mut Db<'_>,
    key: RoomKey,
    to: Status,
    at: Timestamp,
    ended: bool,
) -> Result<(), StoreError> {
    leave_map(db, key)?;
    db.run(
        "UPDATE incidents SET status = ?2, open = ?3, updated_at = ?4, ended_at = CASE WHEN ?5 THEN ?4 ELSE ended_at END
         WHERE room = ?1",
        params![key, to.as_str(), to.is_open(), at.ms(), ended],
    )?;
    enter_map(db, key)
}

fn retype_incident(db: &mut Db<'_>, key: RoomKey, to: IncidentType) -> Result<(), StoreError> {
    leave_map(db, key)?;
    let row = params![key, to.as_str()];
    db.run("UPDATE incidents SET kind = ?2 WHERE room = ?1", row)?;
    enter_map(db, key)
}

/// An incident that says where it is stands on the map.
fn enter_map(db: &mut Db<'_>, key: RoomKey) -> Result<(), StoreError> {
    db.run(
        "INSERT INTO geo (open, band, lon, room, lat, status, kind, public, city)
         SELECT open, band, lon, room, lat, status, kind, public, city FROM incidents
         WHERE room = ?1 AND band IS NOT NULL",
        [key],
    )?;
    Ok(())
}

fn leave_map(db: &mut Db<'_>, key: RoomKey) -> Result<(), StoreError> {
    let place = db.first(
        "SELECT open, band, lon FROM incidents WHERE room = ?1 AND band IS NOT NULL",
        [key],
        |row| {
            Ok((
                row.get::<_, bool>(0)?,
                row.get::<_, i64>(1)?,
                row.get::<_, f64>(2)?,
            ))
        },
    )?;
    if let Some((open, band, lon)) = place {
        let sql = "DELETE FROM geo WHERE open = ?1 AND band = ?2 AND lon = ?3 AND room = ?4";
        db.run(sql, params![open, band, lon, key])?;
    }
    Ok(())
}
