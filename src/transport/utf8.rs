//! UTF-8 checked as it arrives, so that bad text is refused before its end has come.

use crate::delivery::CloseReason;

/// What was seen of a text so far: at most the beginning of one character is open.
#[derive(Debug, Default)]
pub(super) struct Utf8 {
    open: [u8; 4],
    len: usize,
}

impl Utf8 {
    /// Takes the next bytes of the text.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), CloseReason> {
        while self.len > 0 {
            let Some((first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            self.open[self.len] = *first;
            self.len += 1;
            bytes = rest;
            match std::str::from_utf8(&self.open[..self.len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_none() => {}
                Err(_) => return Err(CloseReason::InvalidText),
            }
        }
        if let Err(error) = std::str::from_utf8(bytes) {
            if error.error_len().is_some() {
                return Err(CloseReason::InvalidText);
            }
            let rest = &bytes[error.valid_up_to()..];
            self.open[..rest.len()].copy_from_slice(rest);
            self.len = rest.len();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_passes_in_pieces_of_any_size(text: String, size in 1_usize..7) {
            let mut utf8 = Utf8::default();
            for piece in text.as_bytes().chunks(size) {
                prop_assert!(utf8.feed(piece).is_ok());
            }
            prop_assert_eq!(utf8.len, 0);
        }

        #[test]
        fn pieces_are_refused_exactly_when_the_whole_is(bytes: Vec<u8>, size in 1_usize..7) {
            let mut utf8 = Utf8::default();
            let refused = bytes.chunks(size).any(|piece| utf8.feed(piece).is_err());
            prop_assert_eq!(refused || utf8.len > 0, std::str::from_utf8(&bytes).is_err());
        }
    }

    #[test]
    fn a_bad_beginning_is_refused_before_its_end() {
        let mut utf8 = Utf8::default();
        assert!(utf8.feed(&[0xF4]).is_ok());
        assert!(utf8.feed(&[0x90]).is_err());
    }
}
