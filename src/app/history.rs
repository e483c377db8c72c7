//! The writer of positions from the stream that the nodes share: started with the node, and ended after its batchers.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::settings;
use super::way::Way;
use crate::actors::history::{HistoryCounts, HistoryWriter};
use crate::bus::Bus;
use crate::bus::redis::FixStream;
use crate::config::Config;
use crate::store::Store;
use crate::telemetry::{Metrics, Scrape};

/// How long one look at the stream waits for something new.
const PATIENCE: Duration = Duration::from_secs(1);

/// The writer while it runs; a node that is alone has none.
pub(super) struct History(Option<(watch::Sender<bool>, JoinHandle<()>)>);

impl History {
    /// Starts it, if there are other nodes.
    pub fn start(config: &Config, way: &Way, store: &Arc<dyn Store>, metrics: &Metrics) -> Self {
        let Way::Redis(bus, _) = way else {
            return Self(None);
        };
        let counts = Arc::new(HistoryCounts::default());
        let writer = HistoryWriter {
            stream: FixStream::new(bus.connection(), bus.node().to_string(), PATIENCE),
            board: bus.board(),
            store: Arc::clone(store),
            policy: config.locations.policy(),
            settings: settings::history(config),
            counts: Arc::clone(&counts),
        };
        metrics.register_source(move |scrape| observe(scrape, &counts));
        let (stop, stopped) = watch::channel(false);
        Self(Some((stop, actix_rt::spawn(writer.run(stopped)))))
    }

    /// Writes what it has, and ends.
    pub async fn close(self) {
        if let Some((stop, task)) = self.0 {
            stop.send_replace(true);
            let _ = task.await;
        }
    }
}

fn observe(scrape: &mut Scrape, counts: &HistoryCounts) {
    for (what, count) in [
        ("written", &counts.written),
        ("taken_over", &counts.taken_over),
        ("past_the_stream", &counts.spilled),
        ("forgotten", &counts.forgotten),
        ("unreadable", &counts.unreadable),
    ] {
        let help = "Positions from the nodes' stream for history, and what came of them.";
        scrape.counter(
            "mayday_history_positions_total",
            help,
            &[("what", what)],
            count.load(Relaxed),
        );
    }
    let help = "Times that positions for history could not be read or written.";
    scrape.counter(
        "mayday_history_failures_total",
        help,
        &[],
        counts.failed.load(Relaxed),
    );
}
