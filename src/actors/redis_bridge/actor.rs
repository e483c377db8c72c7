//! The actor: three things that go on side by side, and a life after death.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use actix::{Actor, ArbiterHandle, AsyncContext, Context, WrapFuture};

use super::{Shared, heartbeat, listening, speaking};

/// How long it rests after it died, so that one that dies at once does not spin.
const REVIVE_AFTER: Duration = Duration::from_millis(50);

/// Speaks, listens, and says that this node lives.
pub(super) struct RedisBridge {
    shared: Arc<Shared>,
    arbiter: ArbiterHandle,
}

impl RedisBridge {
    pub(super) fn new(shared: Arc<Shared>, arbiter: ArbiterHandle) -> Self {
        Self { shared, arbiter }
    }
}

impl Actor for RedisBridge {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.shared.alive.store(true, Relaxed);
        ctx.spawn(speaking::speak(Arc::clone(&self.shared)).into_actor(self));
        ctx.spawn(listening::listen(Arc::clone(&self.shared)).into_actor(self));
        ctx.spawn(heartbeat::live(Arc::clone(&self.shared)).into_actor(self));
        #[cfg(test)]
        ctx.spawn(super::tests::die_when_told(Arc::clone(&self.shared)).into_actor(self));
    }
}

impl Drop for RedisBridge {
    /// A panic ends an actor for good, and with it the way to the others. Nothing is lost by beginning anew: what
    /// waits stands in what is shared.
    fn drop(&mut self) {
        self.shared.alive.store(false, Relaxed);
        if self.shared.closing.load(Relaxed) {
            return;
        }
        let (shared, arbiter) = (Arc::clone(&self.shared), self.arbiter.clone());
        // With its thread it ends for good.
        self.arbiter.spawn(async move {
            tracing::error!("the bridge to Redis died and is started again");
            tokio::time::sleep(REVIVE_AFTER).await;
            shared.revived.fetch_add(1, Relaxed);
            // What was on its way may or may not have arrived.
            shared.on_the_way.store(0, Relaxed);
            shared.outbound.fail([crate::bus::Topic::Everyone]);
            shared.wishes.renew_all();
            Self::new(shared, arbiter).start();
        });
    }
}
