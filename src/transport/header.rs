//! The header of a client's frame, checked as soon as its bytes are there.
//!
//! actix-http's parser looks at some of this late, at the end of the payload, and at some of it
//! not at all: a control frame that is too long, a length that is not minimal, a frame over the
//! limit. Nobody shall be able to make us wait for, or store, what will be refused.

use crate::delivery::{CloseReason, Fault};

pub(super) const CONTINUATION: u8 = 0x0;
pub(super) const TEXT: u8 = 0x1;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) opcode: u8,
    pub(super) header_len: usize,
    pub(super) payload_len: usize,
    pub(super) mask: [u8; 4],
}

impl Header {
    pub(super) fn frame_len(&self) -> usize {
        self.header_len + self.payload_len
    }
}

/// Whether a message is unfinished, and how much of it has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) started: bool,
    pub(super) frame_max: usize,
    /// How much more the message may hold.
    pub(super) message_room: usize,
}

/// Reads a header. `None` if it is not complete and what is there is fine.
pub(super) fn parse(bytes: &[u8], bounds: Bounds) -> Result<Option<Header>, CloseReason> {
    let Some(&first) = bytes.first() else {
        return Ok(None);
    };
    let opcode = first & 0x0F;
    let is_control = opcode >= 0x8;
    check_first(first, opcode, bounds.started).map_err(CloseReason::Protocol)?;
    let Some(&second) = bytes.get(1) else {
        return Ok(None);
    };
    if second & 0x80 == 0 {
        return Err(CloseReason::Protocol(Fault::Unmasked));
    }
    let short = second & 0x7F;
    if is_control && short > 125 {
        return Err(CloseReason::Protocol(Fault::LongControl));
    }
    let Some((len, len_bytes)) = payload_len(short, &bytes[2..]).map_err(CloseReason::Protocol)? else {
        return Ok(None);
    };
    let payload_len = usize::try_from(len).map_err(|_| CloseReason::TooLarge)?;
    if !is_control && (payload_len > bounds.frame_max || payload_len > bounds.message_room) {
        return Err(CloseReason::TooLarge);
    }
    let Some(mask) = bytes.get(2 + len_bytes..).and_then(<[u8]>::first_chunk::<4>) else {
        return Ok(None);
    };
    Ok(Some(Header {
        opcode,
        header_len: 2 + len_bytes + 4,
        payload_len,
        mask: *mask,
    }))
}

fn check_first(first: u8, opcode: u8, started: bool) -> Result<(), Fault> {
    if first & 0x70 != 0 {
        return Err(Fault::ReservedBits);
    }
    match opcode {
        0x0 if !started => Err(Fault::NothingToContinue),
        0x1 | 0x2 if started => Err(Fault::Unfinished),
        0x8..=0xA if first & 0x80 == 0 => Err(Fault::FragmentedControl),
        0x0..=0x2 | 0x8..=0xA => Ok(()),
        _ => Err(Fault::UnknownOpcode),
    }
}

/// The payload's length and in how many bytes after the second it stands.
fn payload_len(short: u8, rest: &[u8]) -> Result<Option<(u64, usize)>, Fault> {
    let (len, bytes, shortest) = match short {
        126 => {
            let Some(len) = rest.first_chunk::<2>() else {
                return Ok(None);
            };
            (u64::from(u16::from_be_bytes(*len)), 2, 126)
        }
        127 => {
            let Some(len) = rest.first_chunk::<8>() else {
                return Ok(None);
            };
            (u64::from_be_bytes(*len), 8, 65_536)
        }
        short => return Ok(Some((u64::from(short), 0))),
    };
    if len < shortest || len >> 63 != 0 {
        return Err(Fault::BadLength);
    }
    Ok(Some((len, bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds {
        started: false,
        frame_max: 100_000,
        message_room: 100_000,
    };

    #[test]
    fn what_is_wrong_is_refused_with_the_first_bytes_that_show_it() {
        let started = Bounds {
            started: true,
            ..BOUNDS
        };
        let cases: [(&[u8], Bounds, CloseReason); 13] = [
            (&[0xC1], BOUNDS, CloseReason::Protocol(Fault::ReservedBits)),
            (&[0x91], BOUNDS, CloseReason::Protocol(Fault::ReservedBits)),
            (&[0x83], BOUNDS, CloseReason::Protocol(Fault::UnknownOpcode)),
            (&[0x8F], BOUNDS, CloseReason::Protocol(Fault::UnknownOpcode)),
            (&[0x80], BOUNDS, CloseReason::Protocol(Fault::NothingToContinue)),
            (&[0x81], started, CloseReason::Protocol(Fault::Unfinished)),
            (&[0x09], BOUNDS, CloseReason::Protocol(Fault::FragmentedControl)),
            (&[0x89, 0xFE], BOUNDS, CloseReason::Protocol(Fault::LongControl)),
            (&[0x81, 0x05], BOUNDS, CloseReason::Protocol(Fault::Unmasked)),
            (
                &[0x81, 0xFE, 0, 125],
                BOUNDS,
                CloseReason::Protocol(Fault::BadLength),
            ),
            (
                &[0x81, 0xFF, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF],
                BOUNDS,
                CloseReason::Protocol(Fault::BadLength),
            ),
            (
                &[0x81, 0xFF, 0x80, 0, 0, 0, 0, 1, 0, 0],
                BOUNDS,
                CloseReason::Protocol(Fault::BadLength),
            ),
            (
                &[0x81, 0xFF, 0, 0, 0, 0, 0, 2, 0, 0],
                BOUNDS,
                CloseReason::TooLarge,
            ),
        ];
        for (bytes, bounds, reason) in cases {
            assert_eq!(parse(bytes, bounds), Err(reason), "{bytes:x?}");
        }
    }

    #[test]
    fn a_header_is_read_once_it_is_whole() {
        let whole = [0x82, 0xFE, 1, 0, 9, 8, 7, 6];
        for end in 0..whole.len() {
            assert_eq!(parse(&whole[..end], BOUNDS), Ok(None));
        }
        let header = parse(&whole, BOUNDS).unwrap().unwrap();
        assert_eq!(
            header,
            Header {
                opcode: 2,
                header_len: 8,
                payload_len: 256,
                mask: [9, 8, 7, 6]
            }
        );
        assert_eq!(header.frame_len(), 264);
    }

    #[test]
    fn the_fragments_of_a_message_share_its_room() {
        let bounds = Bounds {
            started: true,
            message_room: 10,
            ..BOUNDS
        };
        assert!(parse(&[0x80, 0x8A, 0, 0, 0, 0], bounds).unwrap().is_some());
        assert_eq!(parse(&[0x80, 0x8B], bounds), Err(CloseReason::TooLarge));
        assert!(
            parse(&[0x89, 0x8B, 0, 0, 0, 0], bounds).unwrap().is_some(),
            "a ping is no part of it"
        );
    }
}
