//! Copies of the whole store: made while the engine writes, looked through before they are used, put in place of a
//! store that stands still or merged into one that runs.

mod file;
mod make;
mod merge;
mod restore;

pub use file::{BackupError, Manifest};
pub use make::{BackupOptions, backup};
pub use merge::{Merged, Touched};
pub use restore::{Incoming, RestoreOptions, Restored, Staged, stage};
