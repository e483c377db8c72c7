//! What is kept of people, who sees it, and how it goes: by their wish, by time, by leaving.

mod absence;
mod ageing;
mod erasure;
mod export;
mod files;
mod positions;
