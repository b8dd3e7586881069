//! The store as a whole: on a disk that fails, and on files that are damaged.

mod crashes;
mod damage;
mod disk;
