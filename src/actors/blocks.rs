//! Whom staff keep out, as every request and every session is held against it.
//!
//! The store has the list; this is the part of it that decides, in memory: a keyed hash of each subject and when
//! the block ends. Nobody can be told from it, and it needs nobody's raw id: it stands when all else that was
//! kept of them has been erased.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;
use hmac::{Hmac, Mac};
use parking_lot::Mutex;
use sha2::Sha256;
use tokio::sync::watch;

use super::node::Node;
use crate::delivery::CloseReason;
use crate::domain::conduct::{Block, BlockKey};
use crate::domain::people::Subject;
use crate::domain::time::Timestamp;
use crate::store::{Store, StoreError};

/// What is signed beside the subject, so that the secret gives no other hash of it away.
const PURPOSE: &[u8] = b"mayday block 1\0";
/// Blocks that are read at once.
const PAGE: usize = 1_000;

/// The list.
pub struct Blocks {
    mac: Hmac<Sha256>,
    until: DashMap<BlockKey, Timestamp>,
    len: AtomicUsize,
    max: usize,
    changes: watch::Sender<u64>,
    /// Held by whoever changes the list: what was read from the store must not undo what happened meanwhile.
    turn: Mutex<()>,
}

/// There are as many blocks as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many are blocked already")]
pub struct TooMany;

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Blocks({})", self.len())
    }
}

impl Blocks {
    /// Nobody is blocked; at most `max` may be. Nodes that share a store share the secret.
    pub fn new(secret: &[u8], max: usize) -> Self {
        Self {
            mac: Hmac::new_from_slice(secret).expect("invariant: HMAC takes keys of any length"),
            until: DashMap::new(),
            len: AtomicUsize::new(0),
            max,
            changes: watch::Sender::new(0),
            turn: Mutex::new(()),
        }
    }

    /// What a subject is recognised by.
    pub fn key(&self, subject: &Subject) -> BlockKey {
        let (kind, name) = match subject {
            Subject::User(id) => ("user\0", id.as_str().to_owned()),
            Subject::Device(id) => ("device\0", id.reveal()),
            Subject::Service(name) => ("service\0", name.as_str().to_owned()),
            Subject::Phone(phone) => ("phone\0", phone.reveal().to_owned()),
        };
        let mac = self.mac.clone().chain_update(PURPOSE);
        let hash: [u8; 32] = mac
            .chain_update(kind)
            .chain_update(name)
            .finalize()
            .into_bytes()
            .into();
        let mut key = [0; 16];
        key.copy_from_slice(&hash[..16]);
        BlockKey::new(key)
    }

    /// A hash of other things by the same secret, which no other purpose gives away.
    pub fn seal(&self, purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = self.mac.clone().chain_update(purpose);
        for part in parts {
            // With its length, so that no two lists of parts run into the same.
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }

    /// Whether a subject is blocked at `now`. Costs next to nothing while nobody is.
    pub fn holds(&self, subject: &Subject, now: Timestamp) -> bool {
        !self.is_empty() && self.stands(&self.key(subject), now)
    }

    fn stands(&self, key: &BlockKey, now: Timestamp) -> bool {
        self.until.get(key).is_some_and(|until| now < *until)
    }

    /// Whether there is room for one more.
    ///
    /// # Errors
    /// When there is not, unless this one is listed already.
    pub fn room_for(&self, key: &BlockKey) -> Result<(), TooMany> {
        if self.len() < self.max || self.until.contains_key(key) {
            Ok(())
        } else {
            Err(TooMany)
        }
    }

    /// Adds a block that is on disk.
    pub fn put(&self, block: &Block) {
        let _turn = self.turn.lock();
        self.note(block);
        self.changed();
    }

    fn note(&self, block: &Block) {
        let until = block.until.unwrap_or(Timestamp::from_ms(i64::MAX));
        if self.until.insert(block.key, until).is_none() {
            self.len.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Takes one off that is off the disk.
    pub fn lift(&self, key: &BlockKey) {
        let _turn = self.turn.lock();
        if self.until.remove(key).is_some() {
            self.len.fetch_sub(1, Ordering::Relaxed);
        }
        self.changed();
    }

    /// Reads the list anew: at the start, and when another node has changed it. Beyond the most that may be, the
    /// rest is left out and said so in the log.
    ///
    /// # Errors
    /// When the store fails; then the list is as it was.
    pub async fn load(&self, store: &dyn Store, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let before = *self.changes.borrow();
            let found = self.read(store, now).await?;
            let _turn = self.turn.lock();
            if *self.changes.borrow() == before {
                let keys: HashSet<BlockKey> = found.iter().map(|block| block.key).collect();
                found.iter().for_each(|block| self.note(block));
                self.keep(|key, _| keys.contains(key));
                return Ok(());
            }
        }
    }

    async fn read(&self, store: &dyn Store, now: Timestamp) -> Result<Vec<Block>, StoreError> {
        let (mut found, mut after) = (Vec::new(), None);
        while found.len() <= self.max {
            let page = store.blocks(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.key);
            found.extend(page.into_iter().filter(|block| block.stands(now)));
        }
        if found.len() > self.max {
            tracing::error!(
                max = self.max,
                "more are blocked than abuse.blocks_max allows to be held"
            );
            found.truncate(self.max);
        }
        Ok(found)
    }

    /// Forgets blocks that have ended.
    pub fn sweep(&self, now: Timestamp) {
        self.keep(|_, until| now < until);
    }

    fn keep(&self, wanted: impl Fn(&BlockKey, Timestamp) -> bool) {
        self.until.retain(|key, until| {
            let stays = wanted(key, *until);
            if !stays {
                self.len.fetch_sub(1, Ordering::Relaxed);
            }
            stays
        });
    }

    /// How many are blocked.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether nobody is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn changed(&self) {
        self.changes.send_modify(|number| *number += 1);
    }

    /// Hears when this node has changed the list on disk, to tell other nodes, which then follow.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Another node has changed the list: reads it anew, and closes what this one holds of those on it.
///
/// # Errors
/// When the store fails.
pub(super) async fn follow(node: &Node) -> Result<(), StoreError> {
    let now = node.now();
    node.blocks.load(&*node.store, now).await?;
    node.directory
        .close_where(|subject| node.blocks.holds(subject, now), CloseReason::Forbidden);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ids::{DeviceId, ParticipantId, UserId};
    use crate::store::{Embedded, EmbeddedOptions};

    fn ms(at: i64) -> Timestamp {
        Timestamp::from_ms(at)
    }

    fn device(n: u8) -> Subject {
        Subject::Device(DeviceId::from_random([n; 16]))
    }

    fn block(blocks: &Blocks, of: &Subject, until: Option<i64>) -> Block {
        Block {
            key: blocks.key(of),
            participant: ParticipantId::from_bits(1),
            at: ms(0),
            until: until.map(ms),
            reason: None,
            by: None,
        }
    }

    #[test]
    fn a_block_holds_whom_it_names_until_it_ends() {
        let blocks = Blocks::new(b"secret", 10);
        assert!(!blocks.holds(&device(1), ms(0)));
        blocks.put(&block(&blocks, &device(1), Some(100)));
        blocks.put(&block(&blocks, &device(2), None));
        assert!(blocks.holds(&device(1), ms(99)) && blocks.holds(&device(2), ms(i64::MAX - 1)));
        assert!(!blocks.holds(&device(1), ms(100)) && !blocks.holds(&device(3), ms(0)));
        blocks.sweep(ms(100));
        assert_eq!(blocks.len(), 1);
        blocks.lift(&blocks.key(&device(2)));
        assert!(blocks.is_empty());
        blocks.lift(&blocks.key(&device(2)));
        assert!(blocks.is_empty());
    }

    #[test]
    fn a_key_depends_on_the_secret_and_the_kind_of_subject() {
        let (one, other) = (Blocks::new(b"one", 1), Blocks::new(b"other", 1));
        let id = DeviceId::from_random([1; 16]);
        let user = Subject::User(UserId::new(id.reveal()).unwrap());
        assert_ne!(one.key(&device(1)), other.key(&device(1)));
        assert_ne!(one.key(&Subject::Device(id)), one.key(&user));
        assert_eq!(one.key(&device(1)), one.key(&device(1)));
    }

    #[tokio::test]
    async fn what_another_node_changed_is_read_anew() {
        let folder = tempfile::tempdir().unwrap();
        let store = Embedded::open(EmbeddedOptions::new(folder.path())).unwrap();
        let (here, there) = (Blocks::new(b"secret", 2), Blocks::new(b"secret", 2));
        for (n, until) in [(1, None), (2, Some(50)), (3, Some(500))] {
            store.put_block(block(&there, &device(n), until)).await.unwrap();
        }
        here.load(&store, ms(100)).await.unwrap();
        let held = [1, 2, 3].map(|n| here.holds(&device(n), ms(100)));
        assert_eq!((held, here.len()), ([true, false, true], 2));
        store.lift_block(there.key(&device(1))).await.unwrap();
        here.load(&store, ms(100)).await.unwrap();
        assert!(!here.holds(&device(1), ms(100)) && here.holds(&device(3), ms(100)));
        assert_eq!(here.len(), 1);
    }

    #[test]
    fn memory_is_bounded_and_a_change_is_heard() {
        let blocks = Blocks::new(b"secret", 1);
        let heard = blocks.subscribe();
        blocks.put(&block(&blocks, &device(1), None));
        assert!(heard.has_changed().unwrap());
        assert_eq!(blocks.room_for(&blocks.key(&device(2))), Err(TooMany));
        assert_eq!(blocks.room_for(&blocks.key(&device(1))), Ok(()));
    }
}
