//! The `mayday` binary.

fn main() {}
