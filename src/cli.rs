//! The command line: `serve`, `token`, `migrate`, `check`.
