//! The planner, by its public interface.

mod crowded;
mod introducing;
mod lab;
mod looking;
mod model;
mod never_in_the_way;
mod simulation;
