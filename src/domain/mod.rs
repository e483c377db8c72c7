//! The pure core: what a room is and what may happen in it. Knows no JSON, clock, socket, randomness or actor.
