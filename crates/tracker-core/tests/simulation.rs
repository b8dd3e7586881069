//! Clients join, move, restart, vanish and come back at random, against a model that is as plain as the specification.
//!
//! `SIMULATION_SEEDS` sets how many seeds are tried, `SIMULATION_STEPS` how many operations each. A failure names its seed
//! and step; `SIMULATION_SEED` tries that seed only.

mod model;

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;

use model::subject::{HeardShards, Subject};
use model::trial::{self, SHARDS, Trial};
use model::world::World;
use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tracker_core::{Config, Tracker};

const SEEDS: u64 = 200;
const STEPS: usize = 500;
const CLIENTS: usize = 24;

#[test]
fn a_tracker_is_as_the_model() {
    simulate(|config, rng| Tracker::new(config, rng).expect("a valid configuration"));
}

#[test]
fn shards_are_as_one_tracker() {
    simulate(|config, rng| HeardShards::new(config, SHARDS, rng));
}

proptest! {
    /// Runs the fuzz target of this name on a few inputs.
    #[test]
    fn tracker_ops(input in vec(any::<u8>(), 0..2000)) {
        trial::tracker_ops(&input);
    }
}

fn simulate<S: Subject>(new: impl Fn(Config, &mut StdRng) -> S) {
    let steps = variable("SIMULATION_STEPS").unwrap_or(STEPS);
    let seeds = match variable("SIMULATION_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("SIMULATION_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let mut rng = StdRng::seed_from_u64(seed);
        let config = World::config(&mut rng);
        let mut world = World::new(CLIENTS, &mut rng);
        let mut trial = Trial::new(new(config.clone(), &mut rng), config, seed);
        for step in 0..steps {
            let operation = world.next(&mut rng);
            if let Err(cause) = panic::catch_unwind(AssertUnwindSafe(|| trial.run(&operation))) {
                let message = message(cause.as_ref());
                panic!("seed {seed}, step {step}: {message}\nin {operation:#?}\nagain: SIMULATION_SEED={seed}");
            }
        }
    }
}

fn variable<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} should be a number, but is {text:?}")))
}

fn message(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("panicked")
}
