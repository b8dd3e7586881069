//! The program as people and scripts use it.

mod common;
mod create;
mod interrupt;
mod show;
mod verify;
