//! The stream of events.
