//! Carries one message: asks how it stands, hands it to a vendor, writes down what came of it.
//!
//! That a vendor is being asked is on disk before it is asked. Whoever finds a message so knows that it may have got
//! through.

use std::sync::Arc;
use std::time::Duration;

use super::body::{JobBody, SendBody};
use super::core::{Next, Verdict};
use super::errand::Errand;
use crate::actors::clock::random;
use crate::domain::ids::RoomId;
use crate::domain::notify::{DeliveryState, Outgoing, Vendor};
use crate::domain::room::{Command, EventBody, Move};
use crate::notify::{Provider, Sent};
use crate::store::{JobThen, JobWrite, Receipt};

/// The longest code of a vendor that is kept, in characters.
const CODE_MAX: usize = 64;
/// When a message is tried again that could not be begun.
const AGAIN: Duration = Duration::from_secs(1);

/// Carries it as far as it goes now; answers when it is to be looked at again.
pub(super) async fn carry(errand: &Errand, mut body: SendBody) -> Option<Duration> {
    match standing(errand, &body).await {
        Ok(Some(state)) => body.state = state,
        // Its incident does not know it: a backup was brought back.
        Ok(None) => return errand.done().await,
        Err(()) => return errand.again(AGAIN, None).await,
    }
    go_on(errand, body).await
}

/// Carries one of which it is on disk already that this vendor is being asked.
pub(super) async fn carry_begun(errand: &Errand, mut body: SendBody, vendor: Vendor) -> Option<Duration> {
    body.state = DeliveryState::Sending;
    match ask_vendor(errand, &mut body, vendor).await? {
        Some(wait) => Some(wait),
        None => go_on(errand, body).await,
    }
}

async fn go_on(errand: &Errand, mut body: SendBody) -> Option<Duration> {
    let shared = &errand.shared;
    loop {
        let now = shared.now();
        let choices = shared.choices(&body.to);
        let state = body.state;
        let next = body
            .progress
            .next(&shared.settings.retry, state, &choices, (now, body.expires_at));
        match next {
            Next::Finish(news) => return finish(errand, &body, news).await,
            Next::Wait(wait) => return errand.again(wait, Some(&kept(&body))).await,
            Next::Send(vendor) => {
                if !errand.has_time_for(shared.settings.timeout * 2) {
                    return errand.again(Duration::ZERO, Some(&kept(&body))).await;
                }
                body.progress.asking(vendor, now);
                if !begin(errand, &mut body, vendor).await? {
                    continue;
                }
                if let Some(wait) = ask_vendor(errand, &mut body, vendor).await? {
                    return Some(wait);
                }
            }
            Next::Search { vendor, since } => {
                let provider = shared.provider(vendor, &body.to)?;
                let found = provider.search(&outgoing(errand, &body), now.since(since)).await;
                let reference = found.clone().ok().flatten();
                let retry = &shared.settings.retry;
                let verdict = body
                    .progress
                    .searched(retry, vendor, found, &choices, shared.now());
                if let Some(wait) = conclude(errand, &mut body, vendor, verdict, reference).await? {
                    return Some(wait);
                }
            }
            Next::Ask { vendor, reference } => {
                let provider = shared.provider(vendor, &body.to)?;
                let answer = provider
                    .ask(&reference)
                    .await
                    .unwrap_or(crate::notify::Asked::Unanswered);
                let retry = &shared.settings.retry;
                let verdict = body.progress.asked(retry, answer, &choices, shared.now());
                if let Some(wait) = conclude(errand, &mut body, vendor, verdict, None).await? {
                    return Some(wait);
                }
            }
        }
    }
}

/// Hands it to the vendor and writes down what came of it. `Some(Some(wait))`: enough for now. `Some(None)`: on with it.
async fn ask_vendor(errand: &Errand, body: &mut SendBody, vendor: Vendor) -> Option<Option<Duration>> {
    let shared = &errand.shared;
    let provider = shared.provider(vendor, &body.to)?;
    let sent = hand_over(errand, body, &provider).await;
    let reference = match &sent {
        Sent::Accepted { reference } => reference.clone(),
        _ => None,
    };
    shared.tally.answered(vendor, &sent);
    let choices = shared.choices(&body.to);
    let answered_at = (shared.now(), u64::from_be_bytes(random()));
    let retry = &shared.settings.retry;
    let verdict = body.progress.sent(retry, vendor, sent, &choices, answered_at);
    if verdict.forget {
        shared.forget(&body.to).await;
    }
    conclude(errand, body, vendor, verdict, reference).await
}

fn kept(body: &SendBody) -> JobBody {
    JobBody::Send(Box::new(body.clone()))
}

fn place<'a>(errand: &'a Errand, body: &SendBody) -> Option<(&'a RoomId, u32)> {
    Some((errand.job.room.as_ref()?, body.notification?))
}

/// How it stands: the log says so, or the job when it belongs to no incident.
async fn standing(errand: &Errand, body: &SendBody) -> Result<Option<DeliveryState>, ()> {
    let Some((room, id)) = place(errand, body) else {
        return Ok(Some(body.state));
    };
    let state = errand.shared.glance(room, move |glimpse| {
        let incident = glimpse.state.incident.as_ref()?;
        incident.told.messages.get(&id).map(|one| one.state)
    });
    match state.await {
        Ok(state) => Ok(state),
        Err(error) => {
            tracing::warn!(%room, %error, "how a message stands cannot be read");
            Err(())
        }
    }
}

/// Nothing is left to be done.
async fn finish(errand: &Errand, body: &SendBody, news: Option<(DeliveryState, &str)>) -> Option<Duration> {
    let done = errand.settle(JobThen::Done, None);
    match (place(errand, body), news) {
        (Some((room, id)), Some((to, code))) => {
            let change = Move {
                id,
                to,
                vendor: None,
                code: Some(code.to_owned()),
                possibly_twice: false,
            };
            let outcome = errand
                .record(room, Command::MoveNotification(change), vec![done])
                .await?;
            errand.shared.follow_up(room, &outcome.events).await;
        }
        _ => {
            errand.write(vec![done]).await;
        }
    }
    None
}

/// Writes down that a vendor is being asked. `Some(false)`: it need not be any more. `None`: that cannot be written, or
/// somebody else has the job.
async fn begin(errand: &Errand, body: &mut SendBody, vendor: Vendor) -> Option<bool> {
    let lease = errand.shared.settings.lease;
    let Some((room, id)) = place(errand, body) else {
        body.state = DeliveryState::Sending;
        let job = errand.settle(JobThen::Keep(lease), Some(&kept(body)));
        return errand.write(vec![job]).await.then_some(true);
    };
    let job = errand.settle(JobThen::Keep(lease), Some(&kept(body)));
    let change = Move {
        id,
        to: DeliveryState::Sending,
        vendor: Some(vendor),
        code: None,
        possibly_twice: body.progress.twice,
    };
    match errand
        .act(room, Command::MoveNotification(change), vec![job], vec![])
        .await
    {
        Ok(outcome) if !outcome.events.is_empty() => {
            body.state = DeliveryState::Sending;
            Some(true)
        }
        Ok(_) => {
            // It stands otherwise than it did a moment ago; or an attempt before was being made.
            let state = standing(errand, body).await.ok()??;
            let goes_on = state == DeliveryState::Sending;
            body.state = state;
            if !goes_on {
                body.progress.stage = super::core::Stage::Here;
            }
            Some(goes_on)
        }
        Err(error) => {
            tracing::warn!(%room, %error, "a message cannot be begun");
            body.progress.stage = super::core::Stage::Here;
            errand.again(AGAIN, Some(&kept(body))).await;
            None
        }
    }
}

fn outgoing(errand: &Errand, body: &SendBody) -> Outgoing {
    Outgoing {
        key: errand.job.key.clone(),
        to: body.to.clone(),
        content: body.content.clone(),
        lane: errand.job.lane,
        ttl: body
            .expires_at
            .since(errand.shared.now())
            .max(Duration::from_secs(1)),
        possibly_twice: body.progress.twice,
    }
}

async fn hand_over(errand: &Errand, body: &SendBody, provider: &Arc<dyn Provider>) -> Sent {
    let patience = errand.shared.settings.timeout + Duration::from_secs(1);
    let message = outgoing(errand, body);
    let sent = tokio::time::timeout(patience, provider.send(&message)).await;
    sent.unwrap_or(Sent::Unknown {
        code: "TIMEOUT".to_owned(),
    })
}

/// Writes down what came of it. `Some(Some(wait))`: enough for now. `Some(None)`: on with it.
async fn conclude(
    errand: &Errand,
    body: &mut SendBody,
    vendor: Vendor,
    verdict: Verdict,
    reference: Option<String>,
) -> Option<Option<Duration>> {
    let shared = &errand.shared;
    shared.health(vendor, verdict.vendor);
    let wait = verdict.wait;
    if let Some((state, _)) = &verdict.news
        && body.state.can_become(*state)
    {
        body.state = *state;
    }
    let ends = body.state.is_final() || (body.state == DeliveryState::Accepted && wait.is_zero());
    let then = if ends {
        JobThen::Done
    } else if wait.is_zero() {
        JobThen::Keep(shared.settings.lease)
    } else {
        JobThen::Release(wait)
    };
    let mut jobs = vec![errand.settle(then, Some(&kept(body)))];
    jobs.extend(reference.map(|reference| {
        JobWrite::Refer(Receipt {
            reference: format!("{}:{reference}", vendor.as_str()),
            room: errand.job.room.clone(),
            notification: body.notification.unwrap_or(0),
            job: errand.job.id,
            at: shared.now(),
        })
    }));
    match (place(errand, body), verdict.news) {
        (Some((room, id)), Some((to, code))) => {
            let change = Move {
                id,
                to,
                vendor: Some(vendor),
                code: code.map(|code| code.chars().take(CODE_MAX).collect()),
                possibly_twice: body.progress.twice,
            };
            let outcome = errand
                .record(room, Command::MoveNotification(change), jobs)
                .await?;
            shared.follow_up(room, &outcome.events).await;
            let accepted = |body: &EventBody| matches!(body, EventBody::NotificationMoved(change) if change.to == DeliveryState::Accepted);
            if outcome.events.iter().any(|event| accepted(&event.body)) {
                shared.handed_over(errand, body).await;
            }
        }
        (None, Some((to, _))) => {
            if !errand.write(jobs).await {
                return None;
            }
            if to == DeliveryState::Accepted {
                shared.handed_over(errand, body).await;
            }
        }
        (_, None) => {
            if !errand.write(jobs).await {
                return None;
            }
        }
    }
    Some(match then {
        JobThen::Done => return None,
        JobThen::Keep(_) => None,
        JobThen::Release(wait) => Some(wait),
    })
}
