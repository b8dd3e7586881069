//! The program as people and scripts use it.

mod common;
mod create;
mod interrupt;
mod output;
mod selection;
mod show;
mod verify;
