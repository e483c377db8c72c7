//! Puts the parts together: one function builds the running engine.
