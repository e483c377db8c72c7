//! Which rooms somebody is in: a cache over the store, dropped by the rooms whenever it changes.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;

use crate::domain::people::Subject;
use crate::store::{Membership, Store, StoreError};

const GENERATIONS: usize = 64;

/// The cache. An answer is never older than the last change that was made durable before the question.
pub struct Memberships {
    store: Arc<dyn Store>,
    known: DashMap<Subject, Arc<[Membership]>>,
    generations: [AtomicU64; GENERATIONS],
    hasher: RandomState,
    max: usize,
}

impl Memberships {
    /// Remembers at most `max` people between two sweeps.
    pub fn new(store: Arc<dyn Store>, max: usize) -> Self {
        Self {
            store,
            known: DashMap::new(),
            generations: std::array::from_fn(|_| AtomicU64::new(0)),
            hasher: RandomState::new(),
            max,
        }
    }

    /// What is remembered of `subject`.
    pub fn peek(&self, subject: &Subject) -> Option<Arc<[Membership]>> {
        self.known.get(subject).map(|entry| Arc::clone(&entry))
    }

    /// The rooms that `subject` is in.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn get(&self, subject: &Subject) -> Result<Arc<[Membership]>, StoreError> {
        if let Some(known) = self.peek(subject) {
            return Ok(known);
        }
        let generation = self.generation(subject);
        let before = generation.load(Ordering::Acquire);
        let rooms: Arc<[Membership]> = self.store.memberships(subject).await?.into();
        let entry = self.known.entry(subject.clone());
        // Under the entry's lock: `forget` bumps the generation first, so a change since the read is seen.
        if generation.load(Ordering::Acquire) == before {
            entry.insert(Arc::clone(&rooms));
        }
        Ok(rooms)
    }

    /// The rooms that `subject` is in, without remembering them.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn once(&self, subject: &Subject) -> Result<Arc<[Membership]>, StoreError> {
        match self.peek(subject) {
            Some(known) => Ok(known),
            None => Ok(self.store.memberships(subject).await?.into()),
        }
    }

    /// Something about `subject` has changed.
    pub fn forget(&self, subject: &Subject) {
        self.generation(subject).fetch_add(1, Ordering::AcqRel);
        self.known.remove(subject);
    }

    /// Anything may have changed.
    pub fn forget_all(&self) {
        for generation in &self.generations {
            generation.fetch_add(1, Ordering::AcqRel);
        }
        self.known.clear();
    }

    /// Starts anew when there are too many.
    pub fn sweep(&self) {
        if self.known.len() > self.max {
            self.known.clear();
        }
    }

    fn generation(&self, subject: &Subject) -> &AtomicU64 {
        #[expect(clippy::cast_possible_truncation, reason = "only the low bits are used")]
        let slot = self.hasher.hash_one(subject) as usize % GENERATIONS;
        &self.generations[slot]
    }
}
