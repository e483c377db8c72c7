//! Properties of the outbox's state, each checked over any run of operations.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    Event(usize),
    Signal(u64, usize, bool),
    Run(Vec<u64>),
    Control,
    /// Take so much, of which such a part leaves before the socket is full.
    Write(usize, usize),
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        4 => (0_usize..300).prop_map(Op::Event),
        6 => (0_u64..40, 0_usize..300, any::<bool>()).prop_map(|(subject, len, stalled)| Op::Signal(subject, len, stalled)),
        2 => prop::collection::vec(0_u64..40, 1..8).prop_map(Op::Run),
        1 => Just(Op::Control),
        3 => (1_usize..2_000, 0_usize..2_000).prop_map(|(max, leaves)| Op::Write(max, leaves)),
        1 => Just(Op::Close),
    ];
    prop::collection::vec(op, 1..200)
}

/// What the peer has read, and what it was owed.
#[derive(Default)]
struct Peer {
    wire: Vec<u8>,
    events: Vec<Vec<u8>>,
    newest: std::collections::HashMap<u64, u32>,
}

/// A payload that says what it is: kind, subject, number, filling.
fn payload(kind: u8, subject: u64, number: u32, len: usize) -> Vec<u8> {
    let mut payload = vec![kind];
    payload.extend_from_slice(&subject.to_be_bytes());
    payload.extend_from_slice(&number.to_be_bytes());
    payload.resize(13 + len, 0);
    payload
}

fn frames(mut wire: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while !wire.is_empty() {
        let (len, header) = match wire[1] {
            126 => (usize::from(u16::from_be_bytes([wire[2], wire[3]])), 4),
            len => (usize::from(len), 2),
        };
        frames.push((wire[0], wire[header..header + len].to_vec()));
        wire = &wire[header + len..];
    }
    frames
}

fn write(state: &mut OutboxState, peer: &mut Peer, max: usize, leaves: usize) -> usize {
    let mut taken = Vec::new();
    let before = state.queued_bytes();
    let due = state.take(&mut taken, max);
    assert_eq!(due, taken.iter().map(|item| item.bytes().len()).sum::<usize>());
    assert_eq!(state.queued_bytes() + due, before);
    let leaves = leaves.min(due);
    let bytes: Vec<u8> = taken.iter().flat_map(|item| item.bytes().to_vec()).collect();
    peer.wire.extend_from_slice(&bytes[..leaves]);
    let closed = taken.last().is_some_and(Taken::is_close);
    if leaves == due {
        if closed {
            state.close_sent();
        }
    } else {
        state.give_back(&mut taken, leaves, &mut Sent::default());
        assert!(
            state.queued_bytes() <= before - leaves,
            "what came back twice is conflated"
        );
    }
    due
}

proptest! {
    #[test]
    fn events_keep_their_order_signals_their_newest_and_everything_its_bound(
        ops in ops(),
        max_bytes in 200_usize..5_000,
    ) {
        let mut state = OutboxState::new(max_bytes);
        let mut peer = Peer::default();
        let mut number = 0;
        let mut overflowed = false;
        for op in ops {
            number += 1;
            let mut sent = Sent::default();
            match op {
                Op::Event(len) => {
                    let payload = payload(b'e', 0, number, len);
                    match state.push_event(&Frame::binary(&payload), &mut sent) {
                        Push::Queued => peer.events.push(payload),
                        Push::TooSlow => overflowed = true,
                        other => prop_assert_eq!(other, Push::Closed),
                    }
                }
                Op::Run(subjects) => {
                    let signals: Vec<_> = subjects
                        .iter()
                        .map(|&subject| {
                            number += 1;
                            let frame = Frame::binary(&payload(b's', subject, number, 9));
                            (key(subject), frame)
                        })
                        .collect();
                    if state.push_run(&Run::new(signals.iter().map(|(key, frame)| (*key, frame))), &mut sent) {
                        let first = number + 1 - u32::try_from(subjects.len()).unwrap();
                        peer.newest.extend(subjects.into_iter().zip(first..));
                    }
                }
                Op::Signal(subject, len, stalled) => {
                    let key = SignalKey { room: 1, subject };
                    let frame = Frame::binary(&payload(b's', subject, number, len));
                    let push = state.push_signal(key, &frame, stalled, &mut sent);
                    if matches!(push, Push::Queued | Push::Conflated) {
                        peer.newest.insert(subject, number);
                    }
                }
                Op::Control => {
                    state.push_control(Frame::ping(b"?"));
                }
                Op::Write(max, leaves) => {
                    write(&mut state, &mut peer, max, leaves);
                }
                Op::Close => {
                    let reason = CloseReason::Normal;
                    state.close(EndReason::Closed(reason), reason);
                }
            }
            let control = CONTROL_MAX_FRAMES * 3 + 127;
            prop_assert!(state.queued_bytes() <= max_bytes + control);
        }
        let was_open = state.phase() == Phase::Open;
        while write(&mut state, &mut peer, 1_000, 700) > 0 {}
        prop_assert_eq!(state.queued_bytes(), 0);

        let read = frames(&peer.wire);
        let events: Vec<_> = read.iter().filter(|f| f.1.first() == Some(&b'e')).map(|f| f.1.clone()).collect();
        prop_assert_eq!(&events[..], &peer.events[..events.len()], "a prefix, in order");
        if !overflowed {
            prop_assert_eq!(events.len(), peer.events.len(), "nothing is lost");
        }
        let mut seen = std::collections::HashMap::new();
        for (_, payload) in read.iter().filter(|f| f.1.first() == Some(&b's')) {
            let subject = u64::from_be_bytes(payload[1..9].try_into().unwrap());
            let number = u32::from_be_bytes(payload[9..13].try_into().unwrap());
            let older = seen.insert(subject, number);
            prop_assert!(older.is_none_or(|older| older < number), "never back in time");
            prop_assert!(number <= peer.newest[&subject]);
        }
        if !was_open {
            prop_assert_eq!(read.last().map(|f| f.0), Some(0x88));
            prop_assert_eq!(state.phase(), Phase::CloseSent);
        }
    }

    #[test]
    fn with_room_enough_the_newest_of_every_signal_arrives(
        subjects in prop::collection::vec(0_u64..100, 1..300),
        writes in prop::collection::vec((1_usize..300, 0_usize..300), 0..50),
    ) {
        let mut state = OutboxState::new(usize::MAX / 2);
        let mut peer = Peer::default();
        let mut writes = writes.into_iter();
        for (number, subject) in (1..).zip(subjects) {
            let key = SignalKey { room: 1, subject };
            state.push_signal(key, &Frame::binary(&payload(b's', subject, number, 0)), number % 3 == 0, &mut Sent::default());
            peer.newest.insert(subject, number);
            if let Some((max, leaves)) = writes.next() {
                write(&mut state, &mut peer, max, leaves);
            }
        }
        while write(&mut state, &mut peer, 1_000, 1_000) > 0 {}
        let mut last = std::collections::HashMap::new();
        for (_, payload) in frames(&peer.wire) {
            let subject = u64::from_be_bytes(payload[1..9].try_into().unwrap());
            last.insert(subject, u32::from_be_bytes(payload[9..13].try_into().unwrap()));
        }
        prop_assert_eq!(last, peer.newest);
    }
}

fn key(subject: u64) -> SignalKey {
    SignalKey { room: 1, subject }
}

#[test]
fn signals_give_way_to_an_event() {
    let mut sent = Sent::default();
    let mut state = OutboxState::new(100);
    for subject in 0..9 {
        state.push_signal(key(subject), &Frame::text(b"12345678"), false, &mut sent);
    }
    assert_eq!(
        state.push_event(&Frame::text(&[b'x'; 48]), &mut sent),
        Push::Queued
    );
    assert_eq!(sent.dropped, 4);
    assert_eq!(state.queued_bytes(), 100);
    assert_eq!(state.phase(), Phase::Open);
}

#[test]
fn an_event_too_many_closes_as_too_slow_and_drops_the_rest() {
    let mut sent = Sent::default();
    let mut state = OutboxState::new(100);
    state.push_event(&Frame::text(&[b'x'; 60]), &mut sent);
    assert_eq!(
        state.push_event(&Frame::text(&[b'y'; 60]), &mut sent),
        Push::TooSlow
    );
    assert_eq!(state.push_event(&Frame::text(b"z"), &mut sent), Push::Closed);
    let mut taken = Vec::new();
    state.take(&mut taken, usize::MAX);
    assert_eq!(taken.len(), 1);
    assert_eq!(taken[0].bytes(), CloseReason::TooSlow.frame().as_bytes());
    assert_eq!(state.end(), Some(EndReason::Closed(CloseReason::TooSlow)));
}

#[test]
fn a_frame_that_left_in_part_is_finished_before_the_close() {
    let mut sent = Sent::default();
    let mut state = OutboxState::new(100);
    state.push_event(&Frame::text(&[b'x'; 80]), &mut sent);
    let mut taken = Vec::new();
    state.take(&mut taken, usize::MAX);
    state.give_back(&mut taken, 30, &mut sent);
    assert_eq!(state.queued_bytes(), 52);
    assert_eq!(
        state.push_event(&Frame::text(&[b'y'; 80]), &mut sent),
        Push::TooSlow
    );
    state.take(&mut taken, usize::MAX);
    assert_eq!(taken[0].bytes().len(), 52);
    assert!(taken[1].is_close());
}

#[test]
fn control_frames_go_first_and_only_the_newest_wait() {
    let mut state = OutboxState::new(100);
    state.push_event(&Frame::text(b"event"), &mut Sent::default());
    for n in 0..20_u8 {
        state.push_control(Frame::pong(&[n]));
    }
    let mut taken = Vec::new();
    state.take(&mut taken, usize::MAX);
    assert_eq!(taken.len(), CONTROL_MAX_FRAMES + 1);
    assert_eq!(taken[0].bytes(), Frame::pong(&[4]).as_bytes());
    assert_eq!(
        taken[CONTROL_MAX_FRAMES].bytes(),
        Frame::text(b"event").as_bytes()
    );
}

#[test]
fn whoever_left_a_room_is_not_told_what_waited_of_it() {
    let mut sent = Sent::default();
    let mut state = OutboxState::new(10_000);
    let key = |room, subject| SignalKey { room, subject };
    for stalled in [false, true] {
        for room in [1, 2] {
            let frame = Frame::text(&[b'a' + u8::try_from(room).unwrap(); 40]);
            state.push_signal(key(room, 7), &frame, stalled, &mut sent);
            state.push_signal(key(room, 8), &frame, stalled, &mut sent);
            let run = (0..3).map(|subject| (key(room, subject), &frame));
            assert!(state.push_run(&Run::new(run), &mut sent));
        }
        state.push_event(&Frame::text(b"event"), &mut sent);
        state.forget_signals(1, &mut sent);
        let mut taken = Vec::new();
        let bytes = state.take(&mut taken, usize::MAX);
        assert_eq!(state.queued_bytes(), 0, "what was forgotten is not counted");
        let wire: Vec<u8> = taken.iter().flat_map(|taken| taken.bytes().to_vec()).collect();
        assert_eq!(wire.len(), bytes);
        let told = frames(&wire);
        assert_eq!(told.len(), 6, "the event and the five of the other room");
        assert!(told.iter().all(|(_, payload)| payload[0] != b'b'));
    }
}
