//! The fuzzers' properties, held against their corpus and some hundred mutations of it: a quick look at each run
//! of the tests. `fuzz/README.md` says how to look for longer.

use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Mutations that are tried, of all seeds together.
const CASES: u32 = 2_000;

/// What is done to a seed.
#[derive(Clone, Debug)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, usize),
    Repeat(Index, usize),
    Join(Index),
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 5, "{target} has no corpus");
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// What parsers trip over.
const JUNK: [&[u8]; 16] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"-0",
    b"1e400",
    b"18446744073709551616",
    b"\xff\xfe",
    b"\xf0\x9f\x9a\x92",
    b"%00",
    b"&&=&",
    b"\x81\xfe\xff\xff",
    b"\x00\x80",
];

fn change() -> impl Strategy<Value = Change> {
    let junk = prop_oneof![
        proptest::sample::select(JUNK.to_vec()).prop_map(<[u8]>::to_vec),
        proptest::collection::vec(any::<u8>(), 1..8),
    ];
    prop_oneof![
        (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        (any::<Index>(), junk).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), 1..20_usize).prop_map(|(at, count)| Change::Remove(at, count)),
        (any::<Index>(), 1..300_usize).prop_map(|(at, count)| Change::Repeat(at, count)),
        any::<Index>().prop_map(Change::Join),
    ]
}

fn changed(seeds: &[Vec<u8>], first: Index, changes: &[Change]) -> Vec<u8> {
    let mut bytes = first.get(seeds).clone();
    for change in changes {
        let place = |at: &Index, bytes: &Vec<u8>| at.index(bytes.len() + 1);
        match change {
            Change::Set(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Change::Set(..) => {}
            Change::Insert(at, junk) => {
                let at = place(at, &bytes);
                bytes.splice(at..at, junk.iter().copied());
            }
            Change::Remove(at, count) => {
                let at = place(at, &bytes);
                let end = (at + count).min(bytes.len());
                bytes.drain(at..end);
            }
            Change::Repeat(at, count) => {
                let at = place(at, &bytes);
                let piece: Vec<u8> = bytes[at..].iter().copied().take(16).collect();
                let again = piece.iter().copied().cycle().take(piece.len() * count / 16 + 1);
                let again: Vec<u8> = if piece.is_empty() {
                    Vec::new()
                } else {
                    again.collect()
                };
                bytes.splice(at..at, again);
            }
            Change::Join(other) => bytes.extend(other.get(seeds).iter()),
        }
    }
    bytes
}

/// The same mutations at each run: what fails here fails for everybody.
fn hold(target: &str, check: impl Fn(&[u8])) {
    let seeds = seeds(target);
    check(b"");
    seeds.iter().for_each(|seed| check(seed));
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let strategy = (any::<Index>(), proptest::collection::vec(change(), 1..6));
    TestRunner::new_with_rng(config, rng)
        .run(&strategy, |(first, changes)| {
            check(&changed(&seeds, first, &changes));
            Ok(())
        })
        .unwrap();
}

#[test]
fn whatever_a_client_says_is_read_or_refused_by_name() {
    hold("client_message", mayday::fuzzing::client_message);
}

#[test]
fn whatever_a_request_carries_is_read_or_refused_by_name() {
    hold("rest", mayday::fuzzing::rest);
}

#[test]
fn whatever_comes_on_a_socket_is_the_same_however_it_is_cut() {
    hold("frames", mayday::fuzzing::frames);
}

#[test]
fn whatever_comes_from_another_node_is_read_or_refused() {
    hold("bus_message", mayday::fuzzing::bus_message);
}

#[test]
fn whatever_comes_over_socket_io_is_read_or_refused() {
    hold("socketio", mayday::fuzzing::socketio);
}
