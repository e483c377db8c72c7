//! What those answer who were told of an incident while they were not connected.

use super::Engine;
use crate::actors::error::CommandError;
use crate::actors::notify::{Heard, acknowledge};
use crate::domain::ids::{ParticipantId, RoomId};
use crate::domain::room::Means;

impl Engine {
    /// Somebody whom an incident knows says that they act. Said again it changes nothing.
    ///
    /// # Errors
    /// When it could not be written down.
    pub async fn acknowledge_for(
        &self,
        room: &RoomId,
        who: ParticipantId,
        means: Means,
    ) -> Result<Heard, CommandError> {
        acknowledge(&self.node, room, who, means).await
    }
}
