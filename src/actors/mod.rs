//! The actix actors: thin shells round the domain. They know no HTTP.
