//! What a connection was let in with: whoever opened the door knows where it came from and what it may cost.

use std::time::Duration;

use crate::domain::geo::Position;
use crate::domain::ids::{ParticipantId, RoomId};

/// Asked and told by a connection's session. An implementation only counts and remembers; it never waits.
pub trait Pass: Send + Sync + 'static {
    /// Whether one more incident may be raised now.
    ///
    /// # Errors
    /// How long to wait.
    fn raise(&self) -> Result<(), Duration> {
        Ok(())
    }

    /// Whether one more circle may be made now.
    ///
    /// # Errors
    /// How long to wait.
    fn create_room(&self) -> Result<(), Duration> {
        Ok(())
    }

    /// Whether another service may be asked now for an incident that is not known here.
    ///
    /// # Errors
    /// How long to wait.
    fn look_up(&self) -> Result<(), Duration> {
        Ok(())
    }

    /// An incident was raised.
    fn raised(&self, sos: &RoomId, position: Option<Position>) {
        let _ = (sos, position);
    }

    /// They sit in an incident, as `who`.
    fn joined(&self, sos: &RoomId, who: ParticipantId) {
        let _ = (sos, who);
    }
}

/// Costs nothing and remembers nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct FreePass;

impl Pass for FreePass {}
