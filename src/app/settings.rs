//! From the config to the numbers that the actors and the transport go by.

use std::sync::Arc;
use std::time::Duration;

use crate::actors::Settings;
use crate::actors::asking::AskSettings;
use crate::actors::check_ins::CheckInSettings;
use crate::actors::contacts::RemoteSettings;
use crate::actors::feed::FeedSettings;
use crate::actors::history::HistorySettings;
use crate::actors::lookup::LookupSettings;
use crate::actors::ops::OpsSettings;
use crate::actors::redis_bridge::BridgeSettings;
use crate::actors::settings::{ClusterSettings, PushSettings};
use crate::actors::socketio::{ADMIN, SocketIoSettings};
use crate::bus::redis::{Address, BoardSettings, Options, OrderSettings, OutboundLimits, TlsFiles};
use crate::config::Config;
use crate::domain::otp::OtpPolicy;
use crate::domain::pin::PinPolicy;
use crate::domain::room::Policy;
use crate::store::{MongoOptions, Retention};
use crate::transport::Limits;
use crate::wire::socketio::{self, AttachmentLimits, Namespace, engine};

pub(super) fn actors(config: &Config) -> Settings {
    Settings {
        policy: Policy {
            trip_max: config.trips.longest(),
            ..config.rooms.policy()
        },
        locations: config.locations.policy(),
        arbiters: config.rooms.arbiters,
        room_mailbox_max: config.rooms.mailbox_max_messages,
        room_batch_max: config.rooms.batch_max_commands,
        room_recent_max: config.rooms.recent_max_events,
        // The rest of the outbox is for what happens meanwhile.
        catch_up_bytes: (config.sessions.outbox_max_bytes / 4).max(1),
        passivate_after: config.rooms.passivate_after(),
        command_timeout: config.rooms.command_timeout(),
        batcher_shards: config.locations.shards(),
        batcher_mailbox_max: config.locations.mailbox_max_messages,
        subjects_max: config.locations.subjects_max,
        tick: config.locations.tick(),
        history_delay: config.locations.history_delay(),
        history_batch_max: config.locations.history_batch_max_fixes,
        watchers_max: config.areas.watchers_max,
        watcher_backlog_max: config.areas.backlog_max_incidents,
        radius_max_km: config.areas.radius_max_km,
        trips_max: config.trips.held_max,
        contacts_max: config.contacts.contacts_max,
        region: config.contacts.default_region,
        expiry_warning: config.auth.expiry_warning(),
        credential_leeway: config.auth.leeway(),
        messages_per_second: config.limits.messages_per_second,
        messages_burst: config.limits.messages_burst,
        session_rooms_max: config.sessions.rooms_max,
        retention: Retention {
            reports: config.retention.reports(),
            locations: config.retention.locations(),
            idempotency: config.retention.idempotency(),
            device_links: config.retention.device_links(),
            devices: config.retention.devices(),
            feed: config.retention.feed(),
            dead_letters: config.retention.dead_letters(),
            receipts: config.retention.receipts(),
            erasures: config.retention.erasures(),
            slice_max_rows: config.retention.slice_max_rows,
        },
        sweep: config.retention.sweep(),
        stale_after: config.locations.stale_after(),
        devices_seen_every: config.devices.seen_every(),
        devices_seen_max: config.devices.seen_max,
        otp: OtpPolicy {
            ttl: Duration::from_secs(config.otp.ttl_s),
            attempts_max: config.otp.attempts_max,
            cool_down: Duration::from_secs(config.otp.cool_down_s),
            sends_per_hour: config.otp.sends_per_hour,
        },
        pins: PinPolicy {
            attempts_max: config.pins.attempts_max,
            lock: Duration::from_secs(config.pins.lock_s),
        },
        pin_hashes_at_once: config.pins.hashes_at_once,
        check_ins: CheckInSettings {
            per_person_max: config.checkins.per_person_max,
            horizon: Duration::from_secs(u64::from(config.checkins.horizon_days) * 86_400),
            grace_max: Duration::from_secs(config.checkins.grace_max_s),
        },
        push: PushSettings {
            targets_max: config.push.targets_max,
            keep: config.push.keep(),
            in_the_clear: config.push.allow_http,
        },
        ops: OpsSettings {
            followers_max: config.ops.followers_max,
            recent_max: config.ops.recent_max_events,
            known_max: config.ops.known_max_incidents,
            behind_max_bytes: config.ops.behind_max_bytes,
            positions_every: Duration::from_millis(config.ops.positions_ms),
            positions_max: config.ops.positions_max,
            positions_waiting_max: config.ops.positions_waiting_max,
            radius_max_km: config.ops.radius_max_km,
            sweep: Duration::from_secs(config.ops.sweep_s),
        },
        cluster: ClusterSettings {
            heartbeat: Duration::from_millis(config.cluster.heartbeat_ms),
            looks_at_once: config.cluster.looks_max,
            look_page: config.cluster.look_page_events,
            look_timeout: Duration::from_millis(config.cluster.look_timeout_ms),
            compare_every: Duration::from_secs(config.cluster.compare_every_s),
            heard_max: config.cluster.heard_max_events,
            orders_max: config.cluster.orders_max,
        },
    }
}

pub(super) fn transport(config: &Config) -> Limits {
    let sessions = &config.sessions;
    Limits {
        frame_max_bytes: sessions.frame_max_bytes,
        message_max_bytes: sessions.message_max_bytes,
        outbox_max_bytes: sessions.outbox_max_bytes,
        ping_interval: sessions.ping_interval(),
        ping_timeout: sessions.ping_timeout(),
        close_timeout: sessions.close_timeout(),
        tcp_user_timeout: sessions.tcp_user_timeout().unwrap_or(Duration::ZERO),
        signal_gap: sessions.signal_gap(),
    }
}

/// What connections of incident clients go by.
pub(super) fn socketio(config: &Config) -> SocketIoSettings {
    let given = &config.socketio;
    let engine = engine::Settings {
        ping_interval: given.ping_interval(),
        ping_timeout: given.ping_timeout(),
        max_payload_bytes: given.max_payload_bytes,
        upgrade_timeout: given.upgrade_timeout(),
        close_timeout: given.close_timeout(),
        // What waits for a poll waits in the outbox; here stands no more than one answer.
        outgoing_max_bytes: config.sessions.outbox_max_bytes + 2 * given.max_payload_bytes,
        upgrades: given.upgrades,
    };
    let protocol = socketio::Settings {
        engine: Arc::new(engine),
        namespaces: vec![Namespace::MAIN, Namespace::of_static("/sos"), ADMIN.clone()],
        connect_timeout: given.connect_timeout(),
        attachments: AttachmentLimits {
            max: given.attachments_max,
            max_bytes: given.max_payload_bytes,
        },
        acks_max: given.acks_max,
        recovery: given.recovery,
    };
    SocketIoSettings {
        protocol: Arc::new(protocol),
        transport: Limits {
            frame_max_bytes: given.max_payload_bytes,
            message_max_bytes: given.max_payload_bytes,
            ..transport(config)
        },
        answer_max_bytes: given.answer_max_bytes,
        pending_max: given.pending_max_commands,
        recovery_max_events: given.recovery_max_events,
        refused_max: given.refused_max_messages,
    }
}

/// What the bridge to the other nodes goes by, at this address.
pub(super) fn bridge(config: &Config, address: Address) -> std::io::Result<BridgeSettings> {
    let bus = &config.bus;
    Ok(BridgeSettings {
        redis: Options {
            tls: bus_certificates(config)?,
            address,
            connect_timeout: bus.connect_timeout(),
            response_timeout: bus.response_timeout(),
            reconnect_min: bus.reconnect_min(),
            reconnect_max: bus.reconnect_max(),
            health_interval: bus.health_interval(),
            sharded: bus.sharded,
            commands_max: bus.commands_max,
        },
        outbound: OutboundLimits {
            messages_max: bus.outbound_max_messages,
            message_max_bytes: bus.message_max_bytes,
            missed_max: bus.missed_max_topics,
        },
        board: BoardSettings {
            waiting_max: bus.board_max_notes,
            batch_max: bus.board_batch_max_notes,
            patience: bus.board_timeout(),
            stream_keep: bus.stream_keep(),
            stream_max: bus.stream_max_entries,
        },
        order: OrderSettings {
            stream_max: config.ops.stream_max_entries,
            waiting_max: config.ops.waiting_max_events,
            batch_max: config.ops.batch_max_events,
            ..OrderSettings::default()
        },
        flush_max: bus.flush_max_messages,
        flush_after: bus.flush_after(),
        threads: bus.threads,
        inbound_max: bus.inbound_max_messages,
        batch_max: bus.subscribe_max_topics,
        grace: bus.unsubscribe_grace(),
        heartbeat: bus.fades_after() / 4,
        fades_after: bus.fades_after(),
    })
}

/// When positions from the nodes' stream are written.
pub(super) fn history(config: &Config) -> HistorySettings {
    let bus = &config.bus;
    HistorySettings {
        batch_max: bus.history_batch_max_fixes,
        interval: bus.history_interval(),
        take_over_after: bus.history_take_over(),
    }
}

/// What telling it goes by.
pub(super) fn feed(config: &Config) -> FeedSettings {
    let services = &config.services;
    FeedSettings {
        at_once: services.feed_requests_max,
        batch: services.feed_batch_max_events,
        timeout: services.feed_timeout(),
        lease: services.feed_lease(),
        poll: services.feed_poll(),
        backoff_min: services.feed_backoff_min(),
        backoff_max: services.feed_backoff_max(),
        refusals_max: services.feed_refusals_max,
        breaker_failures: services.breaker_failures,
        breaker_rest: services.breaker_rest(),
    }
}

/// What asking the service that keeps incidents goes by.
pub(super) fn lookups(config: &Config) -> LookupSettings {
    let services = &config.services;
    LookupSettings {
        shapes: services.lookup_shapes(),
        ask: AskSettings {
            timeout: services.lookup_timeout(),
            deadline: services.lookup_deadline(),
            tries: services.lookup_tries,
            pause: services.lookup_pause(),
            at_once: services.lookups_max,
            breaker_failures: services.breaker_failures,
            breaker_rest: services.breaker_rest(),
        },
        remembered: services.lookup_cache_max,
        absent_for: services.lookup_absent(),
        found_for: services.lookup_found(),
    }
}

/// How the service that keeps contacts is asked.
pub(super) fn remote_contacts(config: &Config) -> RemoteSettings {
    let contacts = &config.contacts;
    RemoteSettings {
        ask: AskSettings {
            timeout: contacts.timeout(),
            deadline: contacts.deadline(),
            tries: contacts.tries,
            pause: contacts.pause(),
            at_once: contacts.requests_max,
            breaker_failures: contacts.breaker_failures,
            breaker_rest: contacts.breaker_rest(),
        },
        fresh_for: contacts.fresh(),
        stale_for: contacts.stale(),
        remembered: contacts.cache_max,
    }
}

/// The certificates by which Redis is spoken to.
pub(super) fn bus_certificates(config: &Config) -> std::io::Result<TlsFiles> {
    let read = |path: &str| {
        let named = |error| std::io::Error::other(format!("{path}: {error}"));
        (!path.is_empty())
            .then(|| std::fs::read(path).map_err(named))
            .transpose()
    };
    let bus = &config.bus;
    Ok(TlsFiles {
        authorities: read(&bus.tls_ca_file)?,
        identity: read(&bus.tls_certificate)?.zip(read(&bus.tls_key)?),
    })
}

pub(super) fn mongo(config: &Config, url: &str) -> MongoOptions {
    let mongo = &config.mongo;
    MongoOptions {
        pool_max: mongo.pool_max_connections,
        pool_queue_max_ops: mongo.pool_queue_max_ops,
        pool_wait: mongo.pool_wait(),
        writers: mongo.writers,
        writer_queue_max_ops: config.store.writer_queue_max_ops,
        group_max_ops: mongo.group_max_ops,
        group_max_rows: mongo.group_max_documents,
        rooms_cached_max: mongo.rooms_cached_max,
        connect_timeout: mongo.connect_timeout(),
        server_selection_timeout: mongo.server_selection_timeout(),
        operation_timeout: mongo.operation_timeout(),
        write_timeout: mongo.write_timeout(),
        breaker_failures: mongo.breaker_failures,
        breaker_probe: mongo.breaker_probe(),
        slow: mongo.slow_command(),
        lists_from_secondaries: mongo.lists_from_secondaries,
        search_max_messages: config.store.search_max_messages,
        feed: config.services.feeds(),
        locations_kept: config.retention.locations(),
        migrate: config.store.migrate_on_start,
        migrate_wait: mongo.migrate_wait(),
        threads: mongo.threads,
        ..MongoOptions::new(url)
    }
}
