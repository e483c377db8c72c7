//! Finds dead connections without a timer for each: every tick looks at a part of them.

use std::rc::Rc;

use tokio::time::MissedTickBehavior;

use super::hub::{Berth, Local};
use super::state::Phase;
use super::{CloseReason, EndReason, Frame};

/// Ticks after which every connection was looked at once.
const ROUND: usize = 4;

pub(super) async fn run(local: Rc<Local>) {
    let mut tick = tokio::time::interval(local.ticks.length);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let ping = Frame::ping(&[]);
    loop {
        tick.tick().await;
        local.shared.tick();
        sweep(&local, &ping);
    }
}

/// Looks at the next part of the connections.
fn sweep(local: &Local, ping: &Frame) {
    let slots = local.slots();
    let part = slots.div_ceil(ROUND);
    let start = local.swept.get();
    for at in start..(start + part).min(slots) {
        let slot = u32::try_from(at).unwrap_or(u32::MAX);
        if let Some(berth) = local.berth(slot)
            && !inspect(local, &berth, slot, ping)
        {
            local.remove(slot);
        }
    }
    let next = start + part;
    local.swept.set(if next >= slots { 0 } else { next });
}

/// Pings, trims, drains; returns false when the connection is to be dropped.
fn inspect(local: &Local, berth: &Berth, slot: u32, ping: &Frame) -> bool {
    let now = local.shared.now();
    let outbox = berth.outbox();
    let phase = {
        let mut cell = outbox.lock();
        cell.state.trim();
        cell.state.phase()
    };
    if let Berth::Here(conn) = berth {
        if phase != Phase::Open {
            return phase != Phase::Gone && !conn.is_overdue(now);
        }
        let silence = conn.silence(now);
        if silence >= local.ticks.ping_timeout {
            outbox.fail(EndReason::Silent);
            return false;
        }
        // Connections that came together would be pinged together: each has its own moment in the
        // last quarter of the interval.
        let early = spread(slot, local.ticks.ping_interval / 4);
        if silence + early >= local.ticks.ping_interval && conn.ping() {
            outbox.push_control(ping.clone());
        }
    }
    let drain_ms = local.shared.drain_ms();
    if drain_ms > 0 {
        outbox.close(CloseReason::Draining {
            retry_after_ms: spread(slot, drain_ms),
        });
    }
    true
}

/// A number below `range`, different for each slot.
fn spread(slot: u32, range: u32) -> u32 {
    let mixed = u64::from(slot.wrapping_mul(0x9E37_79B9));
    u32::try_from((mixed * u64::from(range)) >> 32).unwrap_or(0)
}
