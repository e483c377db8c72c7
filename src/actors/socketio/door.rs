//! Who may sit down in a namespace. The layer above knows credentials; here only what came of them is known.

use std::any::Any;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;

use crate::actors::pass::Pass;
use crate::actors::session::Credential;
use crate::domain::people::Subject;
use crate::wire::socketio::{ConnectError, Json, Namespace};

/// Somebody may sit down.
pub struct Admitted {
    /// Who, and how long.
    pub credential: Credential,
    /// What it may cost.
    pub pass: Arc<dyn Pass>,
    /// Dropped when they are gone.
    pub guard: Box<dyn Any + Send>,
}

/// Judges those who want into a namespace, of one connection.
pub trait Door {
    /// Whether somebody may, who shows this object. Takes a bounded time.
    fn admit(
        &self,
        namespace: &Namespace,
        auth: &Json,
    ) -> LocalBoxFuture<'static, Result<Admitted, ConnectError>>;

    /// The secret by which `whose` client can come back to the seat that others know as `sid`; on any node, and after a
    /// restart.
    fn pid(&self, namespace: &Namespace, whose: &Subject, sid: &str) -> String;

    /// The `sid` of a secret that this client was given.
    fn sid_of(&self, namespace: &Namespace, whose: &Subject, pid: &str) -> Option<String>;
}
