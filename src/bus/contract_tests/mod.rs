//! The suite that every bus must pass: one test for each promise of the contract.
//!
//! An implementation gives a [`Harness`] and one line, `bus_contract!(name, Harness)`. The suite is part of the crate
//! so that tests beside the sources and tests on real servers can both use it.

mod ear;
pub mod promises;
pub mod samples;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub use ear::Ear;

use super::contract::Bus;
use super::news::NodeId;

/// Nothing takes longer than this.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// Joins nodes for tests. What a test starts ends with it.
pub trait Harness: Sized {
    /// What joins the nodes, with none on it yet. A grace time before a topic is left should be short here.
    fn start() -> impl Future<Output = Self>;

    /// One more node.
    fn join(&mut self) -> impl Future<Output = Arc<dyn Bus>>;

    /// A node dies without a word.
    fn kill(&mut self, node: NodeId) -> impl Future<Output = ()>;

    /// The way between all nodes is closed.
    fn cut(&mut self) -> impl Future<Output = ()>;

    /// It is open again.
    fn mend(&mut self) -> impl Future<Output = ()>;
}

/// Waits until `look` says so.
pub async fn eventually(what: &str, mut look: impl FnMut() -> bool) {
    let until = tokio::time::Instant::now() + DEADLINE;
    while !look() {
        assert!(tokio::time::Instant::now() < until, "never came true: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Holds an implementation to the whole contract. The tests run on actix' runtime.
#[macro_export]
#[doc(hidden)]
macro_rules! bus_contract {
    ($name:ident, $harness:ty) => {
        $crate::bus::contract_tests::bus_contract! { $name, $harness:
            nodes_hear_each_other_and_not_themselves,
            only_what_is_listened_to_is_heard,
            every_subscription_is_answered_and_what_is_said_afterwards_is_heard,
            news_of_one_topic_come_in_order,
            every_kind_of_news_arrives_as_it_was_said,
            who_unsubscribes_hears_no_more_and_may_take_it_back,
            many_topics_are_listened_to_at_once,
            nobody_waits_while_the_way_is_closed_and_everything_is_listened_to_again_afterwards,
            what_could_not_be_said_is_made_up_for,
            nodes_know_each_other_and_one_that_died_fades,
        }
    };
    ($name:ident, $harness:ty: $($promise:ident),+ $(,)?) => {
        mod $name {
            use super::*;
            $(
                #[actix::test]
                async fn $promise() {
                    $crate::bus::contract_tests::promises::$promise::<$harness>().await;
                }
            )+
        }
    };
}
pub use bus_contract;
