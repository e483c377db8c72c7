//! The suite that every store must pass: one test for each promise of the contract.
//!
//! An implementation gives a [`Harness`] and one line, `store_contract!(name, Harness)`.

pub mod cards;
pub mod conduct;
pub mod feed;
pub mod incidents;
pub mod jobs;
pub mod logs;
pub mod outbox;
pub mod positions;
pub mod privacy;
pub mod records;
pub mod replay;
pub mod scribe;
pub mod upkeep;

use super::contract::Store;

/// Starts stores for tests, each empty and of its own.
pub trait Harness: Sized {
    /// The implementation.
    type S: Store;

    /// An empty one.
    async fn start() -> Self;

    /// The store.
    fn store(&self) -> &Self::S;

    /// Closes it and opens what it kept.
    async fn reopen(self) -> Self;
}

/// Makes one test of each named promise.
macro_rules! promises {
    ($harness:ty: $($module:ident :: { $($promise:ident),+ $(,)? })+) => {$(
        mod $module {
            #[allow(unused_imports)]
            use super::*;
            $(
                #[tokio::test]
                async fn $promise() {
                    $crate::store::contract_tests::$module::$promise::<$harness>().await;
                }
            )+
        }
    )+};
}
pub(crate) use promises;

/// Holds an implementation to the whole contract.
macro_rules! store_contract {
    ($name:ident, $harness:ident) => {
        mod $name {
            use super::$harness;
            use $crate::store::contract_tests::promises;

            promises! { $harness:
                logs::{
                    a_room_that_was_never_created_is_not_there,
                    what_was_appended_is_loaded_in_order,
                    an_append_behind_the_head_is_a_conflict_and_changes_nothing,
                    of_two_writers_at_one_place_exactly_one_wins_and_the_other_can_retry,
                    a_conflict_does_not_harm_the_others_of_its_group,
                    events_after_a_seq_come_in_order_and_at_most_the_limit,
                    a_repeated_idempotency_key_finds_the_room_and_writes_nothing,
                    a_lost_answer_can_be_asked_for_again_in_the_same_room,
                    the_same_key_of_somebody_else_is_another_key,
                    events_that_are_not_numbered_on_are_refused,
                    messages_come_newest_first_in_pages_and_by_text,
                    what_a_service_says_of_a_message_stays_with_it,
                    everything_acknowledged_is_there_after_reopening,
                    a_closed_store_is_unavailable,
                    a_ping_is_a_durable_write,
                }
                records::{
                    a_persons_record_is_replaced_and_never_doubled,
                    some_of_a_rooms_records_can_be_read,
                    contact_lists_keep_their_order_and_are_replaced_whole,
                    circles_are_found_by_an_emergency_contacts_number,
                    memberships_are_the_rooms_that_somebody_is_in_now,
                    whoever_is_on_a_trip_is_in_it_until_it_ends,
                    a_devices_first_sight_stays,
                    an_erased_person_is_gone_from_every_record_and_the_log_is_whole,
                }
                conduct::{
                    reports_come_newest_first_in_pages_of_one_incident_or_all,
                    a_second_report_of_the_same_two_replaces_the_first,
                    reports_and_blocks_survive_reopening_and_a_rebuild,
                    blocks_are_replaced_found_by_name_listed_and_lifted,
                    whoever_stands_behind_a_name_is_found_until_they_are_erased,
                    a_purge_removes_old_reports_and_blocks_that_have_ended,
                }
                incidents::{
                    an_incident_is_projected_from_its_log,
                    a_room_is_live_as_its_state_says,
                    strangers_see_public_incidents_and_those_they_were_in,
                    newest_first_pages_have_no_gap_and_no_repeat,
                    nearest_first_pages_have_no_gap_and_no_repeat,
                    incidents_are_filtered_by_status_kind_and_city,
                    what_an_incident_turns_out_to_be_is_what_it_is_listed_as,
                    pages_have_what_stood_all_the_time_once_whatever_happens_between_them,
                    a_search_finds_across_the_date_line_and_at_the_pole,
                }
                feed::{
                    many_rooms_are_read_at_once,
                    events_of_incidents_have_one_order,
                    an_order_goes_on_after_reopening_and_a_purge,
                }
                positions::{
                    a_batch_of_fixes_twice_changes_nothing,
                    fixes_that_were_not_sampled_are_judged_in_their_own_order,
                    a_late_batch_is_judged_against_the_fix_before_it,
                    the_newest_fix_of_each_participant_is_loaded_with_the_room,
                    history_of_a_room_is_merged_and_paged_without_gap_or_repeat,
                    history_of_a_subject_tells_each_fix_once,
                    a_fix_is_read_back_as_it_was_kept,
                }
                privacy::{
                    what_is_not_said_of_a_device_stays_as_it_was,
                    a_sight_moves_a_record_forward_and_makes_none,
                    a_device_that_takes_part_has_a_record,
                    what_rooms_have_of_somebody_comes_in_pages,
                    idempotency_keys_come_in_pages,
                    history_of_some_participants_leaves_out_the_others,
                    signs_of_life_come_back_with_the_room_and_go_with_their_participant,
                    an_erased_pseudonym_gets_neither_a_record_nor_a_position_again,
                    many_positions_are_erased_all_the_same,
                    a_device_that_is_not_seen_is_cut_from_its_pseudonyms_and_then_forgotten,
                    devices_are_purged_in_slices,
                }
                outbox::{
                    an_incident_waits_to_be_told_and_other_rooms_do_not,
                    what_was_told_is_not_told_again,
                    whoever_is_late_moves_nothing,
                    what_was_sent_in_vain_is_due_again_when_it_is_time,
                    what_happens_meanwhile_is_told_too,
                    of_many_that_claim_at_once_each_incident_is_somebodys,
                    given_up_events_are_listed_newest_first_until_they_are_dropped_or_too_many_or_too_old,
                    what_waits_survives_reopening_and_a_rebuild,
                }
                jobs::{
                    jobs_stand_with_the_events_that_cause_them_or_not_at_all,
                    a_second_job_of_the_same_name_is_none_while_the_first_is_there,
                    a_job_may_be_in_hand_from_the_start,
                    jobs_are_claimed_by_lane_those_that_wait_the_longest_first,
                    of_many_that_claim_at_once_each_job_is_somebodys,
                    a_lease_that_runs_out_makes_a_job_somebody_elses_who_hears_of_it,
                    a_job_says_from_then_on_what_was_settled,
                    what_is_hastened_is_due_at_once_or_when_it_is_given_back,
                    what_is_dropped_is_not_done_whoever_has_it,
                    somebodys_jobs_are_found_by_the_beginning_of_their_names_and_go_with_them,
                    a_message_is_found_by_its_vendors_name_until_that_is_too_old,
                    jobs_survive_reopening_and_a_rebuild,
                }
                cards::{
                    a_card_is_replaced_by_whoever_saw_its_last_version,
                    cards_are_written_with_each_other_and_with_jobs_or_not_at_all,
                    of_many_that_replace_a_card_at_once_one_does,
                    cards_are_found_by_shelf_and_by_whose_they_are,
                    a_purge_removes_cards_that_have_ended,
                }
                upkeep::{
                    a_purge_removes_what_is_too_old_and_nothing_else,
                    retention_of_zero_keeps_for_ever,
                    a_rebuild_gives_the_same_lists,
                    statistics_count_what_was_written,
                }
                replay::{
                    whatever_happens_in_rooms_the_lists_say_what_their_logs_say_before_and_after_a_rebuild,
                }
            }
        }
    };
}
pub(crate) use store_contract;
