//! A check-in whose time has come: whoever asked for it is reminded, and when nobody hears of them it becomes an SOS.

use std::time::Duration;

use super::body::{JobBody, SendBody};
use super::core::Progress;
use super::errand::Errand;
use super::{Shared, incident};
use crate::actors::check_ins::{Looked, Reminder};
use crate::domain::notify::{Content, DeliveryState, Destination, Lane, Locale, Occasion};
use crate::store::{JobId, JobThen, JobWrite, NewJob};

/// When one that could not be looked at is looked at again.
const AGAIN: Duration = Duration::from_secs(1);

/// Looks at it; answers when to look again.
pub(super) async fn look(errand: &Errand, id: &str) -> Option<Duration> {
    let shared = &errand.shared;
    let looked = match shared.node() {
        Ok(node) => node.look_at_check_in(id).await,
        Err(error) => Err(error),
    };
    match looked {
        Ok(Looked::Over) => errand.done().await,
        Ok(Looked::Wait(wait)) => errand.again(wait, None).await,
        Ok(Looked::Raised) => {
            shared.tally.check_in_raised();
            errand.done().await
        }
        Ok(Looked::Remind(reminder, wait)) => {
            let mut jobs = reminders(shared, id, &reminder).await;
            jobs.push(errand.settle(JobThen::Release(wait), None));
            errand.write(jobs).await.then_some(wait)
        }
        Err(error) => {
            tracing::error!(%error, "a check-in cannot be looked at");
            errand.again(AGAIN, None).await
        }
    }
}

/// To their devices, or to their number where none is known. Named by the check-in: a node that takes this over reminds
/// nobody twice.
async fn reminders(shared: &Shared, id: &str, reminder: &Reminder) -> Vec<JobWrite> {
    let mut to = shared.pushed_to(&reminder.whose).await;
    to.extend(reminder.phone.iter().cloned().map(Destination::Sms));
    to.retain(|to| shared.carries(to));
    let pushed = to.iter().any(|to| !matches!(to, Destination::Sms(_)));
    to.retain(|to| !pushed || !matches!(to, Destination::Sms(_)));
    let minutes = reminder.left.as_secs().div_ceil(60).to_string();
    let jobs = (1..).zip(to).map(|(n, to)| {
        let key = format!("remind-{n}-{id}");
        let body = SendBody {
            notification: None,
            state: DeliveryState::Pending,
            to,
            content: Content {
                occasion: Occasion::CheckInDue,
                locale: Locale::default(),
                drill: false,
                values: [("minutes".to_owned(), minutes.clone())].into(),
            },
            raised_at: None,
            expires_at: reminder.ends_at,
            progress: Progress::default(),
        };
        JobWrite::Add(NewJob {
            id: JobId::from_random(incident::bits(&key)),
            key,
            lane: Lane::Sos,
            room: None,
            whose: Some(reminder.whose.clone()),
            after: Duration::ZERO,
            body: JobBody::Send(Box::new(body)).encode(),
        })
    });
    jobs.collect()
}
