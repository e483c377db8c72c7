//! The secrets by which clients come back to their seats. They hold what there is to know, so nothing is kept for them:
//! every node that shares the device secret reads them, and a restart changes nothing.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::config::DeviceSecrets;
use crate::domain::people::Subject;
use crate::wire::socketio::Namespace;

/// What is signed beside the seat, so that no other use of the secret could make one.
const PURPOSE: &[u8] = b"mayday socket.io recovery 1\0";

/// Makes and reads them: `<sid>.<HMAC-SHA256 of whose it is, where, and the sid>`.
pub(super) struct Pids {
    /// The first one makes them, all of them read.
    keys: Vec<Hmac<Sha256>>,
}

impl Pids {
    pub fn new(secrets: &DeviceSecrets) -> Self {
        let all = std::iter::once(&secrets.current).chain(&secrets.previous);
        let key = |secret: &crate::config::Secret| {
            Hmac::new_from_slice(secret.reveal()).expect("invariant: HMAC takes keys of any length")
        };
        Self {
            keys: all.map(key).collect(),
        }
    }

    pub fn issue(&self, namespace: &Namespace, whose: &Subject, sid: &str) -> String {
        format!(
            "{sid}.{}",
            hex::encode(sign(&self.keys[0], namespace, whose, sid))
        )
    }

    /// The `sid` of one that was made for this client. The time it takes tells nothing of the right one.
    pub fn sid_of(&self, namespace: &Namespace, whose: &Subject, pid: &str) -> Option<String> {
        let (sid, mac) = pid.split_once('.')?;
        let given = hex::decode(mac).ok()?;
        let good = self
            .keys
            .iter()
            .any(|key| bool::from(sign(key, namespace, whose, sid).ct_eq(&given)));
        good.then(|| sid.to_owned())
    }
}

fn sign(key: &Hmac<Sha256>, namespace: &Namespace, whose: &Subject, sid: &str) -> [u8; 32] {
    let (kind, id) = match whose {
        Subject::User(user) => (b'u', user.to_string()),
        Subject::Device(device) => (b'd', device.reveal().to_owned()),
        Subject::Service(service) => (b's', service.to_string()),
        Subject::Phone(phone) => (b'p', phone.reveal().to_owned()),
    };
    let mut mac = key.clone().chain_update(PURPOSE).chain_update([kind]);
    for part in [id.as_str(), namespace.as_str(), sid] {
        mac.update(&(part.len() as u64).to_be_bytes());
        mac.update(part.as_bytes());
    }
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Secret;
    use crate::domain::ids::DeviceId;

    fn device(n: u8) -> Subject {
        Subject::Device(DeviceId::from_random([n; 16]))
    }

    fn pids(current: u8, previous: Option<u8>) -> Pids {
        let secret = |n: u8| Secret::new(&n.to_string().repeat(32)).unwrap();
        Pids::new(&DeviceSecrets {
            current: secret(current),
            previous: previous.map(secret),
        })
    }

    #[test]
    fn only_whose_seat_it_was_comes_back_to_it() {
        let pids = pids(1, None);
        let pid = pids.issue(&Namespace::MAIN, &device(1), "abc");
        let sid_of = |namespace: &Namespace, whose: &Subject, pid: &str| pids.sid_of(namespace, whose, pid);
        assert_eq!(sid_of(&Namespace::MAIN, &device(1), &pid), Some("abc".to_owned()));
        assert_eq!(sid_of(&Namespace::MAIN, &device(2), &pid), None);
        let sos = Namespace::new("/sos").unwrap();
        assert_eq!(sid_of(&sos, &device(1), &pid), None);
        for wrong in ["", "abc", "abc.", "abc.00", &pid.replacen("abc", "abd", 1)] {
            assert_eq!(sid_of(&Namespace::MAIN, &device(1), wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_seat_outlives_a_new_secret() {
        let before = pids(1, None).issue(&Namespace::MAIN, &device(1), "abc");
        let sid_of = |pids: &Pids| pids.sid_of(&Namespace::MAIN, &device(1), &before);
        assert!(sid_of(&pids(2, Some(1))).is_some());
        assert!(sid_of(&pids(2, None)).is_none());
    }
}
