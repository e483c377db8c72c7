//! HTTP: parses, calls a handle, renders; decides nothing.
