//! Credentials: whose keys count, for how long, and what each lets its bearer do.

mod devices;
mod expiry;
mod issuer;
mod keys;
mod missions;
mod rotation;
mod services;
#[path = "../../../src/http/keys/testing.rs"]
mod signer;
