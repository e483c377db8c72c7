//! The store contract and its implementations. Knows no actors.
