//! What the settings mean: times with their unit, lists, and the rules that other parts go by.

use std::num::NonZero;
use std::time::Duration;

use super::sections::{
    Abuse, Alerts, Auth, Bus, Contacts, Cors, Devices, Drain, Http, Limits, Locations, Mongo, Push,
    Retention, Rooms, Services, Sessions, SocketIo, Tls, Trips,
};
use crate::actors::lookup::IdShape;
use crate::domain::budget::MessageBudget;
use crate::domain::hints::HintPolicy;
use crate::domain::location::LocationPolicy;
use crate::domain::room::Policy;
use crate::domain::time::Timestamp;

macro_rules! durations {
    ($($name:ident { $($(#[$doc:meta])* $method:ident = $from:ident($key:ident)),* $(,)? })*) => {
        $(impl $name {
            $($(#[$doc])* pub const fn $method(&self) -> Duration { Duration::$from(self.$key) })*
        })*
    };
}

durations! {
    Alerts {
        /// How long a channel is given before the next one is tried.
        next_channel_after = from_secs(next_channel_after_s),
        /// An acknowledged incident that is left alone for so long is told of again; zero: never.
        untouched_after = from_secs(untouched_after_s),
        /// Nobody is reminded so soon after the last message to them.
        cool_down = from_secs(cool_down_s),
        /// For how long a message is worth sending.
        ttl = from_secs(ttl_s),
        /// An SOS is late when no vendor has news of it by then.
        late_after = from_millis(late_after_ms),
        /// The contacts of somebody with a PIN are told so long after an SOS was raised.
        cancel_window = from_secs(cancel_window_s),
        /// The longest wait before the second attempt.
        backoff_min = from_millis(backoff_min_ms),
        /// The longest wait before any.
        backoff_max = from_millis(backoff_max_ms),
        /// A vendor that wants to be left alone for longer is passed over when there is another.
        patience = from_millis(patience_ms),
        /// A vendor that holds a message for so long is asked about it.
        ask_after = from_secs(ask_after_s),
        /// For how long a message that a vendor took is minded.
        watch = from_secs(watch_s),
        /// For how long a vendor that does not answer is left alone.
        breaker_rest = from_millis(breaker_rest_ms),
        /// For how long a job is one node's.
        lease = from_millis(lease_ms),
        /// How often a node looks for jobs that it did not hear of.
        poll = from_millis(poll_ms),
    }
    Http {
        /// The head of a request must be here by then.
        header_timeout = from_millis(header_timeout_ms),
        /// A request must be answered by then.
        request_timeout = from_millis(request_timeout_ms),
        /// How long an unused connection is kept.
        keep_alive = from_secs(keep_alive_s),
    }
    Tls {
        /// How often the files are looked at.
        reload = from_secs(reload_s),
        /// A handshake must be done by then.
        handshake_timeout = from_millis(handshake_timeout_ms),
    }
    Bus {
        /// A connection must stand by then.
        connect_timeout = from_millis(connect_timeout_ms),
        /// A command must be answered by then.
        response_timeout = from_millis(response_timeout_ms),
        /// The wait before the second attempt to connect.
        reconnect_min = from_millis(reconnect_min_ms),
        /// The longest wait between two attempts.
        reconnect_max = from_millis(reconnect_max_ms),
        /// How often Redis is asked whether it is well.
        health_interval = from_millis(health_interval_ms),
        /// How long messages are collected while a pipeline is on its way.
        flush_after = from_micros(flush_after_us),
        /// How long a topic that nobody wants is still listened to.
        unsubscribe_grace = from_millis(unsubscribe_grace_ms),
        /// A node that says nothing for this long is gone.
        fades_after = from_millis(fades_after_ms),
        /// A budget that all nodes share must be answered for by then.
        limits_timeout = from_millis(limits_timeout_ms),
        /// A question for what all nodes can read must be answered for by then.
        board_timeout = from_millis(board_timeout_ms),
        /// How far back the stream of positions reaches.
        stream_keep = from_secs(stream_keep_s),
        /// What history keeps of the stream is written so late at most.
        history_interval = from_secs(history_interval_s),
        /// What a node has taken from the stream and not written for so long another takes over.
        history_take_over = from_secs(history_take_over_s),
    }
    Mongo {
        /// How long a request waits for a connection.
        pool_wait = from_millis(pool_wait_ms),
        /// A connection must be there by then.
        connect_timeout = from_millis(connect_timeout_ms),
        /// A server that takes the request must be found by then.
        server_selection_timeout = from_millis(server_selection_timeout_ms),
        /// A request must be answered by then.
        operation_timeout = from_millis(operation_timeout_ms),
        /// A write must be durable by then.
        write_timeout = from_millis(write_timeout_ms),
        /// How often it is looked whether a server answers again.
        breaker_probe = from_millis(breaker_probe_ms),
        /// Commands that take longer are logged.
        slow_command = from_millis(slow_command_ms),
        /// How long a start waits for another node that migrates.
        migrate_wait = from_secs(migrate_wait_s),
    }
    Auth {
        /// How far clocks may differ.
        leeway = from_secs(leeway_s),
        /// How often the key set is fetched.
        jwks_refresh = from_secs(jwks_refresh_s),
        /// At least this long between fetches that an unknown key causes.
        jwks_early_min = from_secs(jwks_early_min_s),
        /// How long a request with an unknown key waits for such a fetch.
        jwks_wait = from_millis(jwks_wait_ms),
        /// A fetch must be done by then.
        jwks_timeout = from_millis(jwks_timeout_ms),
        /// How long the last good set counts.
        jwks_stale_max = from_secs(jwks_stale_max_s),
        /// How long before its credential ends a connection is told.
        expiry_warning = from_secs(expiry_warning_s),
        /// How long a ticket is good.
        ticket_ttl = from_secs(ticket_ttl_s),
    }
    Services {
        /// A connection must stand by then.
        connect_timeout = from_millis(connect_timeout_ms),
        /// How long a service that does not answer is left alone.
        breaker_rest = from_millis(breaker_rest_ms),
        /// An attempt must be answered by then.
        lookup_timeout = from_millis(lookup_timeout_ms),
        /// All attempts of a question must be done by then.
        lookup_deadline = from_millis(lookup_deadline_ms),
        /// The longest wait before the second one.
        lookup_pause = from_millis(lookup_pause_ms),
        /// How long it is remembered that there is no such incident.
        lookup_absent = from_secs(lookup_absent_s),
        /// How long it is remembered what is known of one.
        lookup_found = from_secs(lookup_found_s),
        /// An event must be taken by then.
        feed_timeout = from_millis(feed_timeout_ms),
        /// For how long an incident is one node's to tell of.
        feed_lease = from_secs(feed_lease_s),
        /// How often a node looks whether there is something to tell.
        feed_poll = from_millis(feed_poll_ms),
        /// The longest wait before the second attempt.
        feed_backoff_min = from_millis(feed_backoff_min_ms),
        /// The longest wait before any.
        feed_backoff_max = from_millis(feed_backoff_max_ms),
    }
    Contacts {
        /// A connection to the service that keeps them must stand by then.
        connect_timeout = from_millis(connect_timeout_ms),
        /// An attempt must be answered by then.
        timeout = from_millis(timeout_ms),
        /// All attempts of a question must be done by then.
        deadline = from_millis(deadline_ms),
        /// The longest wait before the second one.
        pause = from_millis(pause_ms),
        /// How long a service that does not answer is left alone.
        breaker_rest = from_millis(breaker_rest_ms),
        /// How long an answer counts.
        fresh = from_secs(fresh_s),
        /// How long what is known counts when there was no answer.
        stale = from_secs(stale_s),
    }
    Limits {
        /// The window of an anonymous device's requests.
        anon_window = from_secs(anon_window_s),
        /// The window of a registered user's requests.
        user_window = from_secs(user_window_s),
    }
    Locations {
        /// How often waiting fixes are looked at.
        tick = from_millis(tick_ms),
        /// How long a kept fix that came over a socket may wait to be written.
        history_delay = from_millis(history_delay_ms),
        /// A position older than this is no longer the present one; zero: it always is.
        stale_after = from_secs(stale_after_s),
    }
    Rooms {
        /// A room that nobody used for this long leaves memory.
        passivate_after = from_secs(passivate_after_s),
        /// A command must be answered by then.
        command_timeout = from_millis(command_timeout_ms),
    }
    Trips {
        /// After so long one is over that nobody ended; zero: never.
        longest = from_secs(longest_s),
    }
    Devices {
        /// A device's record says when it was seen last, to within this.
        seen_every = from_secs(seen_every_s),
        /// An export must be read by then.
        export_timeout = from_secs(export_timeout_s),
    }
    SocketIo {
        /// From a pong to the next ping.
        ping_interval = from_millis(ping_interval_ms),
        /// From a ping to the end, without a pong.
        ping_timeout = from_millis(ping_timeout_ms),
        /// How long a client may be in no namespace.
        connect_timeout = from_millis(connect_timeout_ms),
        /// How long a WebSocket may take to become the connection.
        upgrade_timeout = from_millis(upgrade_timeout_ms),
        /// How long a connection that we end waits to be polled.
        close_timeout = from_millis(close_timeout_ms),
    }
    Sessions {
        /// Signals leave at most once in this time.
        signal_gap = from_millis(signal_gap_ms),
        /// How often a quiet peer is pinged.
        ping_interval = from_secs(ping_interval_s),
        /// A peer silent for this long is dead.
        ping_timeout = from_secs(ping_timeout_s),
        /// How long a peer has to answer a close.
        close_timeout = from_millis(close_timeout_ms),
    }
    Retention {
        /// How often the janitor looks.
        sweep = from_secs(sweep_s),
    }
    Drain {
        /// How long it waits for work in hand.
        grace = from_millis(grace_ms),
        /// Over how long clients are told to spread their return.
        spread = from_millis(spread_ms),
    }
}

/// `count`, or the number of cores when it is 0.
fn or_cores(count: usize) -> usize {
    if count > 0 {
        count
    } else {
        std::thread::available_parallelism().map_or(1, NonZero::get)
    }
}

impl Http {
    /// Threads that serve requests.
    pub fn workers(&self) -> usize {
        or_cores(self.workers)
    }
}

impl Tls {
    /// Whether there is TLS.
    pub fn is_on(&self) -> bool {
        !self.certificate.is_empty()
    }
}

/// The parts of a comma-separated list.
pub(super) fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

impl Cors {
    /// Origins whose pages may use the API.
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        list(&self.origins)
    }
}

impl Auth {
    /// Origins of other sites whose pages may use the cookie.
    pub fn cookie_origins(&self) -> impl Iterator<Item = &str> {
        list(&self.cookie_origins)
    }

    /// One of these a token must be for; none: it may be for anybody.
    pub fn audiences(&self) -> impl Iterator<Item = &str> {
        list(&self.audience)
    }
}

impl Contacts {
    /// Whether another service keeps them.
    pub fn is_remote(&self) -> bool {
        !self.url.is_empty()
    }
}

impl Services {
    /// Whether there is such a service.
    pub fn has_sos(&self) -> bool {
        !self.sos_url.is_empty()
    }

    /// Whether it is asked for incidents that are not known here.
    pub fn looks_up(&self) -> bool {
        self.has_sos() && self.lookups
    }

    /// Whether it is told what happens in incidents.
    pub fn feeds(&self) -> bool {
        self.has_sos() && self.feed
    }

    /// Shapes of the ids that it may know; a word that names none is left out.
    pub fn lookup_shapes(&self) -> Vec<IdShape> {
        list(&self.lookup_ids).filter_map(IdShape::parse).collect()
    }
}

impl Limits {
    /// No limit on anything, for tests of something else.
    pub fn none() -> Self {
        Self {
            sos_per_hour: 0,
            user_sos_per_hour: 0,
            anon_requests: 0,
            user_requests: 0,
            anon_writes: 0,
            user_writes: 0,
            locations_per_minute: 0,
            registrations_per_hour: 0,
            connects_per_minute: 0,
            reports_per_hour: 0,
            address_sos_per_hour: 0,
            address_sos_max_per_hour: 0,
            address_requests: 0,
            address_writes: 0,
            address_locations_per_minute: 0,
            address_registrations_per_hour: 0,
            address_connects_per_minute: 0,
            address_reports_per_hour: 0,
            connections_per_address: 0,
            connections_per_subject: 0,
            http_connections_per_address: 0,
            messages_per_second: 0,
            ..Self::default()
        }
    }

    /// The budget of a connection that opens at `now`.
    pub fn message_budget(&self, now: Timestamp) -> MessageBudget {
        MessageBudget::new(self.messages_per_second, self.messages_burst, now)
    }
}

impl Abuse {
    /// The rules by which hints for staff are made.
    pub fn hint_policy(&self) -> HintPolicy {
        HintPolicy {
            radius_m: self.duplicates_radius_m.into(),
            window: Duration::from_secs(self.duplicates_window_s),
            keep: Duration::from_secs(self.hints_keep_s),
            incidents_max: self.hints_max_incidents,
            people_max: self.hints_max_people,
        }
    }
}

impl Locations {
    /// Batchers.
    pub fn shards(&self) -> usize {
        or_cores(self.shards)
    }

    /// The rules for positions.
    pub fn policy(&self) -> LocationPolicy {
        LocationPolicy {
            min_interval: Duration::from_millis(self.min_interval_ms),
            keep_distance_m: self.history_min_distance_m.into(),
            keep_interval: Duration::from_secs(self.history_min_interval_s),
            max_ahead: Duration::from_secs(self.max_ahead_s),
            max_speed_mps: self.max_speed_mps.into(),
        }
    }
}

impl Rooms {
    /// The rules of time and number that rooms go by.
    pub fn policy(&self) -> Policy {
        Policy {
            idle_participant: Duration::from_secs(self.idle_participant_s),
            empty_room: Duration::from_secs(self.empty_room_s),
            return_grace: Duration::from_secs(self.return_grace_s),
            members_max: self.members_max,
            requests_max: self.requests_max,
            ..Policy::default()
        }
    }
}

impl Sessions {
    /// After how long the kernel gives up on a peer; `None`: its default.
    pub fn tcp_user_timeout(&self) -> Option<Duration> {
        (self.tcp_user_timeout_ms > 0).then(|| Duration::from_millis(self.tcp_user_timeout_ms.into()))
    }
}

impl Push {
    /// How long a target is kept that nobody speaks of.
    pub const fn keep(&self) -> Duration {
        Duration::from_secs(self.keep_days as u64 * 86_400)
    }
}

impl Retention {
    /// How long positions are kept; zero: for ever.
    pub const fn locations(&self) -> Duration {
        Duration::from_secs(self.locations_days as u64 * 86_400)
    }

    /// How long reports of misconduct are kept; zero: for ever.
    pub const fn reports(&self) -> Duration {
        Duration::from_secs(self.reports_days as u64 * 86_400)
    }

    /// How long idempotency keys are kept; zero: for ever.
    pub const fn idempotency(&self) -> Duration {
        Duration::from_secs(self.idempotency_hours as u64 * 3_600)
    }

    /// How long a device that is not seen can be told to have been somebody; zero: for ever.
    pub const fn device_links(&self) -> Duration {
        Duration::from_secs(self.devices_anonymise_days as u64 * 86_400)
    }

    /// How long events that a service refused for good are kept; zero: for ever.
    pub const fn dead_letters(&self) -> Duration {
        Duration::from_secs(self.dead_letters_days as u64 * 86_400)
    }

    /// How long a vendor's name for a message is known; zero: for ever.
    pub const fn receipts(&self) -> Duration {
        Duration::from_secs(self.receipts_days as u64 * 86_400)
    }

    /// How long a backup is kept from bringing back who was erased; zero: for ever.
    pub const fn erasures(&self) -> Duration {
        Duration::from_secs(self.erasures_days as u64 * 86_400)
    }

    /// How long the order of incidents' events is kept; zero: for ever.
    pub const fn feed(&self) -> Duration {
        Duration::from_secs(self.feed_hours as u64 * 3_600)
    }

    /// How long the record of a device that is not seen is kept; zero: for ever.
    pub const fn devices(&self) -> Duration {
        Duration::from_secs(self.devices_delete_days as u64 * 86_400)
    }
}
