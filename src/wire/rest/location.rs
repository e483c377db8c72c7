//! Uploads of positions: one, or many that were queued while offline. As hot as the socket's
//! `location-update`, so read in one pass like it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::body::{self, BodyError, FieldError};
use crate::domain::geo::Fix;
use crate::domain::ids::RoomId;
use crate::wire::Reading;
use crate::wire::field::{self, Checked, FixFields, NOTE_MAX_CHARS, Problem};
use crate::wire::loose::Loose;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Raw<'a> {
    #[serde(borrow)]
    latitude: Loose<'a>,
    #[serde(borrow)]
    longitude: Loose<'a>,
    #[serde(borrow)]
    timestamp: Loose<'a>,
    #[serde(borrow)]
    accuracy: Loose<'a>,
    #[serde(borrow)]
    speed: Loose<'a>,
    #[serde(borrow)]
    heading: Loose<'a>,
    #[serde(borrow)]
    formatted_location: Loose<'a>,
    #[serde(borrow)]
    room_id: Loose<'a>,
}

/// `POST /api/location`, `POST /sos/{id}/location`
#[derive(Clone, Debug, PartialEq)]
pub struct LocationBody {
    /// Where, and when it was measured.
    pub fix: Fix,
    /// The place, for a person.
    pub formatted_location: Option<String>,
    /// Only there; without: every room that the sender is in.
    pub room: Option<RoomId>,
}

impl LocationBody {
    /// Reads the body.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(body: &[u8], reading: &Reading) -> Result<Self, BodyError> {
        body::insist_on_object(body)?;
        let raw: Raw<'_> = serde_json::from_slice(body)?;
        raw.body(reading)
            .map_err(|_| BodyError::Fields(raw.errors(reading)))
    }
}

impl Raw<'_> {
    fn body(&self, reading: &Reading) -> Checked<LocationBody> {
        Ok(LocationBody {
            fix: self.fix().timed(reading)?,
            formatted_location: self.formatted_location()?,
            room: self.room()?,
        })
    }

    /// Reads all of it again for the sake of every error: only what is wrong pays for that.
    fn errors(&self, reading: &Reading) -> Vec<FieldError> {
        let mut problems: Vec<Problem> = self.fix().problems(reading);
        problems.extend(self.formatted_location().err());
        problems.extend(self.room().err());
        problems
            .into_iter()
            .map(|problem| FieldError::at("", problem))
            .collect()
    }

    fn fix(&self) -> FixFields<'_, '_> {
        FixFields {
            latitude: &self.latitude,
            longitude: &self.longitude,
            accuracy: &self.accuracy,
            speed: &self.speed,
            heading: &self.heading,
            timestamp: &self.timestamp,
        }
    }

    fn formatted_location(&self) -> Checked<Option<String>> {
        field::note("formattedLocation", &self.formatted_location, NOTE_MAX_CHARS)
    }

    fn room(&self) -> Checked<Option<RoomId>> {
        field::parsed("roomId", &self.room_id, |id| RoomId::new(id))
    }
}

/// `POST /api/location/batch`: what can be read is taken, what cannot is answered by its place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// With their places in the upload.
    pub accepted: Vec<(usize, LocationBody)>,
    /// Those that cannot be read.
    pub rejected: Vec<RejectedFix>,
}

/// A fix of a batch that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RejectedFix {
    /// Its place in the upload, from 0.
    pub index: usize,
    /// Why; names the field.
    pub error: String,
}

#[derive(Deserialize)]
struct RawBatch<'a> {
    #[serde(borrow)]
    fixes: Option<Vec<&'a RawValue>>,
}

impl Batch {
    /// Reads the body, which may hold at most `max` fixes.
    ///
    /// # Errors
    /// When there is no list of fixes, or a longer one. Fixes that are wrong are not errors of the batch.
    pub fn parse(body: &[u8], reading: &Reading, max: usize) -> Result<Self, BodyError> {
        body::insist_on_object(body)?;
        let raw: RawBatch<'_> = serde_json::from_slice(body).map_err(|error| match error.classify() {
            Category::Data => no_list(max),
            _ => BodyError::from(error),
        })?;
        let fixes = raw
            .fixes
            .filter(|fixes| fixes.len() <= max)
            .ok_or_else(|| no_list(max))?;
        let mut batch = Self::default();
        for (index, fix) in fixes.iter().enumerate() {
            match LocationBody::parse(fix.get().as_bytes(), reading) {
                Ok(body) => batch.accepted.push((index, body)),
                Err(BodyError::Fields(errors)) => batch.reject(index, &join(&errors)),
                Err(BodyError::Json(_)) => batch.reject(index, "a fix must be a JSON object"),
            }
        }
        Ok(batch)
    }

    fn reject(&mut self, index: usize, error: &str) {
        self.rejected.push(RejectedFix {
            index,
            error: error.to_owned(),
        });
    }
}

fn join(errors: &[FieldError]) -> String {
    errors
        .iter()
        .map(|error| error.message.as_str())
        .collect::<Vec<_>>()
        .join("; ")
}

fn no_list(max: usize) -> BodyError {
    let problem = Problem::wants("fixes", format_args!("a list of at most {max} fixes"));
    BodyError::Fields(vec![FieldError::at("", problem)])
}
