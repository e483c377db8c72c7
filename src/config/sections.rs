//! The settings: name, type, default. What each means is told in `config.toml`, which a test keeps equal to
//! this page.

use std::path::PathBuf;

use super::alerts::{Channels, Steps};
use super::load::Reader;
use super::notify::Notify;
use super::proxies::TrustedProxies;
use super::secret::Secret;
use super::tokens::{ApiKeys, KeyFiles, TokenAlgorithms};
use super::value::{LogFormat, OutsideArea, ProxyHeader, StoreUrl, TlsVersion};
use crate::bus::redis::BusUrl;
use crate::domain::bounds::ServiceArea;
use crate::domain::phone::Region;

macro_rules! sections {
    ($(
        $(#[$doc:meta])*
        $section:ident: $name:ident { $($(#[$key_doc:meta])* $key:ident: $type:ty = $default:expr,)* }
    )*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq)]
            pub struct $name {
                $($(#[$key_doc])* pub $key: $type,)*
            }

            impl Default for $name {
                fn default() -> Self {
                    Self { $($key: $default,)* }
                }
            }
        )*

        /// All settings.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Config {
            $($(#[$doc])* pub $section: $name,)*
            /// Messages to people who are not connected.
            pub notify: Notify,
        }

        impl Config {
            const OWN_KEYS: &'static [(&'static str, &'static [&'static str])] =
                &[$((stringify!($section), &[$(stringify!($key)),*])),*];

            pub(super) fn read(from: &mut Reader) -> Self {
                let default = Self::default();
                Self {
                    $($section: $name {
                        $($key: from.take(stringify!($section), stringify!($key), default.$section.$key),)*
                    },)*
                    notify: Notify::read(from),
                }
            }
        }
    };
}

impl Config {
    /// The sections and the keys of each.
    pub fn keys() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
        Self::OWN_KEYS.iter().chain(Notify::KEYS).copied()
    }
}

sections! {
    /// The listening socket and what a request may cost.
    http: Http {
        /// The address to listen on.
        host: String = "127.0.0.1".into(),
        /// The port to listen on; 0: one that is free.
        port: u16 = 3000,
        /// Threads that serve requests; 0: one for each core.
        workers: usize = 0,
        /// Connections that the kernel holds until they are accepted.
        backlog: u32 = 4096,
        /// The largest request body.
        body_max_bytes: usize = 65_536,
        /// The largest body of a batch upload.
        batch_body_max_bytes: usize = 262_144,
        /// The head of a request must be here by then.
        header_timeout_ms: u64 = 5_000,
        /// A request must be answered by then.
        request_timeout_ms: u64 = 10_000,
        /// How long an unused connection is kept.
        keep_alive_s: u64 = 75,
        /// Connections to this node at once.
        connections_max: usize = 200_000,
        /// Proxies whose word about the client is believed.
        trusted_proxies: TrustedProxies = TrustedProxies::default(),
        /// The header in which they give it.
        proxy_header: ProxyHeader = ProxyHeader::XForwarded,
        /// Listen without TLS.
        plain: bool = true,
        /// Speak HTTP/2 over TLS.
        http2: bool = true,
        /// Speak HTTP/2 without TLS too, to clients who begin with it.
        h2c: bool = false,
        /// Requests in hand on one HTTP/2 connection.
        h2_streams_max: u32 = 128,
        /// The longest request target.
        uri_max_bytes: usize = 8_192,
        /// The headers of a request, names and values together.
        headers_max_bytes: usize = 32_768,
        /// The headers of a request.
        headers_max: usize = 64,
    }
    /// HTTPS and secure WebSockets.
    tls: Tls {
        /// The certificate chain, a PEM file; empty: no TLS.
        certificate: String = String::new(),
        /// Its private key, a PEM file.
        key: String = String::new(),
        /// The port to listen on; 0: one that is free.
        port: u16 = 3443,
        /// The oldest version that is spoken.
        min_version: TlsVersion = TlsVersion::V12,
        /// How often the files are looked at.
        reload_s: u64 = 60,
        /// A handshake must be done by then.
        handshake_timeout_ms: u64 = 5_000,
        /// Handshakes at once, for each worker.
        handshakes_max: usize = 256,
        /// How long browsers shall use nothing but HTTPS; 0: not said.
        hsts_max_age_s: u64 = 31_536_000,
    }
    /// Pages of other sites.
    cors: Cors {
        /// Origins whose pages may use the API, comma-separated; empty: none but those of `auth.cookie_origins`.
        origins: String = String::new(),
        /// What their requests may use.
        methods: String = "GET, HEAD, POST, PUT, PATCH, DELETE".into(),
        /// The headers that their requests may have.
        request_headers: String =
            "Authorization, Content-Type, Content-Encoding, X-Device-ID, X-Device-Token, X-Request-Id, Idempotency-Key, \
             If-None-Match, If-Match".into(),
        /// The headers of an answer that they may read.
        expose_headers: String =
            "X-Request-Id, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, ETag, Location".into(),
        /// How long a browser may remember this.
        max_age_s: u64 = 3_600,
    }
    /// Answers made smaller.
    compression: Compression {
        /// Whether there is any.
        enabled: bool = true,
        /// Answers smaller than this are sent as they are.
        min_bytes: usize = 1_024,
        /// How hard gzip tries.
        gzip_level: u32 = 1,
        /// How hard brotli tries.
        brotli_quality: u32 = 2,
    }
    /// What the engine keeps on disk.
    data: Data {
        /// The folder.
        path: PathBuf = "data".into(),
    }
    /// The store.
    store: Store {
        /// Which one.
        url: StoreUrl = StoreUrl::Embedded,
        /// Operations that wait to be written.
        writer_queue_max_ops: usize = 65_536,
        /// Operations in one transaction.
        group_max_ops: usize = 4_096,
        /// Rows in one transaction.
        group_max_rows: usize = 20_000,
        /// Threads that read.
        readers: usize = 2,
        /// Reads that wait.
        reader_queue_max_ops: usize = 10_000,
        /// The writer's page cache.
        writer_cache_kib: u32 = 65_536,
        /// Each reader's page cache.
        reader_cache_kib: u32 = 8_192,
        /// The size of the write-ahead log from which it is moved into the database when nothing waits.
        checkpoint_kib: u32 = 4_096,
        /// The size from which it is moved in any case.
        checkpoint_max_kib: u32 = 131_072,
        /// Open incidents whose list is kept in memory.
        open_incidents_max: usize = 100_000,
        /// Messages that one search looks through.
        search_max_messages: usize = 20_000,
        /// Check the database when starting.
        integrity_check: bool = true,
        /// Bring an older schema up to date when starting.
        migrate_on_start: bool = true,
    }
    /// The way to the other nodes.
    bus: Bus {
        /// Where Redis is; empty: there are no other nodes.
        url: BusUrl = BusUrl::default(),
        /// Authorities, PEM, that vouch for it; empty: those of the system.
        tls_ca_file: String = String::new(),
        /// This node's certificate chain, PEM, for a Redis that asks for one.
        tls_certificate: String = String::new(),
        /// Its private key, PEM.
        tls_key: String = String::new(),
        /// A connection must stand by then.
        connect_timeout_ms: u64 = 1_000,
        /// A command must be answered by then.
        response_timeout_ms: u64 = 1_000,
        /// The wait before the second attempt to connect.
        reconnect_min_ms: u64 = 50,
        /// The longest wait between two attempts.
        reconnect_max_ms: u64 = 2_000,
        /// How often Redis is asked whether it is well.
        health_interval_ms: u64 = 1_000,
        /// Commands that wait for their answer.
        commands_max: usize = 10_000,
        /// Sharded pub/sub, where Redis has it.
        sharded: bool = true,
        /// Messages in one pipeline.
        flush_max_messages: usize = 64,
        /// How long messages are collected while a pipeline is on its way.
        flush_after_us: u64 = 100,
        /// Messages that wait to be sent.
        outbound_max_messages: usize = 65_536,
        /// The largest message.
        message_max_bytes: usize = 1_048_576,
        /// Topics on which something could not be said.
        missed_max_topics: usize = 10_000,
        /// Threads that take what arrives.
        threads: usize = 2,
        /// Messages that wait for one of them.
        inbound_max_messages: usize = 16_384,
        /// Topics that are subscribed to at once.
        subscribe_max_topics: usize = 256,
        /// How long a topic that nobody wants is still listened to.
        unsubscribe_grace_ms: u64 = 5_000,
        /// A node that says nothing for this long is gone.
        fades_after_ms: u64 = 5_000,
        /// A budget that all nodes share must be answered for by then.
        limits_timeout_ms: u64 = 5,
        /// Positions that wait to be put where all nodes can read them, and as many other notes.
        board_max_notes: usize = 65_536,
        /// Notes of each kind in one pipeline.
        board_batch_max_notes: usize = 1_024,
        /// A question for what was put there must be answered by then.
        board_timeout_ms: u64 = 300,
        /// How far back the stream of positions reaches.
        stream_keep_s: u64 = 3_600,
        /// Its most entries.
        stream_max_entries: usize = 2_000_000,
        /// What history keeps of the stream is written so late at most.
        history_interval_s: u64 = 30,
        /// It is written when so much of it waits.
        history_batch_max_fixes: usize = 2_000,
        /// What a node has taken from the stream and not written for so long another takes over.
        history_take_over_s: u64 = 90,
    }
    /// The store in MongoDB.
    mongo: Mongo {
        /// Connections to each server.
        pool_max_connections: u32 = 64,
        /// Requests that wait for one.
        pool_queue_max_ops: usize = 10_000,
        /// How long one of them waits.
        pool_wait_ms: u64 = 2_000,
        /// Transactions that append at once.
        writers: usize = 4,
        /// Appends in one transaction.
        group_max_ops: usize = 512,
        /// Documents that one transaction writes.
        group_max_documents: usize = 4_000,
        /// Rooms whose rows each writer remembers.
        rooms_cached_max: usize = 10_000,
        /// Threads that talk to the server.
        threads: usize = 2,
        /// A connection must be there by then.
        connect_timeout_ms: u64 = 2_000,
        /// A server that takes the request must be found by then.
        server_selection_timeout_ms: u64 = 3_000,
        /// A request must be answered by then.
        operation_timeout_ms: u64 = 5_000,
        /// A write must be durable by then.
        write_timeout_ms: u64 = 5_000,
        /// Failures in a row after which requests are refused at once; 0: never.
        breaker_failures: u32 = 5,
        /// How often it is then looked whether the server answers again.
        breaker_probe_ms: u64 = 500,
        /// Commands that take longer are logged; 0: none.
        slow_command_ms: u64 = 100,
        /// Lists of incidents may come from a secondary.
        lists_from_secondaries: bool = true,
        /// How long a start waits for another node that migrates.
        migrate_wait_s: u64 = 60,
    }
    /// Who is speaking.
    auth: Auth {
        /// The key of HS256 tokens; none: generated.
        jwt_secret: Option<Secret> = None,
        /// How tokens may be signed.
        algorithms: TokenAlgorithms = TokenAlgorithms::default(),
        /// Public keys of issuers, as PEM files.
        key_files: KeyFiles = KeyFiles::default(),
        /// Where the issuer's key set is; empty: nowhere.
        jwks_url: String = String::new(),
        /// The same as a file.
        jwks_file: String = String::new(),
        /// Authorities, PEM, that vouch for that address beside those of the system.
        jwks_ca_file: String = String::new(),
        /// That address may be one in the clear anywhere, not only nearby.
        jwks_allow_http: bool = false,
        /// How often the set is fetched.
        jwks_refresh_s: u64 = 300,
        /// At least this long between fetches that an unknown key causes.
        jwks_early_min_s: u64 = 10,
        /// How long a request with an unknown key waits for such a fetch.
        jwks_wait_ms: u64 = 2_000,
        /// A fetch must be done by then.
        jwks_timeout_ms: u64 = 5_000,
        /// How long the last good set counts while the issuer cannot be reached.
        jwks_stale_max_s: u64 = 86_400,
        /// The largest set.
        jwks_max_bytes: usize = 65_536,
        /// The most keys in a set.
        jwks_keys_max: usize = 32,
        /// What sister services show; none: generated.
        internal_token: Option<Secret> = None,
        /// Further keys of sister services.
        api_keys: ApiKeys = ApiKeys::default(),
        /// By which device tokens are made; none: generated.
        device_secret: Option<Secret> = None,
        /// By which they were made before.
        device_secret_previous: Option<Secret> = None,
        /// A device id counts only with its token.
        require_device_token: bool = false,
        /// The cookie that may carry a token; empty: none may.
        cookie: String = "mayday_token".into(),
        /// Other sites, comma-separated origins, whose pages may use that cookie.
        cookie_origins: String = String::new(),
        /// The `iss` a token must have; empty: any.
        issuer: String = String::new(),
        /// The `aud` a token must have one of, comma-separated; empty: any.
        audience: String = String::new(),
        /// How far clocks may differ.
        leeway_s: u64 = 5,
        /// How long before its credential ends a connection is told.
        expiry_warning_s: u64 = 60,
        /// How long a ticket is good.
        ticket_ttl_s: u64 = 30,
        /// Tickets not yet used.
        tickets_max: usize = 100_000,
    }
    /// The service that keeps incidents.
    services: Services {
        /// Where it is; empty: there is none.
        sos_url: String = String::new(),
        /// Authorities, PEM, that vouch for it beside those of the system.
        sos_ca_file: String = String::new(),
        /// It may be spoken to in the clear anywhere, not only nearby.
        sos_allow_http: bool = false,
        /// What it wants to see in `X-Internal-Token`; none: from the file.
        sos_token: Option<Secret> = None,
        /// By which what it is told is signed; none: from the file.
        sos_signing_secret: Option<Secret> = None,
        /// A connection must stand by then.
        connect_timeout_ms: u64 = 1_000,
        /// The largest answer that is read.
        answer_max_bytes: usize = 65_536,
        /// Failures in a row after which it is left alone; 0: never.
        breaker_failures: u32 = 5,
        /// For how long.
        breaker_rest_ms: u64 = 5_000,
        /// Whether it is asked for incidents that are not known here.
        lookups: bool = true,
        /// Shapes of the ids that it may know.
        lookup_ids: String = "any".into(),
        /// An attempt must be answered by then.
        lookup_timeout_ms: u64 = 1_000,
        /// All attempts of a question must be done by then.
        lookup_deadline_ms: u64 = 3_000,
        /// Attempts of a question.
        lookup_tries: u32 = 3,
        /// The longest wait before the second one.
        lookup_pause_ms: u64 = 100,
        /// Questions on their way at once.
        lookups_max: usize = 64,
        /// Answers that are remembered.
        lookup_cache_max: usize = 10_000,
        /// How long it is remembered that there is no such incident, or that it is over.
        lookup_absent_s: u64 = 10,
        /// How long it is remembered what is known of one.
        lookup_found_s: u64 = 10,
        /// Whether it is told what happens in incidents.
        feed: bool = true,
        /// An event must be taken by then.
        feed_timeout_ms: u64 = 5_000,
        /// Incidents that one node tells of at once.
        feed_requests_max: usize = 16,
        /// Events of one incident that are read at once, and told before others have their turn.
        feed_batch_max_events: usize = 50,
        /// For how long an incident is one node's to tell of.
        feed_lease_s: u64 = 30,
        /// How often a node looks whether there is something to tell that it did not hear of.
        feed_poll_ms: u64 = 1_000,
        /// The longest wait before the second attempt.
        feed_backoff_min_ms: u64 = 500,
        /// The longest wait before any.
        feed_backoff_max_ms: u64 = 60_000,
        /// Refusals after which an event is given up.
        feed_refusals_max: u32 = 5,
        /// Events given up that are kept.
        dead_letters_max: usize = 10_000,
    }
    /// Who is told of an SOS who is not connected, when, and how hard it is tried.
    alerts: Alerts {
        /// The escalation.
        steps: Steps = Steps::default(),
        /// Over which channels a contact is told who has not said so, in this order.
        channels: Channels = Channels::default(),
        /// Channels of one contact that are tried at once.
        channels_at_once: usize = 2,
        /// How long a channel is given before the next one is tried.
        next_channel_after_s: u64 = 30,
        /// An acknowledged incident that is left alone for so long is told of again; 0: never.
        untouched_after_s: u64 = 900,
        /// Nobody is reminded so soon after the last message to them.
        cool_down_s: u64 = 60,
        /// For how long a message is worth sending.
        ttl_s: u64 = 1_800,
        /// An SOS is late when no vendor has news of it by then.
        late_after_ms: u64 = 500,
        /// Contacts of somebody with a PIN are told so long after an SOS was raised; 0: at once.
        cancel_window_s: u64 = 10,
        /// A link to a map, with `{lat}` and `{lon}`; empty: none.
        map_url: String = "https://www.openstreetmap.org/?mlat={lat}&mlon={lon}#map=17/{lat}/{lon}".into(),
        /// First words of an answer by text message that acknowledge.
        acknowledging: String = "OK, OKAY, YES, Y, ACK, 1, COMING, OO, OPO, SIGE".into(),
        /// How often one vendor is tried with one message.
        tries_max: u32 = 3,
        /// The longest wait before the second attempt.
        backoff_min_ms: u64 = 500,
        /// The longest wait before any.
        backoff_max_ms: u64 = 10_000,
        /// A vendor that wants to be left alone for longer is passed over when there is another.
        patience_ms: u64 = 2_000,
        /// A vendor that holds a message for so long is asked about it.
        ask_after_s: u64 = 60,
        /// For how long a message that a vendor took is minded.
        watch_s: u64 = 900,
        /// Failures in a row after which a vendor is left alone; 0: never.
        breaker_failures: u32 = 5,
        /// For how long.
        breaker_rest_ms: u64 = 15_000,
        /// For how long a job is one node's.
        lease_ms: u64 = 30_000,
        /// How often a node looks for jobs that it did not hear of.
        poll_ms: u64 = 1_000,
        /// Jobs about SOS that one node carries out at once.
        sos_at_once: usize = 256,
        /// Codes that prove addresses, likewise.
        otp_at_once: usize = 32,
        /// Messages that may take a minute.
        normal_at_once: usize = 32,
        /// Messages that may take an hour.
        low_at_once: usize = 4,
        /// Due jobs about SOS beyond which an error is logged.
        sos_queue_max: usize = 200_000,
        /// Due codes beyond which no more are taken.
        otp_queue_max: usize = 10_000,
        /// Due messages of the third lane beyond which an error is logged.
        normal_queue_max: usize = 200_000,
        /// Due messages of the last lane beyond which an error is logged.
        low_queue_max: usize = 100_000,
    }
    /// Log lines.
    log: Log {
        /// How they look.
        format: LogFormat = LogFormat::Pretty,
        /// Which there are, as `RUST_LOG` would say it.
        filter: String = "info".into(),
    }
    /// Budgets of one user, device or address. 0 is no limit.
    limits: Limits {
        /// Incidents an anonymous device may raise in an hour.
        sos_per_hour: u32 = 5,
        /// Incidents a registered user may raise in an hour.
        user_sos_per_hour: u32 = 30,
        /// Requests of an anonymous device in its window.
        anon_requests: u32 = 100,
        /// That window.
        anon_window_s: u64 = 900,
        /// Requests of a registered user in their window.
        user_requests: u32 = 1_000,
        /// That window.
        user_window_s: u64 = 900,
        /// Writing requests of an anonymous device in its window.
        anon_writes: u32 = 100,
        /// The same of a registered user.
        user_writes: u32 = 1_000,
        /// Location uploads in a minute.
        locations_per_minute: u32 = 180,
        /// Registrations of a device in an hour.
        registrations_per_hour: u32 = 20,
        /// Tickets and WebSockets in a minute.
        connects_per_minute: u32 = 120,
        /// Reports of others in an hour.
        reports_per_hour: u32 = 20,
        /// Incidents an address may raise in an hour before they are marked.
        address_sos_per_hour: u32 = 1_000,
        /// Incidents an address may raise in an hour at all.
        address_sos_max_per_hour: u32 = 36_000,
        /// Reads of an address in the anonymous window.
        address_requests: u32 = 10_000,
        /// Writes of an address in the anonymous window.
        address_writes: u32 = 5_000,
        /// Location uploads of an address in a minute.
        address_locations_per_minute: u32 = 30_000,
        /// Registrations from an address in an hour.
        address_registrations_per_hour: u32 = 500,
        /// Tickets and WebSockets of an address in a minute.
        address_connects_per_minute: u32 = 6_000,
        /// Reports from an address in an hour.
        address_reports_per_hour: u32 = 200,
        /// How many times an address's budget an IPv6 /48 has.
        site_factor: u32 = 8,
        /// WebSocket connections from one address.
        connections_per_address: usize = 1_000,
        /// WebSocket connections of one user or device.
        connections_per_subject: usize = 100,
        /// Connections from one address that are no WebSocket.
        http_connections_per_address: usize = 4_000,
        /// Messages a second on one connection.
        messages_per_second: u32 = 50,
        /// Messages at once on one connection.
        messages_burst: u32 = 100,
        /// Users, devices and addresses that are told apart, for each budget.
        keys_max: usize = 100_000,
    }
    /// What guards people from each other.
    abuse: Abuse {
        /// Incidents that somebody whom staff have blocked may raise in an hour; 0: none.
        blocked_sos_per_hour: u32 = 1,
        /// Where an SOS may come from; empty: anywhere.
        service_area: ServiceArea = ServiceArea::default(),
        /// What becomes of one from elsewhere.
        outside_area: OutsideArea = OutsideArea::Refuse,
        /// Incidents this near each other may be the same one.
        duplicates_radius_m: u32 = 300,
        /// Incidents raised this shortly after each other may be the same one.
        duplicates_window_s: u64 = 1_800,
        /// How long hints for staff are kept.
        hints_keep_s: u64 = 86_400,
        /// Incidents that hints are kept of; 0: none.
        hints_max_incidents: usize = 50_000,
        /// People in them, all together.
        hints_max_people: usize = 200_000,
        /// People who may be blocked at once.
        blocks_max: usize = 100_000,
        /// By which the blocked are recognised; none: generated.
        block_secret: Option<Secret> = None,
    }
    /// Positions.
    locations: Locations {
        /// At least this long between two broadcasts of one subject; 0: no limit.
        min_interval_ms: u64 = 1_000,
        /// History keeps a fix this far from the last kept one.
        history_min_distance_m: u32 = 50,
        /// History keeps a fix this much later than the last kept one.
        history_min_interval_s: u64 = 15,
        /// How long a kept fix that came over a socket may wait to be written.
        history_delay_ms: u64 = 1_000,
        /// Kept fixes that are written at once, however young.
        history_batch_max_fixes: usize = 1_000,
        /// Fixes in one batch upload.
        batch_max_fixes: usize = 500,
        /// Batchers; 0: one for each core.
        shards: usize = 0,
        /// Subjects that are remembered.
        subjects_max: usize = 1_000_000,
        /// How often waiting fixes are looked at.
        tick_ms: u64 = 20,
        /// Fixes that wait for one batcher.
        mailbox_max_messages: usize = 65_536,
        /// How far ahead of our clock a fix may be.
        max_ahead_s: u64 = 120,
        /// Faster than this nobody moves; 0: anybody may.
        max_speed_mps: u32 = 0,
        /// A position older than this is no longer shown as the present one; 0: it always is.
        stale_after_s: u64 = 900,
    }
    /// Rooms.
    rooms: Rooms {
        /// Away for this long is gone; 0: never.
        idle_participant_s: u64 = 1_800,
        /// A circle with nobody connected for this long sleeps; 0: never.
        empty_room_s: u64 = 3_600,
        /// After a start nobody has left, and no circle sleeps, before this has passed (or the time above).
        return_grace_s: u64 = 60,
        /// People in one room; 0: no limit.
        members_max: usize = 100_000,
        /// Strangers who wait for one owner's answer.
        requests_max: usize = 100,
        /// Commands that wait for one room.
        mailbox_max_messages: usize = 4_096,
        /// Commands decided in one go.
        batch_max_commands: usize = 256,
        /// The newest events a room keeps in memory for those who resume.
        recent_max_events: usize = 256,
        /// A room that nobody used for this long leaves memory.
        passivate_after_s: u64 = 300,
        /// Threads of their own that run rooms; 0: the threads that serve sockets.
        arbiters: usize = 0,
        /// A command must be answered by then.
        command_timeout_ms: u64 = 10_000,
    }
    /// Trips.
    trips: Trips {
        /// One that nobody ended is over after this long; 0: never.
        longest_s: u64 = 86_400,
        /// Passengers of one of them.
        passengers_max: usize = 100,
        /// How far around a position they are looked for.
        radius_max_km: u32 = 50,
        /// Those whose place a node remembers.
        held_max: usize = 100_000,
    }
    /// Many nodes as one.
    cluster: Cluster {
        /// How often a node says that it lives, and looks who else does.
        heartbeat_ms: u64 = 1_000,
        /// Rooms that look by themselves at the same time, whether they are up to date.
        looks_max: usize = 32,
        /// Events that one look reads.
        look_page_events: usize = 200,
        /// A look must be answered by then.
        look_timeout_ms: u64 = 2_000,
        /// A room in which somebody sits looks at least this often; 0: only when it must.
        compare_every_s: u64 = 300,
        /// Events of other nodes that wait in one room.
        heard_max_events: usize = 1_024,
        /// What other nodes ask of this one, and waits to be done.
        orders_max: usize = 4_096,
    }
    /// Connections.
    sessions: Sessions {
        /// Bytes that wait to be sent to one of them.
        outbox_max_bytes: usize = 262_144,
        /// The largest frame taken.
        frame_max_bytes: usize = 65_536,
        /// The largest message taken, all fragments together.
        message_max_bytes: usize = 65_536,
        /// Signals leave at most once in this time, more of them in one write; 0: each at once.
        signal_gap_ms: u64 = 5,
        /// How often a quiet peer is pinged.
        ping_interval_s: u64 = 30,
        /// A peer silent for this long is dead.
        ping_timeout_s: u64 = 75,
        /// How long a peer has to answer a close.
        close_timeout_ms: u64 = 3_000,
        /// The kernel gives up on a peer that acknowledges nothing for this long; 0: its default.
        tcp_user_timeout_ms: u32 = 30_000,
        /// Rooms on one connection.
        rooms_max: usize = 1_000,
    }
    /// Connections of incident clients, by Socket.IO.
    socketio: SocketIo {
        /// From a pong to the next ping.
        ping_interval_ms: u64 = 25_000,
        /// From a ping to the end, without a pong.
        ping_timeout_ms: u64 = 20_000,
        /// The largest body of a POST and the largest WebSocket message that is taken.
        max_payload_bytes: usize = 1_000_000,
        /// A client that is in no namespace for this long is sent away.
        connect_timeout_ms: u64 = 45_000,
        /// Whether a client that polls may move to a WebSocket.
        upgrades: bool = true,
        /// How long a WebSocket may take to become the connection.
        upgrade_timeout_ms: u64 = 10_000,
        /// How long a connection that we end waits for a poll that can be told so.
        close_timeout_ms: u64 = 30_000,
        /// About the most that one answer to a poll takes of what waits.
        answer_max_bytes: usize = 262_144,
        /// Attachments of one packet.
        attachments_max: usize = 10,
        /// Acknowledgements that a client may owe us.
        acks_max: usize = 64,
        /// Commands of one connection that wait for their answers.
        pending_max_commands: usize = 256,
        /// Messages over the budget that are refused one by one before the connection is ended.
        refused_max_messages: u32 = 100,
        /// Whether clients can come back to where they were.
        recovery: bool = true,
        /// One that missed more events of an incident begins anew.
        recovery_max_events: usize = 1_000,
    }
    /// Areas of the map.
    areas: Areas {
        /// The largest radius that may be watched.
        radius_max_km: u32 = 25,
        /// Watchers on this node.
        watchers_max: usize = 100_000,
        /// Incidents whose news wait for one watcher.
        backlog_max_incidents: usize = 32_768,
    }
    /// Devices and their records.
    devices: Devices {
        /// A device's record says when it was seen last, to within this.
        seen_every_s: u64 = 3_600,
        /// Devices whose last sight is remembered, so that it need not be written each time.
        seen_max: usize = 100_000,
        /// Exports of what is kept of somebody that run at once.
        exports_max: usize = 4,
        /// An export must be read by then.
        export_timeout_s: u64 = 300,
    }
    /// Emergency contacts.
    contacts: Contacts {
        /// The region by which national phone numbers are read.
        default_region: Region = Region::new("PH").expect("invariant: PH is a region"),
        /// People on one list.
        contacts_max: usize = 100,
        /// The service that keeps contacts; empty: they are kept here.
        url: String = String::new(),
        /// Authorities, PEM, that vouch for it beside those of the system.
        ca_file: String = String::new(),
        /// It may be spoken to in the clear anywhere, not only nearby.
        allow_http: bool = false,
        /// What it wants to see in `X-Internal-Token`; none: from the file.
        contacts_token: Option<Secret> = None,
        /// A connection must stand by then.
        connect_timeout_ms: u64 = 200,
        /// The largest answer that is read.
        answer_max_bytes: usize = 262_144,
        /// An attempt must be answered by then.
        timeout_ms: u64 = 250,
        /// All attempts of a question must be done by then.
        deadline_ms: u64 = 400,
        /// Attempts of a question.
        tries: u32 = 2,
        /// The longest wait before the second one.
        pause_ms: u64 = 50,
        /// Questions on their way at once.
        requests_max: usize = 64,
        /// Failures in a row after which it is left alone; 0: never.
        breaker_failures: u32 = 5,
        /// For how long.
        breaker_rest_ms: u64 = 5_000,
        /// How long an answer counts.
        fresh_s: u64 = 60,
        /// How long what is known counts when there was no answer.
        stale_s: u64 = 5,
        /// People of whom it is remembered how old their lists are.
        cache_max: usize = 100_000,
    }
    /// Codes that prove that a number or an address is somebody's.
    otp: Otp {
        /// How long one is good.
        ttl_s: u64 = 300,
        /// How often one may be typed in wrong, the last time included.
        attempts_max: u32 = 5,
        /// How long after one was sent another may be, to the same destination.
        cool_down_s: u64 = 30,
        /// Sends to one destination in an hour.
        sends_per_hour: usize = 5,
    }
    /// PINs by which people end an SOS.
    pins: Pins {
        /// How often one may be typed in wrong in a row, the last time included.
        attempts_max: u32 = 5,
        /// None is taken for so long then.
        lock_s: u64 = 900,
        /// Hashes that are made at the same time.
        hashes_at_once: usize = 4,
    }
    /// What becomes an SOS when nobody hears of somebody.
    checkins: Checkins {
        /// Of one person at the same time.
        per_person_max: usize = 20,
        /// How far ahead one may be due.
        horizon_days: u32 = 30,
        /// The longest grace.
        grace_max_s: u64 = 86_400,
    }
    /// Where people's devices are pushed to.
    push: Push {
        /// Devices of one person; of more, those that said so the longest ago are forgotten.
        targets_max: usize = 5,
        /// How long one is kept that does not say so again.
        keep_days: u32 = 90,
        /// Browsers' push services may be spoken to in the clear, and be neighbours. For tests.
        allow_http: bool = false,
    }
    /// How long things are kept.
    retention: Retention {
        /// Positions; 0: for ever.
        locations_days: u32 = 30,
        /// Idempotency keys; 0: for ever.
        idempotency_hours: u32 = 24,
        /// What tells which participants a device was, since it was seen last; 0: for ever.
        devices_anonymise_days: u32 = 30,
        /// Records of devices, since they were seen last; 0: for ever.
        devices_delete_days: u32 = 90,
        /// Reports of misconduct; 0: for ever.
        reports_days: u32 = 90,
        /// The order of incidents' events, by which operators resume; 0: for ever.
        feed_hours: u32 = 72,
        /// Events that a service refused for good; 0: for ever.
        dead_letters_days: u32 = 30,
        /// By which vendors name messages that they took; 0: for ever.
        receipts_days: u32 = 7,
        /// Marks of the erased, by which a backup knows whom not to bring back; 0: for ever.
        erasures_days: u32 = 400,
        /// How often the janitor looks.
        sweep_s: u64 = 60,
        /// Rows it removes in one transaction.
        slice_max_rows: usize = 5_000,
    }
    /// What operators follow.
    ops: Ops {
        /// Followers on this node.
        followers_max: usize = 200,
        /// The newest events that they share in memory.
        recent_max_events: usize = 4_096,
        /// Incidents whose standing is remembered while somebody follows.
        known_max_incidents: usize = 200_000,
        /// With so much waiting a follower gets nothing more until half of it is gone.
        behind_max_bytes: usize = 262_144,
        /// The widest circle of a filter.
        radius_max_km: u32 = 500,
        /// How often positions are told.
        positions_ms: u64 = 3_000,
        /// Positions in one message.
        positions_max: usize = 5_000,
        /// Positions that wait.
        positions_waiting_max: usize = 100_000,
        /// The most entries of the order that the nodes share in Redis.
        stream_max_entries: usize = 1_000_000,
        /// What waits to be said to it.
        waiting_max_events: usize = 65_536,
        /// What is said at once.
        batch_max_events: usize = 500,
        /// How often it is looked whether anything was not said.
        sweep_s: u64 = 60,
    }
    /// The pages people look at.
    pages: Pages {
        /// Whether they are served.
        enabled: bool = true,
        /// Where street tiles come from, with `{z}`, `{x}` and `{y}`; none: coastlines only.
        tile_url: String = String::new(),
        /// Whose the tiles are.
        tile_attribution: String = String::new(),
        /// The closest zoom that the tiles have.
        tile_zoom_max: u32 = 19,
    }
    /// The end of the process.
    drain: Drain {
        /// How long it waits for work in hand.
        grace_ms: u64 = 10_000,
        /// Over how long clients are told to spread their return.
        spread_ms: u64 = 5_000,
    }
}
