//! The names of keys. Those of the protocol page are read by other programs and never change; what is ours alone begins
//! as everything of ours does, or shares the slot of a key of theirs.

use std::time::Duration;

use crate::bus::redis::Channels;
use crate::domain::ids::{RoomId, UserId};

/// How long an open incident is remembered.
pub(super) const OPEN: Duration = Duration::from_secs(24 * 3_600);
/// How long one that is over is.
pub(super) const CLOSED: Duration = Duration::from_secs(3_600);
/// How long a presence is, unless it is refreshed.
pub(super) const PRESENCE: Duration = Duration::from_secs(3_600);
/// How old a node's word on a presence may be.
pub(super) const PRESENCE_STALE: Duration = Duration::from_secs(900);
/// How long a session is remembered.
pub(super) const SESSION: Duration = Duration::from_secs(24 * 3_600);
/// How long contacts are.
pub(super) const CONTACTS: Duration = Duration::from_secs(3_600);
/// How long newest positions are.
pub(super) const NEWEST: Duration = Duration::from_secs(3_600);

/// The incidents that are open.
pub(super) const ROOMS: &str = "sos:rooms";
/// Where trips are.
pub(super) const TRIPS: &str = "active_trips_geo";
/// When each was heard of last; in a cluster it lies beside [`TRIPS`], by whose name it is placed.
pub(super) const TRIPS_SEEN: &str = "{active_trips_geo}:seen";
/// All positions of about an hour.
pub(super) const STREAM: &str = "location_stream";

/// A trip in [`TRIPS`].
pub(super) fn trip(room: &RoomId) -> String {
    format!("trip:{room}")
}

/// The trip behind its name in [`TRIPS`].
pub(super) fn trip_of(member: &str) -> Option<RoomId> {
    RoomId::new(member.strip_prefix("trip:")?).ok()
}

/// An incident as it stands.
pub(super) fn state(sos: &RoomId) -> String {
    format!("sos:state:{sos}")
}

/// Where a user is connected.
pub(super) fn presence(user: &UserId) -> String {
    format!("user:presence:{user}")
}

/// A user's newest connection.
pub(super) fn session(user: &UserId) -> String {
    format!("session:{user}")
}

/// A user's emergency contacts, and the key beside them that says how often they have changed. `None` for an id by
/// which a cluster would not place both together.
pub(super) fn contacts(user: &UserId) -> Option<[String; 2]> {
    let id = user.as_str();
    (!id.contains(['{', '}'])).then(|| [format!("emergency:{id}"), format!("{{emergency:{id}}}:version")])
}

/// The newest position of each who is in a room.
pub(super) fn newest(channels: &Channels, room: &RoomId) -> String {
    format!("{}newest/{{{room}}}", channels.prefix())
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::cluster_routing::Slot;

    #[test]
    fn what_is_written_together_lies_in_one_slot() {
        assert_eq!(Slot::for_key(TRIPS), Slot::for_key(TRIPS_SEEN));
        let [list, version] = contacts(&UserId::new("u-1:x y").unwrap()).unwrap();
        assert_eq!(list, "emergency:u-1:x y");
        assert_eq!(Slot::for_key(&list), Slot::for_key(&version));
        assert_eq!(contacts(&UserId::new("u{1}").unwrap()), None);
    }

    #[test]
    fn names_are_those_of_the_contract() {
        let (sos, user) = (RoomId::new("ab.1").unwrap(), UserId::new("u-1").unwrap());
        assert_eq!(state(&sos), "sos:state:ab.1");
        assert_eq!(presence(&user), "user:presence:u-1");
        assert_eq!(session(&user), "session:u-1");
        assert_eq!(trip(&sos), "trip:ab.1");
        assert_eq!(trip_of("trip:ab.1"), Some(sos));
        assert_eq!(trip_of("ab.1"), None);
        assert_eq!(trip_of("trip:a b"), None);
    }
}
