//! Topics as the names of channels.
//!
//! `mayday/<database>/room/{<room>}`: a room's name stands in braces, so that in a Redis Cluster the channel lies in
//! the slot of the keys that name the room the same way. Channels know no databases, so the number is in their names.

use crate::bus::Topic;
use crate::domain::area::Cell;
use crate::domain::ids::RoomId;

/// Names channels for one database.
#[derive(Clone, Debug)]
pub struct Channels {
    prefix: String,
}

impl Channels {
    /// Those of a database.
    pub fn new(database: u16) -> Self {
        Self {
            prefix: format!("mayday/{database}/"),
        }
    }

    /// What the names of our own keys begin with.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The channel of a topic.
    pub fn name(&self, topic: &Topic) -> String {
        let prefix = &self.prefix;
        match topic {
            Topic::Room(room) => format!("{prefix}room/{{{room}}}"),
            Topic::Cell(cell) => format!("{prefix}cell/{:x}", cell.bits()),
            Topic::Everyone => format!("{prefix}everyone"),
        }
    }

    /// The topic of a channel; `None` when it is none of ours.
    pub fn topic(&self, name: &[u8]) -> Option<Topic> {
        let name = std::str::from_utf8(name)
            .ok()?
            .strip_prefix(self.prefix.as_str())?;
        if name == "everyone" {
            return Some(Topic::Everyone);
        }
        match name.split_once('/')? {
            ("room", room) => {
                let room = room.strip_prefix('{')?.strip_suffix('}')?;
                RoomId::new(room).ok().map(Topic::Room)
            }
            ("cell", bits) => {
                let bits = u64::from_str_radix(bits, 16).ok()?;
                Cell::from_bits(bits).map(Topic::Cell)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::geo::Position;

    #[test]
    fn every_topic_has_a_channel_and_is_known_by_it() {
        let channels = Channels::new(3);
        let cell = Cell::of(Position::new(14.5995, 120.9842).unwrap());
        for topic in [
            Topic::Room(RoomId::new("a.b:c-d_e").unwrap()),
            Topic::Cell(cell),
            Topic::Everyone,
        ] {
            let name = channels.name(&topic);
            assert!(name.starts_with("mayday/3/"));
            assert_eq!(channels.topic(name.as_bytes()), Some(topic));
            assert_eq!(Channels::new(4).topic(name.as_bytes()), None);
        }
    }

    #[test]
    fn other_channels_are_none_of_ours() {
        for name in [
            "",
            "mayday/0/",
            "mayday/0/room/",
            "mayday/0/room/{}",
            "mayday/0/room/home",
            "mayday/0/room/{ho me}",
            "mayday/0/cell/zz",
            "mayday/0/cell/1",
            "mayday/0/what",
            "\u{1F692}",
        ] {
            assert_eq!(Channels::new(0).topic(name.as_bytes()), None, "{name}");
        }
        assert_eq!(Channels::new(0).topic(b"mayday/0/room/{\xff}"), None);
    }
}
