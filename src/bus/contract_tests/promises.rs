//! The promises, one function each.

use std::sync::Arc;
use std::time::Instant;

use super::samples::{all, room};
use super::{Ear, Harness, eventually};
use crate::bus::contract::{Bus, Health, Vitals};
use crate::bus::news::{News, Topic};
use crate::domain::area::Cell;
use crate::domain::geo::Position;
use crate::domain::ids::ParticipantId;

fn topic(name: &str) -> Topic {
    Topic::Room(room(name))
}

fn cell() -> Topic {
    let position = Position::new(14.5995, 120.9842).expect("invariant: on the globe");
    Topic::Cell(Cell::of(position))
}

/// News that can be told from each other.
fn number(n: u64) -> News {
    News::Erased {
        subject: crate::domain::people::Subject::Device(crate::domain::ids::DeviceId::from_random([1; 16])),
        places: vec![(room("numbered"), ParticipantId::from_bits(n))],
    }
}

async fn two<H: Harness>(harness: &mut H) -> [(Arc<dyn Bus>, Arc<Ear>); 2] {
    let (one, other) = (harness.join().await, harness.join().await);
    let ears = (Ear::on(&one).await, Ear::on(&other).await);
    assert_ne!(one.node(), other.node());
    [(one, ears.0), (other, ears.1)]
}

pub async fn nodes_hear_each_other_and_not_themselves<H: Harness>() {
    let mut harness = H::start().await;
    let [(one, ear_one), (other, ear_other)] = two(&mut harness).await;
    for topic in [topic("home"), cell(), Topic::Everyone] {
        ear_one.subscribe(&one, &topic).await;
        ear_other.subscribe(&other, &topic).await;
        one.publish(topic.clone(), number(1));
        other.publish(topic.clone(), number(2));
        eventually("both have heard", || {
            !ear_one.heard(&topic).is_empty() && !ear_other.heard(&topic).is_empty()
        })
        .await;
        assert_eq!(
            (ear_one.heard(&topic), ear_one.speakers(&topic)),
            (vec![number(2)], vec![other.node()])
        );
        assert_eq!(
            (ear_other.heard(&topic), ear_other.speakers(&topic)),
            (vec![number(1)], vec![one.node()])
        );
    }
}

pub async fn only_what_is_listened_to_is_heard<H: Harness>() {
    let mut harness = H::start().await;
    let [(one, _), (other, ear)] = two(&mut harness).await;
    ear.subscribe(&other, &topic("home")).await;
    one.publish(topic("elsewhere"), number(1));
    one.publish(cell(), number(2));
    one.publish(topic("home"), number(3));
    eventually("the last is heard", || !ear.heard(&topic("home")).is_empty()).await;
    assert_eq!(ear.heard(&topic("home")), [number(3)]);
    assert_eq!(
        (ear.heard(&topic("elsewhere")), ear.heard(&cell())),
        (vec![], vec![])
    );
}

pub async fn every_subscription_is_answered_and_what_is_said_afterwards_is_heard<H: Harness>() {
    let mut harness = H::start().await;
    let [(one, _), (other, ear)] = two(&mut harness).await;
    for n in 0..20 {
        let topic = topic(&format!("room{n}"));
        ear.subscribe(&other, &topic).await;
        one.publish(topic.clone(), number(n));
        eventually("it is heard", || ear.heard(&topic) == [number(n)]).await;
        // Again: it has been listened to for long.
        ear.subscribe(&other, &topic).await;
    }
}

pub async fn news_of_one_topic_come_in_order<H: Harness>() {
    let mut harness = H::start().await;
    let [(one, _), (other, ear)] = two(&mut harness).await;
    let rooms = [topic("a"), topic("b"), topic("c")];
    for room in &rooms {
        ear.subscribe(&other, room).await;
    }
    for n in 0..500 {
        for room in &rooms {
            one.publish(room.clone(), number(n));
        }
        if n % 50 == 0 {
            tokio::task::yield_now().await;
        }
    }
    for room in &rooms {
        eventually("all is heard", || ear.heard(room).len() == 500).await;
        let wanted: Vec<News> = (0..500).map(number).collect();
        assert_eq!(ear.heard(room), wanted);
    }
}

pub async fn every_kind_of_news_arrives_as_it_was_said<H: Harness>() {
    let mut harness = H::start().await;
    let [(one, _), (other, ear)] = two(&mut harness).await;
    ear.subscribe(&other, &topic("home")).await;
    for news in all() {
        one.publish(topic("home"), news);
    }
    eventually("all is heard", || ear.heard(&topic("home")).len() == all().len()).await;
    for (heard, said) in ear.heard(&topic("home")).into_iter().zip(all()) {
        assert_eq!(heard, said);
    }
}

pub async fn who_unsubscribes_hears_no_more_and_may_take_it_back<H: Harness>() {
    let mut harness = H::start().await;
    let [(one, _), (other, ear)] = two(&mut harness).await;
    ear.subscribe(&other, &topic("home")).await;
    ear.subscribe(&other, &topic("mark")).await;
    // Taken back at once: nothing is missed.
    other.unsubscribe(&topic("home"));
    ear.subscribe(&other, &topic("home")).await;
    one.publish(topic("home"), number(0));
    eventually("it is heard", || ear.heard(&topic("home")) == [number(0)]).await;

    other.unsubscribe(&topic("home"));
    let (mut said, mut left) = (1, false);
    while !left {
        let (home, mark) = (ear.heard(&topic("home")).len(), ear.heard(&topic("mark")).len());
        one.publish(topic("home"), number(said));
        // News of different topics may overtake each other: several marks, so that the one before is there.
        for n in 0..3 {
            one.publish(topic("mark"), number(said * 3 + n));
        }
        eventually("the marks are heard", || {
            ear.heard(&topic("mark")).len() == mark + 3
        })
        .await;
        left = ear.heard(&topic("home")).len() == home;
        said += 1;
        assert!(said < 10_000, "it is still heard");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    ear.subscribe(&other, &topic("home")).await;
    one.publish(topic("home"), number(0));
    eventually("it is heard again", || {
        ear.heard(&topic("home")).last() == Some(&number(0))
    })
    .await;
}

pub async fn many_topics_are_listened_to_at_once<H: Harness>() {
    let mut harness = H::start().await;
    let [(one, _), (other, ear)] = two(&mut harness).await;
    let topics: Vec<Topic> = (0..2_000).map(|n| topic(&format!("room{n}"))).collect();
    for topic in &topics {
        other.subscribe(topic.clone());
    }
    eventually("all are listened to", || {
        topics.iter().all(|topic| ear.listens_to(topic))
    })
    .await;
    for (topic, n) in topics.iter().zip(0..) {
        one.publish(topic.clone(), number(n));
    }
    for (topic, n) in topics.iter().zip(0..) {
        eventually("each is heard", || ear.heard(topic) == [number(n)]).await;
    }
}

pub async fn nobody_waits_while_the_way_is_closed_and_everything_is_listened_to_again_afterwards<
    H: Harness,
>() {
    let mut harness = H::start().await;
    let [(one, _), (other, ear)] = two(&mut harness).await;
    assert_eq!(one.health(), Health::Connected);
    ear.subscribe(&other, &topic("home")).await;
    harness.cut().await;
    eventually("both notice", || {
        one.health() == Health::Away && other.health() == Health::Away
    })
    .await;
    let begun = Instant::now();
    for n in 0..1_000 {
        one.publish(topic("home"), number(n));
    }
    other.subscribe(topic("late"));
    assert!(begun.elapsed() < super::DEADLINE / 10, "somebody waited");
    ear.forget_listening();
    harness.mend().await;
    eventually("both notice", || {
        one.health() == Health::Connected && other.health() == Health::Connected
    })
    .await;
    eventually("all is listened to again", || {
        [topic("home"), topic("late"), Topic::Everyone]
            .iter()
            .all(|topic| ear.listens_to(topic))
    })
    .await;
    one.publish(topic("late"), number(7));
    eventually("it is heard", || ear.heard(&topic("late")).contains(&number(7))).await;
}

pub async fn what_could_not_be_said_is_made_up_for<H: Harness>() {
    let mut harness = H::start().await;
    let [(one, _), (other, ear)] = two(&mut harness).await;
    for name in ["home", "quiet"] {
        ear.subscribe(&other, &topic(name)).await;
    }
    harness.cut().await;
    eventually("it notices", || one.health() == Health::Away).await;
    one.publish(topic("home"), number(1));
    harness.mend().await;
    let told = |ear: &Ear| {
        ear.heard(&topic("home")).contains(&News::Missed) || ear.heard(&topic("home")).contains(&number(1))
    };
    // Whoever is back later than the one who says it looks anyway, once it listens again.
    eventually("it is told, or listens again", || {
        told(&ear) || ear.listens_to(&topic("home"))
    })
    .await;
    assert!(!ear.heard(&topic("quiet")).contains(&News::Missed));
}

pub async fn nodes_know_each_other_and_one_that_died_fades<H: Harness>() {
    let mut harness = H::start().await;
    let [(one, _), (other, _)] = two(&mut harness).await;
    let vitals = |connections| Vitals {
        connections,
        rooms: 2,
        draining: false,
    };
    let known = |bus: &Arc<dyn Bus>| -> Vec<_> { bus.nodes().iter().map(|peer| peer.node).collect() };
    let mut both = vec![one.node(), other.node()];
    both.sort_unstable();
    let beat = || {
        one.beat(vitals(1));
        other.beat(vitals(7));
    };
    eventually("they know each other", || {
        beat();
        known(&one) == both && known(&other) == both
    })
    .await;
    eventually("they know how the other is", || {
        beat();
        one.nodes()
            .iter()
            .any(|peer| peer.node == other.node() && peer.vitals == vitals(7))
    })
    .await;
    harness.kill(other.node()).await;
    eventually("the dead one fades", || {
        one.beat(vitals(1));
        known(&one) == [one.node()]
    })
    .await;
}
