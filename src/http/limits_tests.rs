use super::*;
use std::net::IpAddr;

use crate::domain::ids::{DeviceId, ServiceName, UserId};
use crate::domain::people::Identity;
use actix_web::ResponseError;
use governor::clock::FakeRelativeClock;

fn device(n: u8) -> Caller {
    Caller::new(Identity::device(DeviceId::from_random([n; 16])), None)
}

fn person(subject: Subject, role: Role) -> Caller {
    Caller::new(
        Identity {
            subject,
            role,
            ..Identity::device(DeviceId::from_random([0; 16]))
        },
        None,
    )
}

fn user(id: &str) -> Caller {
    person(Subject::User(UserId::new(id).unwrap()), Role::Citizen)
}

fn address(last: u8) -> Option<Address> {
    Some(IpAddr::from([192, 0, 2, last]).into())
}

fn limits(change: impl FnOnce(&mut Settings)) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
    let clock = FakeRelativeClock::default();
    let mut settings = Settings::default();
    change(&mut settings);
    (Limits::with_clock(&settings, &clock), clock)
}

fn passed<C: Clock + Clone>(limits: &Limits<C>, class: Class, payer: &Payer, tries: usize) -> usize {
    (0..tries).filter(|_| limits.charge(class, payer).is_ok()).count()
}

#[test]
fn a_device_raises_five_incidents_then_waits_for_its_turn() {
    let (limits, clock) = limits(|_| {});
    let payer = limits.payer(Some(&device(1)), address(1));
    let first = limits.charge(Class::Sos, &payer).unwrap().unwrap();
    assert_eq!(
        first,
        Budget {
            limit: 5,
            remaining: 4,
            reset: Duration::from_secs(720)
        }
    );
    assert_eq!(passed(&limits, Class::Sos, &payer, 10), 4);
    let spent = limits.charge(Class::Sos, &payer).unwrap_err();
    assert_eq!(spent.retry_after, Duration::from_secs(720));
    assert_eq!(
        spent.budget,
        Budget {
            limit: 5,
            remaining: 0,
            reset: HOUR
        }
    );
    clock.advance(Duration::from_secs(719));
    assert!(limits.charge(Class::Sos, &payer).is_err());
    clock.advance(Duration::from_secs(1));
    assert!(limits.charge(Class::Sos, &payer).is_ok());
    assert_eq!(
        passed(
            &limits,
            Class::Sos,
            &limits.payer(Some(&device(2)), address(1)),
            10
        ),
        5
    );
}

#[test]
fn ordinary_traffic_does_not_starve_an_sos_or_a_position() {
    let (limits, _) = limits(|_| {});
    let payer = limits.payer(Some(&device(1)), address(1));
    assert_eq!(passed(&limits, Class::General, &payer, 500), 100);
    assert_eq!(passed(&limits, Class::Locations, &payer, 500), 180);
    assert_eq!(passed(&limits, Class::Sos, &payer, 500), 5);
}

#[test]
fn users_have_more_and_services_have_no_limit() {
    let (limits, _) = limits(|_| {});
    let payer = limits.payer(Some(&user("ana")), address(1));
    assert_eq!(passed(&limits, Class::General, &payer, 5_000), 1_000);
    assert_eq!(passed(&limits, Class::Sos, &payer, 5_000), 30);
    let service = person(Subject::Service(ServiceName::new("s").unwrap()), Role::Admin);
    assert_eq!(
        passed(&limits, Class::Sos, &limits.payer(Some(&service), None), 5_000),
        5_000
    );
}

#[test]
fn who_does_not_say_who_they_are_pays_by_address() {
    let (limits, _) = limits(|_| {});
    assert_eq!(
        passed(&limits, Class::General, &limits.payer(None, address(1)), 500),
        100
    );
    assert_eq!(
        passed(&limits, Class::General, &limits.payer(None, address(1)), 500),
        0
    );
    assert_eq!(
        passed(&limits, Class::General, &limits.payer(None, address(2)), 500),
        100
    );
    assert_eq!(
        passed(
            &limits,
            Class::General,
            &limits.payer(Some(&device(1)), address(1)),
            500
        ),
        100
    );
}

#[test]
fn zero_is_no_limit() {
    let (limits, _) = limits(|settings| {
        settings.sos_per_hour = 0;
        settings.anon_requests = 0;
        settings.locations_per_minute = 0;
    });
    let payer = limits.payer(Some(&device(1)), address(1));
    for class in [Class::General, Class::Sos, Class::Locations] {
        assert_eq!(passed(&limits, class, &payer, 5_000), 5_000);
        assert_eq!(limits.charge(class, &payer), Ok(None));
    }
}

#[test]
fn memory_is_bounded_and_those_who_are_known_keep_their_budgets() {
    let (limits, clock) = limits(|settings| settings.keys_max = 10);
    let known = limits.payer(Some(&device(0)), address(0));
    assert!(limits.charge(Class::Sos, &known).is_ok());
    for n in 1..=255 {
        let _ = limits.charge(Class::Sos, &limits.payer(Some(&device(n)), address(7)));
    }
    assert!(limits.keys() <= 11, "{}", limits.keys());
    let newcomer = limits.payer(Some(&user("x")), address(7));
    assert_eq!(
        passed(&limits, Class::Sos, &newcomer, 1),
        1,
        "users have a map of their own"
    );
    assert_eq!(
        passed(&limits, Class::Sos, &limits.payer(None, address(7)), 9),
        0,
        "newcomers share one budget"
    );
    assert_eq!(passed(&limits, Class::Sos, &known, 9), 4);

    clock.advance(HOUR * 2);
    limits.sweep();
    assert_eq!(limits.keys(), 0);
    assert_eq!(passed(&limits, Class::Sos, &limits.payer(None, address(7)), 9), 5);
}

#[test]
fn the_refusal_tells_when_to_come_back() {
    let (limits, _) = limits(|settings| settings.sos_per_hour = 1);
    let payer = limits.payer(None, address(1));
    limits.charge(Class::Sos, &payer).unwrap();
    let response = ApiError::from(limits.charge(Class::Sos, &payer).unwrap_err()).error_response();
    assert_eq!(response.status(), 429);
    for (name, value) in [
        ("retry-after", "3600"),
        ("ratelimit-limit", "1"),
        ("ratelimit-remaining", "0"),
        ("ratelimit-reset", "3600"),
    ] {
        assert_eq!(response.headers().get(name).unwrap(), value, "{name}");
    }
}
