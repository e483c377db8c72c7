//! The documents: that they say what is so, and nothing else. That each answer and each frame fits them, every
//! story of the other modules proves on its way.

mod chance;
mod dialect;
mod documents;
mod mill;
mod page;
mod refusals;
mod requests;
mod values;
