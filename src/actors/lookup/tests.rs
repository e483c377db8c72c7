use std::collections::VecDeque;

use super::*;
use crate::domain::breaker::Stand;
use crate::domain::ids::UserId;
use crate::domain::testing::report;

/// Says what it was told to say, in order, and then nothing in time.
struct Script(Mutex<VecDeque<Result<Answer, Trouble>>>, AtomicU64);

#[async_trait]
impl SosService for Script {
    async fn find(&self, _: &RoomId, _: Duration) -> Result<Answer, Trouble> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let next = self.0.lock().pop_front();
        match next {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn settings() -> LookupSettings {
    LookupSettings {
        shapes: vec![IdShape::Any],
        ask: AskSettings {
            timeout: Duration::from_millis(20),
            deadline: Duration::from_millis(200),
            tries: 3,
            pause: Duration::from_millis(1),
            at_once: 2,
            breaker_failures: 5,
            breaker_rest: Duration::from_secs(60),
        },
        remembered: 10,
        absent_for: Duration::from_secs(60),
        found_for: Duration::from_secs(60),
    }
}

fn lookups(script: Vec<Result<Answer, Trouble>>, settings: LookupSettings) -> (Lookups, Arc<Script>) {
    let script = Arc::new(Script(Mutex::new(script.into()), AtomicU64::new(0)));
    (Lookups::new(Arc::clone(&script) as _, settings), script)
}

fn sos(name: &str) -> RoomId {
    RoomId::new(name).unwrap()
}

fn there(status: Status) -> Answer {
    Answer::There(Box::new(Known {
        citizen: Subject::User(UserId::new("ana").unwrap()),
        report: report(),
        status,
    }))
}

fn broken() -> Result<Answer, Trouble> {
    Err(Trouble::Unreachable("gone".into()))
}

#[tokio::test]
async fn an_answer_is_asked_for_once_and_then_remembered() {
    let script = vec![
        Ok(Answer::Absent),
        Ok(there(Status::Arrived)),
        Ok(there(Status::Closed)),
    ];
    let (lookups, script) = lookups(script, settings());
    for _ in 0..3 {
        assert_eq!(lookups.find(&sos("none")).await, Found::Absent);
        assert!(
            matches!(lookups.find(&sos("open")).await, Found::Open(known) if known.status == Status::Arrived)
        );
        assert_eq!(lookups.find(&sos("over")).await, Found::Over);
    }
    assert_eq!(script.1.load(Ordering::Relaxed), 3);
    assert_eq!(lookups.remembered(), (3, 10));
}

#[tokio::test]
async fn what_fails_is_tried_again_and_what_cannot_be_understood_is_not() {
    let (lookups, script) = lookups(
        vec![broken(), broken(), Ok(Answer::Absent), Ok(Answer::Unusable)],
        settings(),
    );
    assert_eq!(lookups.find(&sos("one")).await, Found::Absent);
    for _ in 0..2 {
        assert!(
            matches!(lookups.find(&sos("two")).await, Found::Away(_)),
            "it is remembered"
        );
    }
    assert_eq!(script.1.load(Ordering::Relaxed), 4);
    assert_eq!(lookups.asking().stand(), Stand::Closed);
}

#[tokio::test]
async fn a_service_that_stays_away_is_left_alone_and_never_means_that_there_is_none() {
    let (lookups, script) = lookups(vec![], settings());
    for name in ["one", "two", "three", "four"] {
        assert!(matches!(lookups.find(&sos(name)).await, Found::Away(_)));
    }
    assert_eq!(lookups.asking().stand(), Stand::Open);
    assert_eq!(script.1.load(Ordering::Relaxed), 5, "then nobody asked any more");
}

#[tokio::test]
async fn who_is_told_to_come_back_later_than_anybody_waits_says_so() {
    let refused = Trouble::Refused {
        status: 429,
        after: Some(Duration::from_secs(7)),
    };
    let (lookups, script) = lookups(vec![Err(refused)], settings());
    assert_eq!(
        lookups.find(&sos("one")).await,
        Found::Away(Duration::from_secs(7))
    );
    assert_eq!(script.1.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn only_so_many_ask_at_once() {
    let (lookups, script) = lookups(vec![], settings());
    let names: Vec<_> = (0..5).map(|n| sos(&format!("sos-{n}"))).collect();
    let asked = futures_util::future::join_all(names.iter().map(|name| lookups.find(name))).await;
    assert!(asked.iter().all(|found| matches!(found, Found::Away(_))));
    assert!(lookups.asking().counts().refused.load(Ordering::Relaxed) >= 3);
    assert!(script.1.load(Ordering::Relaxed) <= 6);
    assert_eq!(lookups.asking().on_their_way(), 0);
}

#[test]
fn ids_are_known_by_their_shape() {
    for (shape, id, fits) in [
        ("uuid", "0b8f9d4e-6a53-4c1f-9a77-3d2f1e5c8b60", true),
        ("uuid", "0b8f9d4e6a534c1f9a773d2f1e5c8b60", false),
        ("uuid", "0b8f9d4e-6a53-4c1f-9a77-3d2f1e5c8b6x", false),
        ("objectid", "507f1f77bcf86cd799439011", true),
        ("objectid", "507f1f77bcf86cd79943901", false),
        ("number", "4711", true),
        ("number", "4711a", false),
        ("any", "whatever", true),
    ] {
        assert_eq!(IdShape::parse(shape).unwrap().fits(id), fits, "{shape} {id}");
    }
    assert_eq!(IdShape::parse("UUID"), None);
}
