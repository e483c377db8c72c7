//! How a message stands.

named! {
    /// How a message stands. Vendors report late, twice and out of order: [`DeliveryState::can_become`] says what counts.
    DeliveryState {
        /// It waits for its turn, its time, or for what came before it to fail.
        Pending = "PENDING",
        /// A vendor is being asked to take it.
        Sending = "SENDING",
        /// That failed, or a vendor gave back what it had taken: it will be tried again or with the next vendor.
        FailedTemporary = "FAILED_TEMPORARY",
        /// A vendor took it.
        Accepted = "ACCEPTED",
        /// No vendor will carry it.
        FailedPermanent = "FAILED_PERMANENT",
        /// Its time ran out before a vendor took it.
        Expired = "EXPIRED",
        /// What it was about was over before it was sent.
        Cancelled = "CANCELLED",
        /// Another message reached the same person first.
        Superseded = "SUPERSEDED",
        /// It is on their device or in their mailbox.
        Delivered = "DELIVERED",
        /// They have seen it.
        Read = "READ",
    }
}

impl DeliveryState {
    /// Whether nothing is left to be done for it. News of a vendor may still come.
    pub const fn is_final(self) -> bool {
        !matches!(
            self,
            Self::Pending | Self::Sending | Self::FailedTemporary | Self::Accepted
        )
    }

    /// Whether it got to its person, as far as is known.
    pub const fn has_arrived(self) -> bool {
        matches!(self, Self::Delivered | Self::Read)
    }

    /// Whether a vendor has it, or somebody.
    pub const fn is_out(self) -> bool {
        matches!(self, Self::Accepted | Self::Delivered | Self::Read)
    }

    /// Whether it came to nothing.
    pub const fn is_failed(self) -> bool {
        matches!(self, Self::FailedPermanent | Self::Expired)
    }

    /// Whether `next` is news. That it arrived is, whatever was thought before; nothing that was reached is taken back,
    /// but for a vendor that gives back what it had taken and for one attempt after another.
    pub const fn can_become(self, next: Self) -> bool {
        match (self, next) {
            (Self::Read, _) | (_, Self::Pending) => false,
            (_, Self::Read)
            | (Self::FailedTemporary, Self::Sending)
            | (Self::Accepted, Self::FailedTemporary) => true,
            (Self::Delivered, _) => false,
            (_, Self::Delivered) => true,
            (from, next) => !from.is_final() && (next as u8) > (from as u8),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_state() -> impl Strategy<Value = DeliveryState> {
        proptest::sample::select(DeliveryState::ALL)
    }

    #[test]
    fn a_message_goes_its_way() {
        use DeliveryState::{Accepted, Delivered, FailedPermanent, FailedTemporary, Pending, Read, Sending};
        for (from, to) in [
            (Pending, Sending),
            (Sending, Accepted),
            (Sending, FailedTemporary),
            (FailedTemporary, Sending),
            (Sending, FailedPermanent),
            (Accepted, FailedTemporary),
            (Accepted, Delivered),
            (Accepted, Read),
            (Delivered, Read),
            (FailedPermanent, Delivered),
        ] {
            assert!(from.can_become(to), "{from:?} to {to:?}");
        }
        for (from, to) in [
            (Accepted, Sending),
            (Delivered, Accepted),
            (Delivered, FailedPermanent),
            (Read, Delivered),
            (FailedPermanent, Sending),
            (FailedPermanent, Accepted),
            (Accepted, Pending),
        ] {
            assert!(!from.can_become(to), "{from:?} to {to:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_is_news_twice(state in any_state()) {
            prop_assert!(!state.can_become(state));
        }

        #[test]
        fn whatever_order_news_comes_in_what_arrived_stays_arrived(
            news in proptest::collection::vec(any_state(), 0..30),
        ) {
            let mut state = DeliveryState::Pending;
            let (mut arrived, mut read) = (false, false);
            for next in news {
                if state.can_become(next) {
                    state = next;
                }
                arrived |= next.has_arrived();
                read |= next == DeliveryState::Read;
                prop_assert_eq!(arrived, state.has_arrived());
                prop_assert_eq!(read, state == DeliveryState::Read);
            }
        }
    }
}
