//! Contacts that another service keeps: asked for when what is known is too old, and written over the lists in the store,
//! which are what everything else reads. So they are there when the service is not, on every node, and after a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::asking::{AskSettings, Asking, Trouble, Unanswered};
use super::cluster::follow_contacts;
use super::error::CommandError;
use super::lookup::Memory;
use super::node::Node;
use super::room::Work;
use super::turns::Turns;
use crate::bus::{News, Topic};
use crate::domain::ids::UserId;
use crate::domain::people::{ContactBook, Subject};
use crate::domain::phone::PhoneNumber;
use crate::store::StoreError;

/// What the service said.
#[derive(Clone, Debug, PartialEq)]
pub enum BookAnswer {
    /// These; of somebody whom it does not know, none.
    Book(Box<ContactBook>),
    /// Something that cannot be understood.
    Unusable,
}

/// The service that keeps contacts.
#[async_trait]
pub trait ContactsService: Send + Sync + 'static {
    /// Asks for somebody's lists, once, and waits no longer than `patience`.
    ///
    /// # Errors
    /// Why there is no answer.
    async fn book(&self, owner: &UserId, patience: Duration) -> Result<BookAnswer, Trouble>;
}

/// The numbers it goes by.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// How it is asked.
    pub ask: AskSettings,
    /// How long an answer counts.
    pub fresh_for: Duration,
    /// After an answer that cannot be understood, or none: how long what is known counts.
    pub stale_for: Duration,
    /// People of whom it is known how old their lists are.
    pub remembered: usize,
}

/// What it counts.
#[derive(Debug, Default)]
pub struct RemoteCounts {
    /// Lists that the service gave.
    pub asked: AtomicU64,
    /// Those of them that were others than those known.
    pub changed: AtomicU64,
    /// Answers that could not be understood.
    pub unusable: AtomicU64,
    /// Lists that were read as they were known, because there was no answer.
    pub stale: AtomicU64,
}

/// Asks the service.
pub struct RemoteContacts {
    service: Arc<dyn ContactsService>,
    settings: RemoteSettings,
    asking: Asking,
    fresh: Mutex<Memory<UserId, ()>>,
    turns: Turns,
    counts: RemoteCounts,
}

impl RemoteContacts {
    /// Asks `service`.
    pub fn new(service: Arc<dyn ContactsService>, settings: RemoteSettings) -> Self {
        Self {
            service,
            asking: Asking::new("contacts", settings.ask.clone()),
            fresh: Mutex::new(Memory::new(settings.remembered)),
            turns: Turns::default(),
            counts: RemoteCounts::default(),
            settings,
        }
    }

    /// How it is asked.
    pub fn asking(&self) -> &Asking {
        &self.asking
    }

    /// What it has done.
    pub fn counts(&self) -> &RemoteCounts {
        &self.counts
    }

    /// People of whom it is known how old their lists are, and how many they may be.
    pub fn remembered(&self) -> (usize, usize) {
        (self.fresh.lock().len(), self.settings.remembered)
    }

    fn is_fresh(&self, owner: &UserId) -> bool {
        self.fresh.lock().get(owner, self.asking.now()).is_some()
    }

    fn counts_for(&self, owner: &UserId, span: Duration) {
        self.fresh.lock().put(owner.clone(), (), self.asking.now(), span);
    }

    /// The service's word; `None`: what is known has to do for a while.
    async fn fetch(&self, owner: &UserId) -> Result<ContactBook, Unanswered> {
        let asked = self
            .asking
            .ask(|patience| self.service.book(owner, patience))
            .await;
        let why = match asked {
            Ok(BookAnswer::Book(book)) => {
                self.counts.asked.fetch_add(1, Ordering::Relaxed);
                return Ok(*book);
            }
            Ok(BookAnswer::Unusable) => {
                self.counts.unusable.fetch_add(1, Ordering::Relaxed);
                tracing::error!("the contacts service answers what cannot be understood");
                Unanswered {
                    after: self.settings.stale_for,
                    trouble: None,
                }
            }
            Err(why) => why,
        };
        Err(why)
    }
}

impl Node {
    /// Somebody's contact lists: as the service that keeps them says, or as they were known last when it does not; as the
    /// store has them when there is no such service. Waits for the service no longer than its deadline.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn contact_book(&self, owner: &Subject) -> Result<ContactBook, StoreError> {
        let (Some(remote), Subject::User(user)) = (self.contacts.get(), owner) else {
            return self.store.contacts(owner).await;
        };
        if !remote.is_fresh(user) {
            // One question for all who ask at once.
            let patience = remote.settings.ask.deadline;
            let _turn = remote.turns.turn(owner, patience).await;
            if !remote.is_fresh(user) {
                match remote.fetch(user).await {
                    Ok(book) => {
                        remote.counts_for(user, remote.settings.fresh_for);
                        return Ok(self.take_over(remote, owner, book).await);
                    }
                    Err(why) => {
                        remote.counts.stale.fetch_add(1, Ordering::Relaxed);
                        remote.counts_for(user, why.after.min(remote.settings.stale_for));
                    }
                }
            }
        }
        self.store.contacts(owner).await
    }

    /// Somebody's lists have changed where they are kept: they are read now, and whoever goes by them is told.
    ///
    /// # Errors
    /// When the service does not say what they are now, or they cannot be kept.
    pub async fn contacts_moved(&self, user: &UserId) -> Result<(), MovedError> {
        let Some(remote) = self.contacts.get() else {
            return Err(MovedError::NotRemote);
        };
        let owner = Subject::User(user.clone());
        let book = remote
            .fetch(user)
            .await
            .map_err(|why| MovedError::Unanswered(why.after))?;
        if self.store.contacts(&owner).await.map_err(CommandError::from)? != book {
            remote.counts.changed.fetch_add(1, Ordering::Relaxed);
            self.replace_contacts(&owner, None, book).await?;
        }
        remote.counts_for(user, remote.settings.fresh_for);
        Ok(())
    }

    /// Keeps what the service said. That it cannot be kept does not make it less true.
    async fn take_over(&self, remote: &RemoteContacts, owner: &Subject, book: ContactBook) -> ContactBook {
        match self.store.contacts(owner).await {
            Ok(known) if known == book => {}
            Ok(_) => {
                remote.counts.changed.fetch_add(1, Ordering::Relaxed);
                if let Err(error) = self.replace_contacts(owner, None, book.clone()).await {
                    tracing::warn!(%error, "contacts that another service keeps could not be kept here");
                }
            }
            Err(error) => {
                tracing::warn!(%error, "contacts that another service keeps could not be kept here");
            }
        }
        book
    }
}

impl Node {
    /// Replaces somebody's contact lists; `name` is what their contacts are told whose they are. Their open circles follow
    /// at once, on every node.
    ///
    /// # Errors
    /// When the store fails or a circle is too busy to be told.
    pub async fn replace_contacts(
        &self,
        subject: &Subject,
        name: Option<String>,
        book: ContactBook,
    ) -> Result<(), CommandError> {
        let node = self;
        let before = if node.cluster.clustered {
            node.store.contacts(subject).await?
        } else {
            ContactBook::default()
        };
        node.store.put_contacts(subject, book.clone()).await?;
        node.contacts_changed(subject);
        let book = Arc::new(book);
        let circles = node.store.circles_of(subject).await?;
        if !node.cluster.clustered {
            for circle in circles {
                // A circle that is not in use reads the list when it is next needed.
                if let Some(room) = node.registry.peek(&circle) {
                    room.hand_over(Work::Contacts(Arc::clone(&book)))
                        .map_err(|(_, error)| error)?;
                }
            }
            return Ok(());
        }
        let (added, removed) = (missing(&book, &before), missing(&before, &book));
        let news = News::Contacts {
            owner: subject.clone(),
            name: name.clone(),
            circles: circles.clone(),
            added: added.clone(),
            removed: removed.clone(),
        };
        node.bus.publish(Topic::Everyone, news);
        for circle in &circles {
            follow_contacts(node, circle, name.as_deref(), &book, (&added, &removed))?;
        }
        Ok(())
    }
}

/// The emergency contacts of one list that another has not.
fn missing(of: &ContactBook, from: &ContactBook) -> Vec<PhoneNumber> {
    let phones = of.emergency.iter().map(|contact| &contact.phone);
    phones.filter(|phone| !from.lists(phone)).cloned().collect()
}

/// Why changed lists were not taken over.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MovedError {
    /// They are kept here.
    #[error("contacts are kept here")]
    NotRemote,
    /// The service does not say what they are now: tell again after this.
    #[error("the contacts service does not answer")]
    Unanswered(Duration),
    /// They could not be kept.
    #[error(transparent)]
    Failed(#[from] CommandError),
}
