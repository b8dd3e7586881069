//! The spreader, by its public interface.

mod any_order;
mod choking;
mod links;
mod pieces;
mod rarity;
mod requesting;
mod rules;
mod scenario;
mod source;
mod spreading;
mod swarm;
