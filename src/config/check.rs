//! Rules beyond a value's type.

use super::derived::list;
use super::load::Problem;
use super::sections::Config;
use super::value::StoreUrl;

/// The name of the key in `auth.internal_token`.
pub const INTERNAL: &str = "internal";
/// A ticket or a clock's error that lasts longer than this is a mistake in the unit.
const HOUR_S: u64 = 3_600;

impl Config {
    /// Adds what is wrong with the values to `problems`.
    pub(super) fn check(&self, problems: &mut Vec<Problem>) {
        // A value that could not be read counts as its default here: good enough on its own, but not when
        // it is held against another.
        let all_read = problems.is_empty();
        self.check_ranges(problems);
        self.check_texts(problems);
        self.check_notify(problems);
        if all_read {
            self.check_pairs(problems);
        }
    }

    fn check_ranges(&self, problems: &mut Vec<Problem>) {
        let Self {
            http,
            store,
            bus,
            mongo,
            auth,
            locations,
            rooms,
            cluster,
            sessions,
            areas,
            contacts,
            devices,
            retention,
            services,
            ..
        } = self;
        let at_least_one = [
            ("http.backlog", u64::from(http.backlog)),
            ("http.body_max_bytes", wide(http.body_max_bytes)),
            ("http.batch_body_max_bytes", wide(http.batch_body_max_bytes)),
            ("http.header_timeout_ms", http.header_timeout_ms),
            ("http.request_timeout_ms", http.request_timeout_ms),
            ("http.connections_max", wide(http.connections_max)),
            ("http.h2_streams_max", u64::from(http.h2_streams_max)),
            ("http.uri_max_bytes", wide(http.uri_max_bytes)),
            ("http.headers_max_bytes", wide(http.headers_max_bytes)),
            ("http.headers_max", wide(http.headers_max)),
            ("tls.reload_s", self.tls.reload_s),
            ("tls.handshake_timeout_ms", self.tls.handshake_timeout_ms),
            ("tls.handshakes_max", wide(self.tls.handshakes_max)),
            ("store.writer_queue_max_ops", wide(store.writer_queue_max_ops)),
            ("store.group_max_ops", wide(store.group_max_ops)),
            ("store.group_max_rows", wide(store.group_max_rows)),
            ("store.readers", wide(store.readers)),
            ("store.reader_queue_max_ops", wide(store.reader_queue_max_ops)),
            ("store.search_max_messages", wide(store.search_max_messages)),
            ("store.checkpoint_kib", u64::from(store.checkpoint_kib)),
            ("store.checkpoint_max_kib", u64::from(store.checkpoint_max_kib)),
            ("bus.connect_timeout_ms", bus.connect_timeout_ms),
            ("bus.response_timeout_ms", bus.response_timeout_ms),
            ("bus.reconnect_min_ms", bus.reconnect_min_ms),
            ("bus.reconnect_max_ms", bus.reconnect_max_ms),
            ("bus.health_interval_ms", bus.health_interval_ms),
            ("bus.commands_max", wide(bus.commands_max)),
            ("bus.flush_max_messages", wide(bus.flush_max_messages)),
            ("bus.outbound_max_messages", wide(bus.outbound_max_messages)),
            ("bus.message_max_bytes", wide(bus.message_max_bytes)),
            ("bus.missed_max_topics", wide(bus.missed_max_topics)),
            ("bus.threads", wide(bus.threads)),
            ("bus.inbound_max_messages", wide(bus.inbound_max_messages)),
            ("bus.subscribe_max_topics", wide(bus.subscribe_max_topics)),
            ("bus.fades_after_ms", bus.fades_after_ms),
            ("bus.limits_timeout_ms", bus.limits_timeout_ms),
            ("mongo.pool_queue_max_ops", wide(mongo.pool_queue_max_ops)),
            ("mongo.pool_wait_ms", mongo.pool_wait_ms),
            ("mongo.writers", wide(mongo.writers)),
            ("mongo.group_max_ops", wide(mongo.group_max_ops)),
            ("mongo.group_max_documents", wide(mongo.group_max_documents)),
            ("mongo.threads", wide(mongo.threads)),
            ("mongo.connect_timeout_ms", mongo.connect_timeout_ms),
            (
                "mongo.server_selection_timeout_ms",
                mongo.server_selection_timeout_ms,
            ),
            ("mongo.operation_timeout_ms", mongo.operation_timeout_ms),
            ("mongo.write_timeout_ms", mongo.write_timeout_ms),
            ("mongo.breaker_probe_ms", mongo.breaker_probe_ms),
            ("bus.board_max_notes", wide(bus.board_max_notes)),
            ("bus.board_batch_max_notes", wide(bus.board_batch_max_notes)),
            ("bus.board_timeout_ms", bus.board_timeout_ms),
            ("bus.stream_keep_s", bus.stream_keep_s),
            ("bus.stream_max_entries", wide(bus.stream_max_entries)),
            ("bus.history_interval_s", bus.history_interval_s),
            ("bus.history_batch_max_fixes", wide(bus.history_batch_max_fixes)),
            ("alerts.channels_at_once", wide(self.alerts.channels_at_once)),
            ("alerts.ttl_s", self.alerts.ttl_s),
            ("alerts.late_after_ms", self.alerts.late_after_ms),
            ("alerts.tries_max", u64::from(self.alerts.tries_max)),
            ("alerts.backoff_min_ms", self.alerts.backoff_min_ms),
            ("alerts.backoff_max_ms", self.alerts.backoff_max_ms),
            ("alerts.ask_after_s", self.alerts.ask_after_s),
            ("alerts.watch_s", self.alerts.watch_s),
            ("alerts.breaker_rest_ms", self.alerts.breaker_rest_ms),
            ("alerts.poll_ms", self.alerts.poll_ms),
            ("alerts.sos_at_once", wide(self.alerts.sos_at_once)),
            ("alerts.otp_at_once", wide(self.alerts.otp_at_once)),
            ("alerts.normal_at_once", wide(self.alerts.normal_at_once)),
            ("alerts.low_at_once", wide(self.alerts.low_at_once)),
            ("alerts.sos_queue_max", wide(self.alerts.sos_queue_max)),
            ("alerts.otp_queue_max", wide(self.alerts.otp_queue_max)),
            ("alerts.normal_queue_max", wide(self.alerts.normal_queue_max)),
            ("alerts.low_queue_max", wide(self.alerts.low_queue_max)),
            ("ops.followers_max", wide(self.ops.followers_max)),
            ("ops.recent_max_events", wide(self.ops.recent_max_events)),
            ("ops.known_max_incidents", wide(self.ops.known_max_incidents)),
            ("ops.behind_max_bytes", wide(self.ops.behind_max_bytes)),
            ("ops.radius_max_km", u64::from(self.ops.radius_max_km)),
            ("ops.positions_ms", self.ops.positions_ms),
            ("ops.positions_max", wide(self.ops.positions_max)),
            ("ops.positions_waiting_max", wide(self.ops.positions_waiting_max)),
            ("ops.stream_max_entries", wide(self.ops.stream_max_entries)),
            ("ops.waiting_max_events", wide(self.ops.waiting_max_events)),
            ("ops.batch_max_events", wide(self.ops.batch_max_events)),
            ("ops.sweep_s", self.ops.sweep_s),
            ("auth.ticket_ttl_s", auth.ticket_ttl_s),
            ("auth.tickets_max", wide(auth.tickets_max)),
            ("auth.jwks_refresh_s", auth.jwks_refresh_s),
            ("auth.jwks_early_min_s", auth.jwks_early_min_s),
            ("auth.jwks_timeout_ms", auth.jwks_timeout_ms),
            ("auth.jwks_max_bytes", wide(auth.jwks_max_bytes)),
            ("auth.jwks_keys_max", wide(auth.jwks_keys_max)),
            ("services.connect_timeout_ms", services.connect_timeout_ms),
            ("services.answer_max_bytes", wide(services.answer_max_bytes)),
            ("services.breaker_rest_ms", services.breaker_rest_ms),
            ("services.lookup_timeout_ms", services.lookup_timeout_ms),
            ("services.lookup_deadline_ms", services.lookup_deadline_ms),
            ("services.lookup_tries", u64::from(services.lookup_tries)),
            ("services.lookups_max", wide(services.lookups_max)),
            ("services.feed_timeout_ms", services.feed_timeout_ms),
            ("services.feed_requests_max", wide(services.feed_requests_max)),
            (
                "services.feed_batch_max_events",
                wide(services.feed_batch_max_events),
            ),
            ("services.feed_lease_s", services.feed_lease_s),
            ("services.feed_poll_ms", services.feed_poll_ms),
            ("services.feed_backoff_min_ms", services.feed_backoff_min_ms),
            (
                "services.feed_refusals_max",
                u64::from(services.feed_refusals_max),
            ),
            ("services.dead_letters_max", wide(services.dead_letters_max)),
            ("limits.anon_window_s", self.limits.anon_window_s),
            ("limits.user_window_s", self.limits.user_window_s),
            ("locations.batch_max_fixes", wide(locations.batch_max_fixes)),
            (
                "locations.history_batch_max_fixes",
                wide(locations.history_batch_max_fixes),
            ),
            ("locations.subjects_max", wide(locations.subjects_max)),
            ("locations.tick_ms", locations.tick_ms),
            (
                "locations.mailbox_max_messages",
                wide(locations.mailbox_max_messages),
            ),
            ("trips.passengers_max", wide(self.trips.passengers_max)),
            ("trips.radius_max_km", u64::from(self.trips.radius_max_km)),
            ("trips.held_max", wide(self.trips.held_max)),
            ("rooms.requests_max", wide(rooms.requests_max)),
            ("rooms.mailbox_max_messages", wide(rooms.mailbox_max_messages)),
            ("rooms.batch_max_commands", wide(rooms.batch_max_commands)),
            ("rooms.recent_max_events", wide(rooms.recent_max_events)),
            ("rooms.passivate_after_s", rooms.passivate_after_s),
            ("rooms.command_timeout_ms", rooms.command_timeout_ms),
            ("cluster.heartbeat_ms", cluster.heartbeat_ms),
            ("cluster.looks_max", wide(cluster.looks_max)),
            ("cluster.look_page_events", wide(cluster.look_page_events)),
            ("cluster.look_timeout_ms", cluster.look_timeout_ms),
            ("cluster.heard_max_events", wide(cluster.heard_max_events)),
            ("cluster.orders_max", wide(cluster.orders_max)),
            ("sessions.frame_max_bytes", wide(sessions.frame_max_bytes)),
            ("sessions.outbox_max_bytes", wide(sessions.outbox_max_bytes)),
            ("sessions.ping_interval_s", sessions.ping_interval_s),
            ("sessions.close_timeout_ms", sessions.close_timeout_ms),
            ("sessions.rooms_max", wide(sessions.rooms_max)),
            ("socketio.ping_interval_ms", self.socketio.ping_interval_ms),
            ("socketio.ping_timeout_ms", self.socketio.ping_timeout_ms),
            (
                "socketio.max_payload_bytes",
                wide(self.socketio.max_payload_bytes),
            ),
            ("socketio.connect_timeout_ms", self.socketio.connect_timeout_ms),
            ("socketio.upgrade_timeout_ms", self.socketio.upgrade_timeout_ms),
            ("socketio.close_timeout_ms", self.socketio.close_timeout_ms),
            ("socketio.answer_max_bytes", wide(self.socketio.answer_max_bytes)),
            ("socketio.attachments_max", wide(self.socketio.attachments_max)),
            ("socketio.acks_max", wide(self.socketio.acks_max)),
            (
                "socketio.pending_max_commands",
                wide(self.socketio.pending_max_commands),
            ),
            (
                "socketio.recovery_max_events",
                wide(self.socketio.recovery_max_events),
            ),
            ("areas.radius_max_km", u64::from(areas.radius_max_km)),
            ("areas.watchers_max", wide(areas.watchers_max)),
            ("areas.backlog_max_incidents", wide(areas.backlog_max_incidents)),
            ("devices.seen_every_s", devices.seen_every_s),
            ("devices.seen_max", wide(devices.seen_max)),
            ("devices.exports_max", wide(devices.exports_max)),
            ("devices.export_timeout_s", devices.export_timeout_s),
            ("contacts.contacts_max", wide(contacts.contacts_max)),
            ("contacts.connect_timeout_ms", contacts.connect_timeout_ms),
            ("contacts.answer_max_bytes", wide(contacts.answer_max_bytes)),
            ("contacts.timeout_ms", contacts.timeout_ms),
            ("contacts.deadline_ms", contacts.deadline_ms),
            ("contacts.tries", u64::from(contacts.tries)),
            ("contacts.pause_ms", contacts.pause_ms),
            ("contacts.requests_max", wide(contacts.requests_max)),
            ("contacts.breaker_rest_ms", contacts.breaker_rest_ms),
            ("contacts.fresh_s", contacts.fresh_s),
            ("contacts.stale_s", contacts.stale_s),
            ("contacts.cache_max", wide(contacts.cache_max)),
            ("push.targets_max", wide(self.push.targets_max)),
            ("otp.ttl_s", self.otp.ttl_s),
            ("otp.attempts_max", u64::from(self.otp.attempts_max)),
            ("otp.sends_per_hour", wide(self.otp.sends_per_hour)),
            ("pins.attempts_max", u64::from(self.pins.attempts_max)),
            ("pins.lock_s", self.pins.lock_s),
            ("pins.hashes_at_once", wide(self.pins.hashes_at_once)),
            ("checkins.per_person_max", wide(self.checkins.per_person_max)),
            ("checkins.horizon_days", u64::from(self.checkins.horizon_days)),
            ("push.keep_days", u64::from(self.push.keep_days)),
            ("retention.sweep_s", retention.sweep_s),
            ("retention.slice_max_rows", wide(retention.slice_max_rows)),
        ];
        for (key, value) in at_least_one {
            if value == 0 {
                problems.push(Problem::new(key, "must be 1 or more"));
            }
        }
        let at_most = [
            ("http.workers", wide(http.workers), 1_024),
            ("http.backlog", u64::from(http.backlog), 65_535),
            ("http.h2_streams_max", u64::from(http.h2_streams_max), 65_535),
            // What the parser takes: beyond it, it answers by itself.
            ("http.uri_max_bytes", wide(http.uri_max_bytes), 65_534),
            ("http.headers_max_bytes", wide(http.headers_max_bytes), 131_072),
            ("http.headers_max", wide(http.headers_max), 96),
            ("cors.max_age_s", self.cors.max_age_s, 86_400),
            (
                "compression.gzip_level",
                u64::from(self.compression.gzip_level),
                9,
            ),
            (
                "compression.brotli_quality",
                u64::from(self.compression.brotli_quality),
                11,
            ),
            ("store.readers", wide(store.readers), 256),
            ("bus.connect_timeout_ms", bus.connect_timeout_ms, 60_000),
            ("bus.response_timeout_ms", bus.response_timeout_ms, 60_000),
            ("bus.reconnect_max_ms", bus.reconnect_max_ms, 60_000),
            ("bus.health_interval_ms", bus.health_interval_ms, 60_000),
            ("bus.commands_max", wide(bus.commands_max), 1_000_000),
            ("bus.flush_max_messages", wide(bus.flush_max_messages), 10_000),
            ("bus.flush_after_us", bus.flush_after_us, 1_000_000),
            // What Redis takes as one text.
            ("bus.message_max_bytes", wide(bus.message_max_bytes), 536_870_912),
            ("bus.threads", wide(bus.threads), 64),
            (
                "bus.inbound_max_messages",
                wide(bus.inbound_max_messages),
                10_000_000,
            ),
            ("bus.subscribe_max_topics", wide(bus.subscribe_max_topics), 10_000),
            ("bus.unsubscribe_grace_ms", bus.unsubscribe_grace_ms, 600_000),
            ("bus.fades_after_ms", bus.fades_after_ms, 600_000),
            ("bus.limits_timeout_ms", bus.limits_timeout_ms, 1_000),
            ("mongo.writers", wide(mongo.writers), 64),
            ("mongo.threads", wide(mongo.threads), 256),
            (
                "mongo.pool_max_connections",
                u64::from(mongo.pool_max_connections),
                10_000,
            ),
            ("mongo.group_max_ops", wide(mongo.group_max_ops), 10_000),
            ("mongo.operation_timeout_ms", mongo.operation_timeout_ms, 60_000),
            ("mongo.write_timeout_ms", mongo.write_timeout_ms, 60_000),
            (
                "bus.board_batch_max_notes",
                wide(bus.board_batch_max_notes),
                100_000,
            ),
            ("bus.board_timeout_ms", bus.board_timeout_ms, 10_000),
            ("bus.stream_keep_s", bus.stream_keep_s, 24 * HOUR_S),
            ("bus.history_interval_s", bus.history_interval_s, HOUR_S),
            (
                "bus.history_batch_max_fixes",
                wide(bus.history_batch_max_fixes),
                100_000,
            ),
            ("bus.history_take_over_s", bus.history_take_over_s, HOUR_S),
            ("auth.leeway_s", auth.leeway_s, HOUR_S),
            ("auth.ticket_ttl_s", auth.ticket_ttl_s, HOUR_S),
            ("auth.expiry_warning_s", auth.expiry_warning_s, HOUR_S),
            ("auth.jwks_wait_ms", auth.jwks_wait_ms, 10_000),
            ("auth.jwks_timeout_ms", auth.jwks_timeout_ms, 60_000),
            ("auth.jwks_refresh_s", auth.jwks_refresh_s, 24 * HOUR_S),
            ("auth.jwks_max_bytes", wide(auth.jwks_max_bytes), 1_048_576),
            ("auth.jwks_keys_max", wide(auth.jwks_keys_max), 1_000),
            ("services.connect_timeout_ms", services.connect_timeout_ms, 60_000),
            (
                "services.answer_max_bytes",
                wide(services.answer_max_bytes),
                1_048_576,
            ),
            ("services.breaker_rest_ms", services.breaker_rest_ms, 600_000),
            ("services.lookup_tries", u64::from(services.lookup_tries), 20),
            ("services.lookup_deadline_ms", services.lookup_deadline_ms, 60_000),
            ("services.lookups_max", wide(services.lookups_max), 10_000),
            ("services.feed_timeout_ms", services.feed_timeout_ms, 60_000),
            (
                "services.feed_requests_max",
                wide(services.feed_requests_max),
                1_000,
            ),
            (
                "services.feed_batch_max_events",
                wide(services.feed_batch_max_events),
                1_000,
            ),
            ("services.feed_lease_s", services.feed_lease_s, HOUR_S),
            ("services.feed_poll_ms", services.feed_poll_ms, 60_000),
            (
                "services.feed_backoff_max_ms",
                services.feed_backoff_max_ms,
                3_600_000,
            ),
            (
                "services.feed_refusals_max",
                u64::from(services.feed_refusals_max),
                1_000,
            ),
            (
                "services.dead_letters_max",
                wide(services.dead_letters_max),
                1_000_000,
            ),
            ("services.lookup_absent_s", services.lookup_absent_s, HOUR_S),
            ("services.lookup_found_s", services.lookup_found_s, HOUR_S),
            ("locations.shards", wide(locations.shards), 1_024),
            ("locations.tick_ms", locations.tick_ms, 1_000),
            ("rooms.arbiters", wide(rooms.arbiters), 1_024),
            ("trips.passengers_max", wide(self.trips.passengers_max), 1_000),
            ("trips.radius_max_km", u64::from(self.trips.radius_max_km), 1_000),
            // Others take a node for dead that is silent for longer than a few of these.
            ("cluster.heartbeat_ms", cluster.heartbeat_ms, 10_000),
            ("cluster.look_page_events", wide(cluster.look_page_events), 10_000),
            // What a circle of this radius costs grows with its square: some 600 cells here.
            ("areas.radius_max_km", u64::from(areas.radius_max_km), 100),
            ("push.targets_max", wide(self.push.targets_max), 50),
            ("otp.ttl_s", self.otp.ttl_s, 3_600),
            ("otp.attempts_max", u64::from(self.otp.attempts_max), 20),
            ("otp.cool_down_s", self.otp.cool_down_s, 3_600),
            ("otp.sends_per_hour", wide(self.otp.sends_per_hour), 100),
            ("alerts.cancel_window_s", self.alerts.cancel_window_s, 60),
            ("pins.attempts_max", u64::from(self.pins.attempts_max), 20),
            ("pins.lock_s", self.pins.lock_s, 86_400),
            ("pins.hashes_at_once", wide(self.pins.hashes_at_once), 64),
            (
                "checkins.per_person_max",
                wide(self.checkins.per_person_max),
                1_000,
            ),
            (
                "checkins.horizon_days",
                u64::from(self.checkins.horizon_days),
                365,
            ),
            ("checkins.grace_max_s", self.checkins.grace_max_s, 604_800),
            ("contacts.deadline_ms", self.contacts.deadline_ms, 10_000),
            ("contacts.requests_max", wide(self.contacts.requests_max), 10_000),
            ("contacts.tries", u64::from(self.contacts.tries), 10),
            ("contacts.fresh_s", self.contacts.fresh_s, 86_400),
            ("contacts.stale_s", self.contacts.stale_s, 3_600),
            ("pages.tile_zoom_max", u64::from(self.pages.tile_zoom_max), 24),
        ];
        for (key, value, most) in at_most {
            if value > most {
                problems.push(Problem::new(key, format!("must be at most {most}")));
            }
        }
    }

    /// Only what cannot work: a pair that is merely odd is the operator's affair.
    fn check_pairs(&self, problems: &mut Vec<Problem>) {
        let Self {
            store,
            mongo,
            sessions,
            retention,
            ..
        } = self;
        // One for each writer, and some to read by.
        if wide(mongo.writers) + 2 > u64::from(mongo.pool_max_connections) {
            let what = "must be at least 2 more than mongo.writers";
            problems.push(Problem::new("mongo.pool_max_connections", what));
        }
        if store.group_max_ops > store.writer_queue_max_ops {
            let what = "must not be greater than store.writer_queue_max_ops";
            problems.push(Problem::new("store.group_max_ops", what));
        }
        if self.bus.reconnect_min_ms > self.bus.reconnect_max_ms {
            let what = "must not be greater than bus.reconnect_max_ms";
            problems.push(Problem::new("bus.reconnect_min_ms", what));
        }
        if self.bus.history_take_over_s <= self.bus.history_interval_s {
            let what = "must be greater than bus.history_interval_s: until then it may well be written";
            problems.push(Problem::new("bus.history_take_over_s", what));
        }
        if sessions.frame_max_bytes > sessions.message_max_bytes {
            let what =
                "must not be greater than sessions.message_max_bytes: a frame is a message or part of one";
            problems.push(Problem::new("sessions.frame_max_bytes", what));
        }
        let alerts = &self.alerts;
        if alerts.lease_ms < self.notify.timeout_ms.saturating_mul(3) {
            let what = "must be at least three times notify.timeout_ms: whoever has a message in hand must know what a vendor \
                        answered before somebody else takes it";
            problems.push(Problem::new("alerts.lease_ms", what));
        }
        if alerts.backoff_min_ms > alerts.backoff_max_ms {
            let what = "must not be greater than alerts.backoff_max_ms";
            problems.push(Problem::new("alerts.backoff_min_ms", what));
        }
        let services = &self.services;
        if services.looks_up() && services.lookup_deadline_ms >= self.rooms.command_timeout_ms {
            let what = "must be less than rooms.command_timeout_ms: whoever joins waits no longer than that";
            problems.push(Problem::new("services.lookup_deadline_ms", what));
        }
        if services.feed_timeout_ms.saturating_mul(3) > services.feed_lease_s.saturating_mul(2_000) {
            let what = "must be at least one and a half times services.feed_timeout_ms: whoever has an incident in hand \
                        must be able to end a request";
            problems.push(Problem::new("services.feed_lease_s", what));
        }
        if services.feed_backoff_min_ms > services.feed_backoff_max_ms {
            let what = "must not be greater than services.feed_backoff_max_ms";
            problems.push(Problem::new("services.feed_backoff_min_ms", what));
        }
        let (links, records) = (retention.devices_anonymise_days, retention.devices_delete_days);
        if links > 0 && records > 0 && records < links {
            let what = "must not be shorter than retention.devices_anonymise_days";
            problems.push(Problem::new("retention.devices_delete_days", what));
        }
        if sessions.ping_timeout_s <= sessions.ping_interval_s {
            let what = "must be greater than sessions.ping_interval_s, or every quiet peer is taken for dead";
            problems.push(Problem::new("sessions.ping_timeout_s", what));
        }
    }

    fn check_listeners(&self, problems: &mut Vec<Problem>) {
        let Self { http, tls, .. } = self;
        if tls.certificate.is_empty() != tls.key.is_empty() {
            let (missing, given) = if tls.key.is_empty() {
                ("tls.key", "tls.certificate")
            } else {
                ("tls.certificate", "tls.key")
            };
            problems.push(Problem::new(missing, format!("must be set when {given} is")));
        }
        if !http.plain && !tls.is_on() {
            let what = "must not be false without tls.certificate: nothing would listen";
            problems.push(Problem::new("http.plain", what));
        }
        if http.plain && tls.is_on() && http.port == tls.port && http.port != 0 {
            problems.push(Problem::new("tls.port", "must not be http.port"));
        }
    }

    fn check_texts(&self, problems: &mut Vec<Problem>) {
        let host = &self.http.host;
        if host.is_empty() || host.contains(|c: char| c.is_whitespace() || c == '/') {
            problems.push(Problem::new("http.host", "must be an address or a host name"));
        }
        if !self
            .auth
            .cookie
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        {
            problems.push(Problem::new(
                "auth.cookie",
                "may hold only letters, digits and '-', '_', '.'",
            ));
        }
        let origins = [
            ("auth.cookie_origins", &self.auth.cookie_origins),
            ("cors.origins", &self.cors.origins),
        ];
        for (key, text) in origins {
            if !list(text).all(is_origin) {
                let what = "must be origins such as https://app.example.org, separated by commas";
                problems.push(Problem::new(key, what));
            }
        }
        if !is_tile_url(&self.pages.tile_url) {
            let what = "must be an http or https address, or a path, with {z}, {x} and {y} in it";
            problems.push(Problem::new("pages.tile_url", what));
        }
        let tokens = [
            ("cors.methods", &self.cors.methods),
            ("cors.request_headers", &self.cors.request_headers),
            ("cors.expose_headers", &self.cors.expose_headers),
        ];
        for (key, text) in tokens {
            let token = |part: &str| {
                part.bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            };
            if !list(text).all(token) {
                let what = "must be names separated by commas; * is not one";
                problems.push(Problem::new(key, what));
            }
        }
        self.check_listeners(problems);
        self.check_keys(problems);
        self.check_bus(problems);
        self.check_services(problems);
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log.filter) {
            problems.push(Problem::new(
                "log.filter",
                format!("must be a filter such as info,mayday=debug: {error}"),
            ));
        }
    }

    fn check_bus(&self, problems: &mut Vec<Problem>) {
        let bus = &self.bus;
        if !bus.url.is_empty() && self.store.url == StoreUrl::Embedded {
            let what = "needs a store that all nodes share: an embedded one is this node's alone (store.url)";
            problems.push(Problem::new("bus.url", what));
        }
        let tls = match bus.url.parse() {
            Ok(address) => address.is_some_and(|address| address.tls),
            Err(what) => {
                problems.push(Problem::new("bus.url", what.to_string()));
                return;
            }
        };
        let files = [
            ("bus.tls_ca_file", &bus.tls_ca_file),
            ("bus.tls_certificate", &bus.tls_certificate),
            ("bus.tls_key", &bus.tls_key),
        ];
        for (key, _) in files.iter().filter(|(_, file)| !tls && !file.is_empty()) {
            let what = "must be empty unless bus.url begins with rediss";
            problems.push(Problem::new(*key, what));
        }
        if bus.tls_certificate.is_empty() != bus.tls_key.is_empty() {
            let (missing, given) = if bus.tls_key.is_empty() {
                ("bus.tls_key", "bus.tls_certificate")
            } else {
                ("bus.tls_certificate", "bus.tls_key")
            };
            problems.push(Problem::new(missing, format!("must be set when {given} is")));
        }
    }

    fn check_services(&self, problems: &mut Vec<Problem>) {
        let (services, contacts) = (&self.services, &self.contacts);
        let places = [
            (
                "services.sos_url",
                &services.sos_url,
                services.sos_allow_http,
                "services.sos_allow_http",
            ),
            (
                "contacts.url",
                &contacts.url,
                contacts.allow_http,
                "contacts.allow_http",
            ),
        ];
        for (key, address, allow_http, allowance) in places {
            if address.is_empty() {
                continue;
            }
            let plain = || match url::Url::parse(address) {
                Ok(url) if url.username().is_empty() && url.password().is_none() && url.query().is_none() => {
                    Ok(())
                }
                _ => {
                    Err("must hold no name, password or query: its credential is a setting of its own".into())
                }
            };
            if let Err(what) = check_url(address, allow_http, allowance).and_then(|()| plain()) {
                problems.push(Problem::new(key, what));
            }
        }
        let shapes = list(&services.lookup_ids).count();
        if shapes == 0 || services.lookup_shapes().len() < shapes {
            let what = "must be one or more of any, uuid, objectid and number, separated by commas";
            problems.push(Problem::new("services.lookup_ids", what));
        }
    }

    fn check_keys(&self, problems: &mut Vec<Problem>) {
        let auth = &self.auth;
        if !auth.jwks_url.is_empty() && !auth.jwks_file.is_empty() {
            let what = "must be empty when auth.jwks_url is not: a set comes from one place";
            problems.push(Problem::new("auth.jwks_file", what));
        }
        if !auth.jwks_url.is_empty()
            && let Err(what) = check_url(&auth.jwks_url, auth.jwks_allow_http, "auth.jwks_allow_http")
        {
            problems.push(Problem::new("auth.jwks_url", what));
        }
        let keys = &auth.api_keys.0;
        for (place, key) in keys.iter().enumerate() {
            if key.name.as_str() == INTERNAL || keys[..place].iter().any(|other| other.name == key.name) {
                let what = format!("names {} twice; each key has a name of its own", key.name);
                problems.push(Problem::new("auth.api_keys", what));
            }
        }
    }
}

/// What travels in the clear is anybody's who is on the way: only near by, unless the operator says so.
pub(super) fn check_url(text: &str, allow_http: bool, allowance: &str) -> Result<(), String> {
    let url = url::Url::parse(text).map_err(|error| format!("must be an address: {error}"))?;
    let near = match url.host() {
        Some(url::Host::Ipv4(ip)) => ip.is_loopback() || ip.is_private(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.is_unique_local(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    match url.scheme() {
        "https" => Ok(()),
        "http" if near || allow_http => Ok(()),
        "http" => Err(format!(
            "must be https, or an http address of this machine or a private network; {allowance} takes any"
        )),
        _ => Err("must be an https address".into()),
    }
}

fn is_origin(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| url.origin().ascii_serialization() == text)
}

/// An address of tiles, or none. A part that is asked for with `{z}` must be in the path: the host is named in the
/// pages' content policy.
fn is_tile_url(address: &str) -> bool {
    if address.is_empty() {
        return true;
    }
    let marked = ["{z}", "{x}", "{y}"].iter().all(|mark| address.contains(mark));
    let own = address.starts_with('/') && !address.starts_with("//");
    let theirs = url::Url::parse(address).is_ok_and(|url| {
        matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.contains('{'))
    });
    marked && (own || theirs)
}

fn wide(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let error = Config::parse("test.toml", text, []).unwrap_err();
        error.0.iter().map(|problem| problem.key().to_owned()).collect()
    }

    #[test]
    fn the_defaults_are_consistent() {
        let mut problems = Vec::new();
        Config::default().check(&mut problems);
        assert_eq!(problems, []);
    }

    #[test]
    fn every_rule_names_the_key_it_is_about() {
        for (text, key) in [
            ("[http]\nhost = ''", "http.host"),
            (
                "[http]\nrequest_timeout_ms = 0\n[rooms]\ncommand_timeout_ms = 0",
                "http.request_timeout_ms",
            ),
            ("[store]\nreaders = 0", "store.readers"),
            ("[store]\ngroup_max_ops = 100000", "store.group_max_ops"),
            ("[bus]\nurl = '127.0.0.1:6379'", "bus.url"),
            ("[bus]\nurl = 'redis+sentinel://127.0.0.1'", "bus.url"),
            (
                "[bus]\nurl = 'redis://a'\ntls_ca_file = 'ca.pem'",
                "bus.tls_ca_file",
            ),
            (
                "[bus]\nurl = 'rediss://a'\ntls_certificate = 'c.pem'",
                "bus.tls_key",
            ),
            ("[bus]\nreconnect_min_ms = 9000", "bus.reconnect_min_ms"),
            ("[bus]\ncommands_max = 0", "bus.commands_max"),
            ("[store]\nurl = 'mysql://a/'", "store.url"),
            ("[store]\nurl = 'mongodb+srv://a/'", "store.url"),
            ("[store]\nurl = 'mongodb://'", "store.url"),
            ("[mongo]\nwriters = 0", "mongo.writers"),
            ("[mongo]\nwriters = 1000", "mongo.writers"),
            ("[mongo]\npool_max_connections = 5", "mongo.pool_max_connections"),
            ("[mongo]\nwrite_timeout_ms = 0", "mongo.write_timeout_ms"),
            ("[auth]\nleeway_s = 9999999", "auth.leeway_s"),
            ("[auth]\ncookie = 'a b'", "auth.cookie"),
            ("[auth]\njwks_url = 'keys.json'", "auth.jwks_url"),
            ("[auth]\njwks_url = 'ftp://example.org/'", "auth.jwks_url"),
            ("[auth]\njwks_url = 'http://example.org/'", "auth.jwks_url"),
            ("[auth]\njwks_url = 'http://192.0.2.1/'", "auth.jwks_url"),
            (
                "[auth]\njwks_url = 'https://a/'\njwks_file = 'b'",
                "auth.jwks_file",
            ),
            ("[auth]\njwks_keys_max = 0", "auth.jwks_keys_max"),
            ("[services]\nsos_url = 'sos.example.org'", "services.sos_url"),
            ("[services]\nsos_url = 'http://example.org/'", "services.sos_url"),
            ("[contacts]\nurl = 'http://example.org/'", "contacts.url"),
            ("[contacts]\nurl = 'https://a/?b'", "contacts.url"),
            (
                "[services]\nsos_url = 'https://me:pass@example.org/'",
                "services.sos_url",
            ),
            ("[services]\nlookup_ids = 'uuid, guid'", "services.lookup_ids"),
            ("[services]\nlookup_tries = 0", "services.lookup_tries"),
            ("[services]\nfeed_lease_s = 7", "services.feed_lease_s"),
            (
                "[services]\nfeed_backoff_min_ms = 60001",
                "services.feed_backoff_min_ms",
            ),
            ("[services]\nfeed_refusals_max = 0", "services.feed_refusals_max"),
            (
                "[services]\nsos_url = 'https://a/'\nlookup_deadline_ms = 10000",
                "services.lookup_deadline_ms",
            ),
            ("[auth]\nalgorithms = 'none'", "auth.algorithms"),
            ("[auth]\nkey_files = 'a='", "auth.key_files"),
            ("[auth]\napi_keys = 'a b c'", "auth.api_keys"),
            ("[auth]\ncookie_origins = 'example.org'", "auth.cookie_origins"),
            ("[log]\nfilter = 'mayday=loud'", "log.filter"),
            ("[tls]\ncertificate = 'chain.pem'", "tls.key"),
            ("[tls]\nkey = 'key.pem'", "tls.certificate"),
            ("[tls]\nmin_version = '1.1'", "tls.min_version"),
            ("[tls]\nport = 3000\ncertificate = 'c'\nkey = 'k'", "tls.port"),
            ("[http]\nplain = false", "http.plain"),
            ("[http]\nheaders_max = 1000", "http.headers_max"),
            ("[http]\nproxy_header = 'via'", "http.proxy_header"),
            ("[cors]\norigins = '*'", "cors.origins"),
            ("[cors]\norigins = 'https://a.example/'", "cors.origins"),
            ("[cors]\nexpose_headers = '*'", "cors.expose_headers"),
            ("[compression]\ngzip_level = 10", "compression.gzip_level"),
            ("[sessions]\nping_timeout_s = 30", "sessions.ping_timeout_s"),
            ("[sessions]\nmessage_max_bytes = 1", "sessions.frame_max_bytes"),
            ("[areas]\nradius_max_km = 5000", "areas.radius_max_km"),
            ("[pages]\ntile_zoom_max = 25", "pages.tile_zoom_max"),
            (
                "[pages]\ntile_url = 'https://tiles.example.org/{z}/{x}.png'",
                "pages.tile_url",
            ),
            (
                "[pages]\ntile_url = '//tiles.example.org/{z}/{x}/{y}'",
                "pages.tile_url",
            ),
            ("[pages]\ntile_url = 'javascript:{z}{x}{y}'", "pages.tile_url"),
            ("[devices]\nexports_max = 0", "devices.exports_max"),
            (
                "[retention]\ndevices_delete_days = 7",
                "retention.devices_delete_days",
            ),
        ] {
            assert!(
                problems(text).iter().any(|found| found == key),
                "{text}: {:?}",
                problems(text)
            );
        }
    }

    #[test]
    fn keys_may_come_in_the_clear_from_near_by() {
        for url in [
            "https://issuer.example.org/jwks.json",
            "http://127.0.0.1:8080/jwks.json",
            "http://[::1]/",
            "http://localhost/",
            "http://10.1.2.3/",
            "http://[fd00::1]/",
        ] {
            let text = format!("[auth]\njwks_url = '{url}'");
            assert!(Config::parse("test.toml", &text, []).is_ok(), "{url}");
        }
        let text = "[auth]\njwks_url = 'http://example.org/'\njwks_allow_http = true";
        assert!(Config::parse("test.toml", text, []).is_ok());
    }

    #[test]
    fn each_api_key_has_a_name_of_its_own() {
        let hash = "ab".repeat(32);
        for keys in [format!("a {hash} *; a {hash} *"), format!("internal {hash} *")] {
            let text = format!("[auth]\napi_keys = '{keys}'");
            assert_eq!(problems(&text), ["auth.api_keys"]);
        }
    }

    #[test]
    fn zero_is_allowed_where_it_means_no_limit() {
        let text = "[limits]\nsos_per_hour = 0\nuser_sos_per_hour = 0\nanon_requests = 0\nuser_requests = 0\n\
                    locations_per_minute = 0\nconnections_per_address = 0\nmessages_per_second = 0\n\
                    [locations]\nmin_interval_ms = 0\n[rooms]\nidle_participant_s = 0\nempty_room_s = 0\n\
                    [http]\nport = 0";
        assert!(Config::parse("test.toml", text, []).is_ok());
    }
}
