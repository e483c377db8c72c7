//! Settings: every limit with its unit, read from `config.toml` and `MAYDAY__SECTION__KEY`.
