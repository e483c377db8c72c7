//! What vendors call back with comes in here.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;

use super::Notifier;
use crate::notify::callback::{News, NewsSink, NotTaken, Reply};

/// News that are looked up at once: those of messages that nobody knows are looked for a while.
const AT_ONCE: usize = 256;

#[async_trait]
impl NewsSink for Notifier {
    async fn news(&self, news: Vec<News>) -> Result<(), NotTaken> {
        let told = stream::iter(news)
            .map(|one| async move { Notifier::news(self, &one.reference, one.state, one.code).await })
            .buffer_unordered(AT_ONCE);
        // One that cannot be written keeps no other from it; the vendor tells all of them again.
        let failed = told
            .fold(None, |failed, outcome| async { failed.or(outcome.err()) })
            .await;
        match failed {
            None => Ok(()),
            Some(error) => {
                tracing::warn!(%error, "a vendor's news cannot be taken now");
                Err(NotTaken)
            }
        }
    }

    async fn reply(&self, reply: Reply) -> Result<(), NotTaken> {
        match Notifier::reply(self, &reply.from, &reply.text).await {
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, channel = reply.channel.as_str(), "an answer cannot be taken now");
                Err(NotTaken)
            }
        }
    }
}
