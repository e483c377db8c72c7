//! What Redis sends without being asked. Called by the connection itself, so nothing here waits.

use std::sync::Arc;

use redis::{PushInfo, PushKind, Value};

use crate::bus::redis::{Channels, Inbound, Push, Subscriptions};

/// Hands messages on, and notes which topics are listened to.
pub(super) fn push(channels: Channels, wishes: Arc<Subscriptions>, inbound: Arc<Inbound>) -> Push {
    Arc::new(move |info: PushInfo| {
        let mut data = info.data.into_iter();
        let Some(topic) = data.next().and_then(bytes).and_then(|name| channels.topic(&name)) else {
            return;
        };
        match info.kind {
            PushKind::Message | PushKind::SMessage => {
                if let Some(message) = data.next().and_then(bytes) {
                    inbound.heard(topic, message);
                }
            }
            // Also when the connection renewed it by itself, after a node of a cluster was lost.
            PushKind::Subscribe | PushKind::SSubscribe if wishes.confirm(&topic) => {
                inbound.listening(topic);
            }
            // Either we wished so, and it is on no list any more; or its slot moved to another node of the cluster.
            PushKind::Unsubscribe | PushKind::SUnsubscribe => wishes.renew([topic]),
            _ => {}
        }
    })
}

fn bytes(value: Value) -> Option<Vec<u8>> {
    match value {
        Value::BulkString(bytes) => Some(bytes),
        Value::SimpleString(text) => Some(text.into_bytes()),
        _ => None,
    }
}
