//! Puts the parts together: one function builds the running engine.

use crate::config::Config;

/// Why the engine did not run, or did not end well.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The parts are not put together yet.
    #[error("not built yet")]
    NotBuilt,
}

/// Runs the engine until it is told to stop and has drained.
///
/// # Errors
/// When it cannot start or cannot keep what it promised.
pub fn serve(_config: Config) -> Result<(), AppError> {
    Err(AppError::NotBuilt)
}

/// Brings the store to this version's form; with `rebuild`, builds every projection anew from the logs.
///
/// # Errors
/// When the store cannot be opened or changed.
pub fn migrate(_config: Config, _rebuild: bool) -> Result<(), AppError> {
    Err(AppError::NotBuilt)
}
