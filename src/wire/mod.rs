//! Bytes to types and back: the JSON dialect and the REST bodies. No I/O.
