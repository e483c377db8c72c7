use super::*;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::ids::{DeviceId, ServiceName, UserId};
use crate::domain::people::Identity;
use crate::http::error::ApiError;
use actix_web::ResponseError;

/// A clock that stands still until it is told to move.
#[derive(Clone, Default)]
struct Hand(Arc<AtomicU64>);

impl Hand {
    fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap();
        self.0.fetch_add(by, Ordering::Relaxed);
    }
}

fn device(n: u32) -> Caller {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    Caller::new(Identity::device(DeviceId::from_random(bytes)), None)
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

fn limits(change: impl FnOnce(&mut Settings)) -> (Limits, Hand) {
    let mut settings = Settings::default();
    change(&mut settings);
    let hand = Hand::default();
    let read = hand.clone();
    let clock = Arc::new(move || Duration::from_nanos(read.0.load(Ordering::Relaxed)));
    (Limits::with_clock(&settings, 1, clock), hand)
}

fn passed(limits: &Limits, class: Class, payer: &Payer, tries: usize) -> usize {
    (0..tries).filter(|_| limits.charge(class, payer).is_ok()).count()
}

fn raised(limits: &Limits, payer: &Payer, tries: usize) -> usize {
    (0..tries).filter(|_| limits.charge_sos(payer).is_ok()).count()
}

#[test]
fn a_device_raises_five_incidents_then_waits_for_its_turn() {
    let (limits, clock) = limits(|_| {});
    let payer = limits.payer(Some(&device(1)), address(1));
    let first = limits.charge_sos(&payer).unwrap();
    let budget = |remaining, reset, wait| Budget {
        limit: 5,
        remaining,
        reset: Duration::from_secs(reset),
        wait: Duration::from_secs(wait),
    };
    assert_eq!(
        (first.budget, first.over_address),
        (Some(budget(4, 720, 0)), false)
    );
    assert_eq!(raised(&limits, &payer, 10), 4);
    let spent = limits.charge_sos(&payer).unwrap_err();
    assert_eq!((spent.budget, spent.scope), (budget(0, 3_600, 720), Scope::Own));
    clock.advance(Duration::from_secs(719));
    assert!(limits.charge_sos(&payer).is_err());
    clock.advance(Duration::from_secs(1));
    assert!(limits.charge_sos(&payer).is_ok());
    assert_eq!(
        raised(&limits, &limits.payer(Some(&device(2)), address(1)), 10),
        5
    );
}

#[test]
fn ordinary_traffic_does_not_starve_an_sos_or_a_position() {
    let (limits, _) = limits(|_| {});
    let payer = limits.payer(Some(&device(1)), address(1));
    for (class, budget) in [
        (Class::General, 100),
        (Class::Writes, 100),
        (Class::Locations, 180),
        (Class::Devices, 20),
        (Class::Connects, 120),
        (Class::Reports, 20),
    ] {
        assert_eq!(passed(&limits, class, &payer, 500), budget, "{class:?}");
    }
    assert_eq!(raised(&limits, &payer, 500), 5);
}

#[test]
fn users_have_more_and_services_have_no_limit() {
    let (limits, _) = limits(|_| {});
    let payer = limits.payer(Some(&user("ana")), address(1));
    assert_eq!(passed(&limits, Class::General, &payer, 5_000), 1_000);
    assert_eq!(raised(&limits, &payer, 5_000), 30);
    let service = person(Subject::Service(ServiceName::new("s").unwrap()), Role::Admin);
    assert_eq!(raised(&limits, &limits.payer(Some(&service), None), 5_000), 5_000);
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
        settings.address_sos_per_hour = 0;
        settings.address_sos_max_per_hour = 0;
        settings.anon_requests = 0;
        settings.address_requests = 0;
        settings.locations_per_minute = 0;
        settings.address_locations_per_minute = 0;
    });
    let payer = limits.payer(Some(&device(1)), address(1));
    for class in [Class::General, Class::Locations] {
        assert_eq!(passed(&limits, class, &payer, 5_000), 5_000);
        assert_eq!(limits.charge(class, &payer), Ok(None));
    }
    assert_eq!(raised(&limits, &payer, 5_000), 5_000);
    assert_eq!(limits.keys(), 0);
}

/// So many requests, each by a device of its own.
fn flood(limits: &Limits, class: Class, from: Option<Address>, devices: std::ops::Range<u32>) -> usize {
    let one = |n: &u32| {
        limits
            .charge(class, &limits.payer(Some(&device(*n)), from))
            .is_ok()
    };
    devices.filter(one).count()
}

#[test]
fn a_new_device_id_for_each_request_meets_the_budget_of_the_address() {
    let (limits, clock) = limits(|settings| settings.address_requests = 1_000);
    assert_eq!(flood(&limits, Class::General, address(1), 0..5_000), 1_000);
    let refused = limits.payer(Some(&device(9_000)), address(1));
    let spent = limits.charge(Class::General, &refused).unwrap_err();
    assert_eq!((spent.scope, spent.budget.limit), (Scope::Address, 1_000));
    assert!(spent.budget.wait > Duration::ZERO && spent.budget.wait <= Duration::from_secs(1));
    // Neighbours elsewhere, and whoever has an account, do not notice.
    assert_eq!(flood(&limits, Class::General, address(2), 0..100), 100);
    let ana = limits.payer(Some(&user("ana")), address(1));
    assert_eq!(passed(&limits, Class::General, &ana, 5_000), 1_000);
    // Nor do other classes, of which an SOS is one.
    assert_eq!(raised(&limits, &refused, 1), 1);
    clock.advance(Duration::from_millis(900));
    assert!(limits.charge(Class::General, &refused).is_ok());
}

#[test]
fn what_is_refused_costs_neither_the_device_nor_its_address() {
    let (limits, clock) = limits(|settings| {
        settings.anon_requests = 10;
        settings.address_requests = 20;
    });
    // One rude device does not spend what its neighbours share.
    let rude = limits.payer(Some(&device(1)), address(1));
    assert_eq!(passed(&limits, Class::General, &rude, 10_000), 10);
    let neighbour = limits.payer(Some(&device(2)), address(1));
    assert_eq!(passed(&limits, Class::General, &neighbour, 10_000), 10);
    // And whom their address stops keeps what is their own.
    let third = limits.payer(Some(&device(3)), address(1));
    assert_eq!(passed(&limits, Class::General, &third, 10_000), 0);
    clock.advance(Duration::from_secs(450));
    assert_eq!(passed(&limits, Class::General, &third, 10_000), 10);
}

fn ipv6(site: u16, subnet: u16) -> Option<Address> {
    let text = format!("2001:db8:{site:x}:{subnet:x}::1");
    Some(text.parse::<IpAddr>().unwrap().into())
}

#[test]
fn a_new_ipv6_network_for_each_request_meets_the_budget_of_the_48() {
    let (limits, _) = limits(|settings| {
        settings.address_requests = 10;
        settings.site_factor = 4;
    });
    let ask = |site, n: u16| {
        let payer = limits.payer(Some(&device(n.into())), ipv6(site, n));
        limits.charge(Class::General, &payer).is_ok()
    };
    assert_eq!((0..1_000).filter(|n| ask(1, *n)).count(), 40);
    assert_eq!((0..1_000).filter(|n| ask(2, *n)).count(), 40);
}

#[test]
fn a_first_sos_is_taken_over_the_budget_of_its_address_and_marked() {
    let (limits, _) = limits(|settings| {
        settings.address_sos_per_hour = 10;
        settings.address_sos_max_per_hour = 100;
    });
    let raise = |n| limits.charge_sos(&limits.payer(Some(&device(n)), address(1)));
    for n in 0..10 {
        assert!(!raise(n).unwrap().over_address);
    }
    // Whoever has raised one waits; whoever has raised none is heard.
    assert_eq!(raise(3).unwrap_err().scope, Scope::Address);
    for n in 10..100 {
        let taken = raise(n).unwrap();
        assert!(taken.over_address);
        assert_eq!(taken.budget.unwrap().remaining, 4);
    }
    // Up to what the engine bears.
    assert_eq!(raise(100).unwrap_err().budget.limit, 100);
    // Not elsewhere, and not for whom an issuer vouches.
    assert!(
        limits
            .charge_sos(&limits.payer(Some(&device(100)), address(2)))
            .is_ok()
    );
    let ana = limits.payer(Some(&user("ana")), address(1));
    assert_eq!(raised(&limits, &ana, 100), 30);
}

#[test]
fn a_blocked_one_may_still_call_for_help_so_often_as_is_set() {
    let (limits, clock) = limits(|_| {});
    let payer = limits.payer(Some(&device(1)), address(1)).blocked();
    assert_eq!(raised(&limits, &payer, 10), 1);
    clock.advance(HOUR);
    assert_eq!(raised(&limits, &payer, 10), 1);
}

#[test]
fn trying_out_credentials_costs_the_address() {
    let (limits, _) = limits(|settings| settings.address_requests = 50);
    let impostor = limits.impostor(address(1));
    assert_eq!(passed(&limits, Class::General, &impostor, 500), 50);
}

#[test]
fn memory_is_bounded_and_a_flood_takes_nothing_from_those_who_are_known() {
    let (limits, clock) = limits(|settings| {
        settings.keys_max = 1_000;
        settings.address_writes = 100_000;
    });
    let known = limits.payer(Some(&device(1_000_000)), address(0));
    let ana = limits.payer(Some(&user("ana")), address(0));
    assert_eq!(passed(&limits, Class::Writes, &known, 40), 40);
    assert_eq!(passed(&limits, Class::Writes, &ana, 400), 400);
    assert_eq!(flood(&limits, Class::Writes, address(7), 0..50_000), 50_000);
    // One book of devices is full; users and addresses are remembered elsewhere.
    assert!(limits.keys() <= 1_000 + 10, "{}", limits.keys());
    assert!(limits.bytes() <= 1_000 * 100, "{}", limits.bytes());
    assert_eq!(
        passed(&limits, Class::Writes, &known, 500),
        60,
        "known, with what is left"
    );
    assert_eq!(passed(&limits, Class::Writes, &ana, 5_000), 600);
    // A newcomer who cannot be told apart is not starved by those who came before: their address pays.
    let newcomer = limits.payer(Some(&device(2_000_000)), address(9));
    assert_eq!(passed(&limits, Class::Writes, &newcomer, 500), 500);
    assert_eq!(passed(&limits, Class::Writes, &newcomer, 200_000), 99_500);

    clock.advance(HOUR * 2);
    limits.sweep();
    assert_eq!((limits.keys(), limits.bytes()), (0, 0));
    assert_eq!(passed(&limits, Class::Writes, &newcomer, 500), 100);
}

#[test]
fn a_payer_takes_some_forty_bytes() {
    let (limits, _) = limits(|settings| settings.address_writes = 0);
    assert_eq!(flood(&limits, Class::Writes, address(7), 0..100_000), 100_000);
    let each = limits.bytes() / limits.keys();
    assert!((17..=45).contains(&each), "{each} bytes");
}

#[test]
fn addresses_that_cannot_be_told_apart_share_what_is_left() {
    let (limits, _) = limits(|settings| {
        settings.keys_max = 10;
        settings.address_requests = 200;
    });
    for n in 0..=255 {
        let _ = limits.charge(Class::General, &limits.payer(None, address(n)));
    }
    assert!(limits.keys() <= 20);
    let late = limits.payer(Some(&device(1)), address(200));
    let passed = passed(&limits, Class::General, &late, 1_000);
    assert!((190..200).contains(&passed), "{passed}");
}

#[test]
fn the_refusal_tells_when_to_come_back() {
    let (limits, _) = limits(|settings| settings.sos_per_hour = 1);
    let payer = limits.payer(None, address(1));
    limits.charge_sos(&payer).unwrap();
    let response = ApiError::from(limits.charge_sos(&payer).unwrap_err()).error_response();
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
