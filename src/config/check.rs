//! Rules beyond a value's type.

use super::load::Problem;
use super::sections::Config;

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
        if all_read {
            self.check_pairs(problems);
        }
    }

    fn check_ranges(&self, problems: &mut Vec<Problem>) {
        let Self {
            http,
            store,
            auth,
            locations,
            rooms,
            sessions,
            areas,
            contacts,
            devices,
            retention,
            ..
        } = self;
        let at_least_one = [
            ("http.backlog", u64::from(http.backlog)),
            ("http.body_max_bytes", wide(http.body_max_bytes)),
            ("http.batch_body_max_bytes", wide(http.batch_body_max_bytes)),
            ("http.header_timeout_ms", http.header_timeout_ms),
            ("http.request_timeout_ms", http.request_timeout_ms),
            ("http.connections_max", wide(http.connections_max)),
            ("store.writer_queue_max_ops", wide(store.writer_queue_max_ops)),
            ("store.group_max_ops", wide(store.group_max_ops)),
            ("store.group_max_rows", wide(store.group_max_rows)),
            ("store.readers", wide(store.readers)),
            ("store.reader_queue_max_ops", wide(store.reader_queue_max_ops)),
            ("store.checkpoint_kib", u64::from(store.checkpoint_kib)),
            ("store.checkpoint_max_kib", u64::from(store.checkpoint_max_kib)),
            ("auth.ticket_ttl_s", auth.ticket_ttl_s),
            ("auth.tickets_max", wide(auth.tickets_max)),
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
            ("rooms.requests_max", wide(rooms.requests_max)),
            ("rooms.mailbox_max_messages", wide(rooms.mailbox_max_messages)),
            ("rooms.batch_max_commands", wide(rooms.batch_max_commands)),
            ("rooms.recent_max_events", wide(rooms.recent_max_events)),
            ("rooms.passivate_after_s", rooms.passivate_after_s),
            ("rooms.command_timeout_ms", rooms.command_timeout_ms),
            ("sessions.frame_max_bytes", wide(sessions.frame_max_bytes)),
            ("sessions.outbox_max_bytes", wide(sessions.outbox_max_bytes)),
            ("sessions.ping_interval_s", sessions.ping_interval_s),
            ("sessions.close_timeout_ms", sessions.close_timeout_ms),
            ("sessions.rooms_max", wide(sessions.rooms_max)),
            ("areas.radius_max_km", u64::from(areas.radius_max_km)),
            ("areas.watchers_max", wide(areas.watchers_max)),
            ("areas.backlog_max_incidents", wide(areas.backlog_max_incidents)),
            ("devices.seen_every_s", devices.seen_every_s),
            ("devices.seen_max", wide(devices.seen_max)),
            ("devices.exports_max", wide(devices.exports_max)),
            ("devices.export_timeout_s", devices.export_timeout_s),
            ("contacts.contacts_max", wide(contacts.contacts_max)),
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
            ("store.readers", wide(store.readers), 256),
            ("auth.leeway_s", auth.leeway_s, HOUR_S),
            ("auth.ticket_ttl_s", auth.ticket_ttl_s, HOUR_S),
            ("locations.shards", wide(locations.shards), 1_024),
            ("locations.tick_ms", locations.tick_ms, 1_000),
            ("rooms.arbiters", wide(rooms.arbiters), 1_024),
            // What a circle of this radius costs grows with its square: some 600 cells here.
            ("areas.radius_max_km", u64::from(areas.radius_max_km), 100),
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
            sessions,
            retention,
            ..
        } = self;
        if store.group_max_ops > store.writer_queue_max_ops {
            let what = "must not be greater than store.writer_queue_max_ops";
            problems.push(Problem::new("store.group_max_ops", what));
        }
        if sessions.frame_max_bytes > sessions.message_max_bytes {
            let what =
                "must not be greater than sessions.message_max_bytes: a frame is a message or part of one";
            problems.push(Problem::new("sessions.frame_max_bytes", what));
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
        let origin_at_fault = self.auth.cookie_origins().any(|origin| {
            url::Url::parse(origin).map_or(true, |url| url.origin().ascii_serialization() != origin)
        });
        if origin_at_fault {
            let what = "must be origins such as https://app.example.org, separated by commas";
            problems.push(Problem::new("auth.cookie_origins", what));
        }
        if !is_tile_url(&self.pages.tile_url) {
            let what = "must be an http or https address, or a path, with {z}, {x} and {y} in it";
            problems.push(Problem::new("pages.tile_url", what));
        }
        if let Err(error) = tracing_subscriber::EnvFilter::try_new(&self.log.filter) {
            problems.push(Problem::new(
                "log.filter",
                format!("must be a filter such as info,mayday=debug: {error}"),
            ));
        }
    }
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
            ("[auth]\nleeway_s = 9999999", "auth.leeway_s"),
            ("[auth]\ncookie = 'a b'", "auth.cookie"),
            ("[auth]\ncookie_origins = 'example.org'", "auth.cookie_origins"),
            ("[log]\nfilter = 'mayday=loud'", "log.filter"),
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
    fn zero_is_allowed_where_it_means_no_limit() {
        let text = "[limits]\nsos_per_hour = 0\nuser_sos_per_hour = 0\nanon_requests = 0\nuser_requests = 0\n\
                    locations_per_minute = 0\nconnections_per_address = 0\nmessages_per_second = 0\n\
                    [locations]\nmin_interval_ms = 0\n[rooms]\nidle_participant_s = 0\nempty_room_s = 0\n\
                    [http]\nport = 0";
        assert!(Config::parse("test.toml", text, []).is_ok());
    }
}
