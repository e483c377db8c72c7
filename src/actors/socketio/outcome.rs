//! What became of what a client asked for, and how it is told.

use crate::actors::error::CommandError;
use crate::domain::ids::{MessageId, RoomId};
use crate::domain::room::{Rejection, Seq};
use crate::wire::incident::{self, ClientError, Word, code_for};

/// It was done.
#[derive(Debug)]
pub(super) struct Done {
    pub sos: Option<RoomId>,
    pub seq: Option<Seq>,
    pub id: Option<MessageId>,
    /// What the client is told besides.
    pub word: Option<Word>,
}

impl Done {
    pub fn at(sos: &RoomId, seq: Seq) -> Self {
        Self {
            seq: Some(seq),
            ..Self::of(sos)
        }
    }

    pub fn of(sos: &RoomId) -> Self {
        Self {
            sos: Some(sos.clone()),
            ..Self::nothing()
        }
    }

    /// Nothing that has a place.
    pub fn nothing() -> Self {
        Self {
            sos: None,
            seq: None,
            id: None,
            word: None,
        }
    }

    pub fn saying(word: Word) -> Self {
        Self {
            word: Some(word),
            ..Self::nothing()
        }
    }

    /// The one argument of the acknowledgement.
    pub fn ack(&self) -> String {
        match &self.sos {
            Some(sos) => incident::ack_ok(sos, self.seq, self.id.as_ref()),
            None => "{\"success\":true}".to_owned(),
        }
    }
}

/// It was not done.
#[derive(Debug)]
pub(super) struct Refused {
    pub code: &'static str,
    pub message: String,
    pub field: Option<&'static str>,
}

impl Refused {
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            field: None,
        }
    }

    /// The incident is where it was to be moved to, or further.
    pub fn is_no_move(&self) -> bool {
        self.code == incident::INVALID_STATUS_DATA
    }

    pub fn word(&self) -> Word {
        incident::error(self.code, &self.message, self.field)
    }

    /// The one argument of the acknowledgement.
    pub fn ack(&self) -> String {
        incident::ack_error(self.code, &self.message, self.field)
    }
}

impl From<ClientError> for Refused {
    fn from(error: ClientError) -> Self {
        Self {
            code: error.code,
            message: error.message,
            field: error.field,
        }
    }
}

impl From<CommandError> for Refused {
    fn from(error: CommandError) -> Self {
        let field = matches!(
            error,
            CommandError::Rejected(Rejection::NotFound | Rejection::WrongKind)
        )
        .then_some("sosId");
        Self {
            code: code_for(error.code()),
            message: error.to_string(),
            field,
        }
    }
}

impl From<Rejection> for Refused {
    fn from(rejection: Rejection) -> Self {
        CommandError::from(rejection).into()
    }
}
