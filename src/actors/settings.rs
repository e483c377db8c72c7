//! The numbers that the actors go by. `config` fills them in; each has its unit in its name or type.

use std::time::Duration;

use super::check_ins::CheckInSettings;
use super::ops::OpsSettings;
use crate::domain::location::LocationPolicy;
use crate::domain::otp::OtpPolicy;
use crate::domain::phone::Region;
use crate::domain::pin::PinPolicy;
use crate::domain::room::Policy;
use crate::store::Retention;

/// What many nodes go by.
#[derive(Clone, Debug)]
pub struct ClusterSettings {
    /// How often a node says that it lives, and looks who else does.
    pub heartbeat: Duration,
    /// Rooms that look into the store at the same time without being asked for.
    pub looks_at_once: usize,
    /// Events that one look reads; more are read by further ones.
    pub look_page: usize,
    /// How long a look may take.
    pub look_timeout: Duration,
    /// A room in which somebody sits looks at least this often, whatever it hears; zero: only when it must.
    pub compare_every: Duration,
    /// The most events of other nodes that wait in one room.
    pub heard_max: usize,
    /// The most orders of other nodes that wait to be carried out.
    pub orders_max: usize,
}

impl Default for ClusterSettings {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_secs(1),
            looks_at_once: 32,
            look_page: 200,
            look_timeout: Duration::from_secs(2),
            compare_every: Duration::from_secs(300),
            heard_max: 1024,
            orders_max: 4096,
        }
    }
}

/// Where devices are pushed to.
#[derive(Clone, Copy, Debug)]
pub struct PushSettings {
    /// Devices of one person.
    pub targets_max: usize,
    /// How long one is kept of which nothing is heard.
    pub keep: Duration,
    /// Browsers' push services may be spoken to in the clear.
    pub in_the_clear: bool,
}

impl Default for PushSettings {
    fn default() -> Self {
        Self {
            targets_max: 5,
            keep: Duration::from_secs(90 * 86_400),
            in_the_clear: false,
        }
    }
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Rules of time and number in rooms.
    pub policy: Policy,
    /// Rules for positions.
    pub locations: LocationPolicy,
    /// Threads of their own that rooms are spread over; 0: those that [`super::Engine::run_on`] names.
    pub arbiters: usize,
    /// The most messages that wait for one room.
    pub room_mailbox_max: usize,
    /// The most commands decided and written together.
    pub room_batch_max: usize,
    /// The most recent events whose frames a room keeps for those who resume.
    pub room_recent_max: usize,
    /// How much may wait for somebody who catches up before the next page is sent, in bytes.
    pub catch_up_bytes: usize,
    /// A room that nobody uses for this long leaves memory.
    pub passivate_after: Duration,
    /// How long a caller waits for a room's answer.
    pub command_timeout: Duration,
    /// Shards of the location batcher.
    pub batcher_shards: usize,
    /// The most uploads that wait for one shard.
    pub batcher_mailbox_max: usize,
    /// The most subjects remembered, over all shards.
    pub subjects_max: usize,
    /// How often waiting positions are looked at.
    pub tick: Duration,
    /// How long a kept fix that nobody waits for may wait to be written.
    pub history_delay: Duration,
    /// Kept fixes that are written at once, however young.
    pub history_batch_max: usize,
    /// The most areas watched at once.
    pub watchers_max: usize,
    /// The most incidents whose news wait for one watcher; beyond, the list is sent again.
    pub watcher_backlog_max: usize,
    /// The widest area, in km.
    pub radius_max_km: u32,
    /// Trips whose place this node remembers.
    pub trips_max: usize,
    /// The most contacts in one list.
    pub contacts_max: usize,
    /// By which national phone numbers are read.
    pub region: Region,
    /// How long before its credential ends a session is told; zero: not at all.
    pub expiry_warning: Duration,
    /// How much longer than its credential a session stays: clocks differ.
    pub credential_leeway: Duration,
    /// Messages a second from one session; 0: no limit.
    pub messages_per_second: u32,
    /// Messages from one session at once.
    pub messages_burst: u32,
    /// The most rooms one session is in.
    pub session_rooms_max: usize,
    /// How long things are kept.
    pub retention: Retention,
    /// How often the janitor looks round.
    pub sweep: Duration,
    /// A position older than this is no longer shown as the present one; zero: it always is.
    pub stale_after: Duration,
    /// How often a device that is seen is noted.
    pub devices_seen_every: Duration,
    /// The most devices whose last sight is remembered.
    pub devices_seen_max: usize,
    /// What many nodes go by.
    pub cluster: ClusterSettings,
    /// What operators follow.
    pub ops: OpsSettings,
    /// Where devices are pushed to.
    pub push: PushSettings,
    /// Codes that prove that an address is somebody's.
    pub otp: OtpPolicy,
    /// How often a PIN may be typed in wrong.
    pub pins: PinPolicy,
    /// Hashes of PINs that are made at the same time.
    pub pin_hashes_at_once: usize,
    /// What becomes an SOS when nobody hears of them.
    pub check_ins: CheckInSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            locations: LocationPolicy::default(),
            arbiters: 1,
            room_mailbox_max: 4096,
            room_batch_max: 256,
            room_recent_max: 256,
            catch_up_bytes: 64 * 1024,
            passivate_after: Duration::from_secs(300),
            command_timeout: Duration::from_secs(10),
            batcher_shards: 1,
            batcher_mailbox_max: 65_536,
            subjects_max: 1_000_000,
            tick: Duration::from_millis(20),
            history_delay: Duration::from_millis(1000),
            history_batch_max: 1000,
            watchers_max: 100_000,
            watcher_backlog_max: 32_768,
            radius_max_km: 25,
            trips_max: 100_000,
            contacts_max: 100,
            region: Region::new("PH").expect("invariant: PH has a numbering plan"),
            expiry_warning: Duration::from_secs(60),
            credential_leeway: Duration::from_secs(5),
            messages_per_second: 50,
            messages_burst: 100,
            session_rooms_max: 1000,
            retention: Retention::default(),
            sweep: Duration::from_secs(60),
            stale_after: Duration::from_secs(900),
            devices_seen_every: Duration::from_secs(3_600),
            devices_seen_max: 100_000,
            cluster: ClusterSettings::default(),
            ops: OpsSettings::default(),
            push: PushSettings::default(),
            otp: OtpPolicy {
                ttl: Duration::from_secs(300),
                attempts_max: 5,
                cool_down: Duration::from_secs(30),
                sends_per_hour: 5,
            },
            pins: PinPolicy {
                attempts_max: 5,
                lock: Duration::from_secs(900),
            },
            pin_hashes_at_once: 4,
            check_ins: CheckInSettings::default(),
        }
    }
}
