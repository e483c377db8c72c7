//! From what the parts count to the metrics that operators read.

use std::sync::Arc;
use std::time::Duration;

use crate::actors::node::Node;
use crate::actors::{Engine, Observer};
use crate::delivery;
use crate::store::Store;
use crate::store::meters::Remote;
use crate::telemetry::{Metrics, Scrape};

/// Counts what the actors tell.
pub(super) struct Counting(pub Arc<Metrics>);

impl Observer for Counting {
    fn appended(&self, took: Duration) {
        self.0.append_seconds.observe(took.as_secs_f64());
    }

    fn event(&self, kind: &'static str) {
        self.0.events_appended.with_label_values(&[kind]).inc();
    }

    fn fanned_out(&self, took: Duration) {
        self.0.fanout_seconds.observe(took.as_secs_f64());
    }

    fn sos_accepted(&self, took: Duration) {
        self.0.sos_accepted_seconds.observe(took.as_secs_f64());
    }

    fn refused(&self, code: &'static str) {
        self.0.commands_refused.with_label_values(&[code]).inc();
    }

    fn positions(&self, outcome: crate::actors::observer::Positions, count: u64) {
        use crate::actors::observer::Positions;
        match outcome {
            Positions::Received => self.0.positions_received.inc_by(count),
            Positions::Broadcast => self.0.positions_broadcast.inc_by(count),
            Positions::Conflated => self.0.positions_conflated.inc_by(count),
            Positions::Kept => self.0.positions_kept.inc_by(count),
            Positions::Stale => self.0.positions_stale.inc_by(count),
            Positions::Doubtful => self.0.positions_doubtful.inc_by(count),
            Positions::Dropped => self.0.drops.with_label_values(&["position"]).inc_by(count),
        }
    }

    fn connected(&self, took: Duration) {
        self.0.connect_seconds.observe(took.as_secs_f64());
    }

    fn reported(&self) {
        self.0.reports.inc();
    }

    fn room_rebuilt(&self) {
        self.0.drops.with_label_values(&["room_rebuilt"]).inc();
    }
}

/// Lets the metrics read what the parts keep themselves.
pub(super) fn register(metrics: &Metrics, engine: &Engine, store: &Arc<dyn Store>) {
    let (engine, store) = (engine.clone(), Arc::clone(store));
    let rooms = metrics.rooms_loaded.clone();
    let connections = metrics.connections.clone();
    metrics.register_source(move |scrape| {
        rooms.set(i64::try_from(engine.node().registry.len()).unwrap_or(i64::MAX));
        delivery(scrape, &connections);
        let stats = store.stats();
        scrape.queue("store_writer", stats.queue_depth, stats.queue_max);
        scrape.counter(
            "mayday_store_refused_total",
            "Writes refused: the queue was full.",
            &[],
            stats.refused,
        );
        scrape.counter(
            "mayday_store_commits_total",
            "Transactions committed.",
            &[],
            stats.commits,
        );
        scrape.counter(
            "mayday_store_events_total",
            "Events made durable.",
            &[],
            stats.events,
        );
        let observed = store.observe();
        scrape.counter(
            "mayday_store_failed_commits_total",
            "Transactions that failed.",
            &[],
            observed.failed_commits,
        );
        scrape.queue("store_readers", observed.reads_waiting, 0);
        scrape.counter(
            "mayday_store_lists_at_once_total",
            "Lists of incidents that memory alone answered.",
            &[],
            observed.lists_at_once,
        );
        for (what, count) in [("held", observed.open_held), ("left_out", observed.open_left_out)] {
            let help = "Open incidents whose list is kept in memory, and those that did not fit.";
            scrape.gauge("mayday_store_open_incidents", help, &[("what", what)], count);
        }
        if let Some(there) = observed.remote {
            remote(scrape, &there);
        }
        scrape.queue("room_mailboxes", engine.node().registry.waiting() as u64, 0);
        scrape.queue("location_batcher", engine.uploads_waiting() as u64, 0);
        let done = &engine.node().janitor;
        for (what, count) in [
            ("sweeps", &done.sweeps),
            ("rooms_woken", &done.woken),
            ("rooms_rebuilt", &done.rebuilt),
            ("rows_removed", &done.removed),
        ] {
            let help = "What the janitor has done.";
            let count = count.load(std::sync::atomic::Ordering::Relaxed);
            scrape.counter("mayday_janitor_total", help, &[("what", what)], count);
        }
        let help = "What was removed from the store because it was kept for long enough.";
        for (what, count) in [
            ("positions", &done.locations),
            ("idempotency_keys", &done.idempotency),
            ("feed", &done.feed),
            ("device_links", &done.devices_anonymised),
            ("devices", &done.devices),
            ("erasure_leftovers", &done.leftovers),
            ("dead_letters", &done.dead_letters),
            ("receipts", &done.receipts),
        ] {
            let count = count.load(std::sync::atomic::Ordering::Relaxed);
            scrape.counter("mayday_removed_total", help, &[("what", what)], count);
        }
        notes(scrape, engine.node());
        cluster(scrape, engine.node());
        trips(scrape, engine.node());
        board(scrape, engine.node());
        ops(scrape, engine.node());
        let watchers = engine.node().areas.watchers() as u64;
        scrape.gauge("mayday_area_watchers", "Areas watched.", &[], watchers);
    });
}

fn trips(scrape: &mut Scrape, node: &Node) {
    let help = "Trips whose place this node remembers.";
    scrape.gauge("mayday_trips", help, &[], node.trips.len() as u64);
    let help = "Times a trip was not remembered because there were so many.";
    scrape.counter("mayday_trips_left_out_total", help, &[], node.trips.left_out());
}

/// What is put where all nodes can read it, when there are any.
fn board(scrape: &mut Scrape, node: &Node) {
    if !node.board.is_there() {
        return;
    }
    let counts = node.board.counts();
    scrape.queue("board", counts.waiting as u64, counts.waiting_max as u64);
    let help = "Positions and notes for other nodes and programs: put into Redis, or dropped.";
    for (what, count) in [("put", counts.put), ("dropped", counts.dropped)] {
        scrape.counter("mayday_board_notes_total", help, &[("what", what)], count);
    }
    let help = "Pipelines that carried them.";
    scrape.counter("mayday_board_pipelines_total", help, &[], counts.pipelines);
    let help = "Emergency contacts that were looked for in Redis first.";
    for (what, count) in [("hit", counts.contacts.0), ("miss", counts.contacts.1)] {
        scrape.counter("mayday_board_contacts_total", help, &[("what", what)], count);
    }
}

fn cluster(scrape: &mut Scrape, node: &Node) {
    let cluster = &node.cluster;
    for (what, count) in cluster.counts.all() {
        let help = "What was heard of other nodes, and what came of it.";
        scrape.counter("mayday_cluster_total", help, &[("what", what)], count);
    }
    for peer in cluster.peers.alive().iter() {
        let (node, vitals) = (peer.node.to_string(), peer.vitals);
        for (what, count) in [("connections", vitals.connections), ("rooms", vitals.rooms)] {
            let help = "What the living nodes hold, as each says of itself.";
            let labels = [("node", node.as_str()), ("what", what)];
            scrape.gauge("mayday_cluster_nodes", help, &labels, count);
        }
    }
}

fn remote(scrape: &mut Scrape, there: &Remote) {
    scrape.gauge(
        "mayday_store_breaker",
        "Whether a store that did not answer is asked: 0 yes, 1 no, 2 by a probe.",
        &[],
        there.breaker,
    );
    for (name, help, count) in [
        (
            "mayday_store_breaker_opened_total",
            "Times that the store was no longer asked because it did not answer.",
            there.opened,
        ),
        (
            "mayday_store_breaker_refused_total",
            "Requests refused meanwhile.",
            there.refused,
        ),
        (
            "mayday_store_slow_commands_total",
            "Commands that took longer than mongo.slow_command_ms.",
            there.slow,
        ),
        (
            "mayday_store_groups_repeated_total",
            "Groups of appends done again: another node was first, or the server went away.",
            there.repeated,
        ),
    ] {
        scrape.counter(name, help, &[], count);
    }
}

fn ops(scrape: &mut Scrape, node: &Node) {
    let seen = node.ops.observe();
    let wide = |n: usize| n as u64;
    scrape.queue("ops_followers", wide(seen.followers.0), wide(seen.followers.1));
    scrape.queue("ops_known", wide(seen.known.0), wide(seen.known.1));
    scrape.queue(
        "ops_positions",
        wide(seen.positions_waiting.0),
        wide(seen.positions_waiting.1),
    );
    scrape.queue(
        "ops_order",
        wide(seen.order.waiting),
        wide(seen.order.waiting_max),
    );
    let help = "Events that operators may follow, newest in memory.";
    scrape.gauge("mayday_ops_recent", help, &[], wide(seen.recent));
    for (what, count) in [
        ("read", seen.events.0),
        ("told", seen.events.1),
        ("missing", seen.missing),
        ("said", seen.order.said),
        ("not_said", seen.order.dropped),
        ("found_by_sweep", seen.sweeps.1),
    ] {
        let help =
            "Events on their way to operators, by what became of them; said and found: stretches of events.";
        scrape.counter("mayday_ops_events_total", help, &[("what", what)], count);
    }
    for (what, count) in [("told", seen.positions.0), ("dropped", seen.positions.1)] {
        let help = "Positions for operators, by what became of them.";
        scrape.counter("mayday_ops_positions_total", help, &[("what", what)], count);
    }
    for (what, count) in [
        ("gap", seen.gaps),
        ("refused", seen.refused),
        ("failed", seen.failed),
        ("swept", seen.sweeps.0),
    ] {
        let help = "What befell the operators' feed.";
        scrape.counter("mayday_ops_total", help, &[("what", what)], count);
    }
}

fn notes(scrape: &mut Scrape, node: &Node) {
    let (known, waiting) = node.notes.depth();
    scrape.gauge(
        "mayday_devices_remembered",
        "Devices whose last sight is remembered.",
        &[],
        known as u64,
    );
    scrape.queue("notes", waiting as u64, 0);
    scrape.counter(
        "mayday_notes_written_total",
        "Signs of life and sights of devices that were written.",
        &[],
        node.janitor.noted.load(std::sync::atomic::Ordering::Relaxed),
    );
    scrape.counter(
        "mayday_notes_dropped_total",
        "Sights of devices that were not noted for want of room.",
        &[],
        node.notes.dropped(),
    );
}

fn delivery(scrape: &mut Scrape, connections: &prometheus::IntGauge) {
    let now = delivery::stats();
    connections.set(now.connections);
    scrape.counter("mayday_frames_queued_total", "Frames queued.", &[], now.delivered);
    scrape.counter(
        "mayday_frames_written_total",
        "Frames written.",
        &[],
        now.frames_written,
    );
    scrape.counter(
        "mayday_bytes_written_total",
        "Bytes written.",
        &[],
        now.bytes_written,
    );
    scrape.counter(
        "mayday_socket_writes_total",
        "System calls that wrote.",
        &[],
        now.writes,
    );
    scrape.counter(
        "mayday_socket_blocked_total",
        "Times a socket took no more.",
        &[],
        now.blocked,
    );
    scrape.counter(
        "mayday_writer_wakeups_total",
        "Wake-ups of a worker's writer.",
        &[],
        now.wakeups,
    );
    let help = "Signals not delivered, and frames for connections that had ended.";
    for (reason, count) in [
        ("conflated", now.conflated),
        ("no_room", now.dropped),
        ("closed", now.to_closed),
        ("too_slow", now.too_slow),
    ] {
        scrape.counter("mayday_frames_dropped_total", help, &[("reason", reason)], count);
    }
    scrape.queue("outboxes_bytes", u64::try_from(now.queued_bytes).unwrap_or(0), 0);
    scrape.counter(
        "mayday_connections_accepted_total",
        "Connections opened.",
        &[],
        now.accepted,
    );
    for (reason, count) in now.ended {
        scrape.counter(
            "mayday_connections_ended_total",
            "Connections ended.",
            &[("reason", reason)],
            count,
        );
    }
}
