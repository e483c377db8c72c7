//! `GET {sos_service}/internal/sos/{id}`.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::header::ACCEPT;

use super::{INTERNAL_TOKEN, Sister, retry_after, trouble};
use crate::actors::lookup::{Answer, Known, SosService, Trouble};
use crate::domain::ids::RoomId;
use crate::wire::rest::SosAnswer;

#[async_trait]
impl SosService for Sister {
    async fn find(&self, sos: &RoomId, patience: Duration) -> Result<Answer, Trouble> {
        // An id of dots alone would be a step in the path: it is nobody's.
        if sos.as_str().bytes().all(|byte| byte == b'.') {
            return Ok(Answer::Absent);
        }
        let request = self
            .client
            .get(self.at(&["internal", "sos", sos.as_str()]))
            .header(INTERNAL_TOKEN, self.token.clone())
            .header(ACCEPT, "application/json")
            .timeout(patience);
        let answer = request.send().await.map_err(trouble)?;
        match answer.status().as_u16() {
            200 => {
                let Some(body) = self.body(answer).await? else {
                    return Ok(Answer::Unusable);
                };
                Ok(match SosAnswer::parse(&body, sos) {
                    Ok(known) => Answer::There(Box::new(Known {
                        citizen: known.citizen,
                        report: known.report,
                        status: known.status,
                    })),
                    Err(error) => {
                        // Which field is wrong, and not what is in it.
                        tracing::warn!(%sos, fields = ?error.fields().iter().map(|f| &f.field).collect::<Vec<_>>(),
                            code = error.code(), "an answer of the SOS service cannot be read");
                        Answer::Unusable
                    }
                })
            }
            404 => Ok(Answer::Absent),
            status => Err(Trouble::Refused {
                status,
                after: retry_after(&answer),
            }),
        }
    }
}
