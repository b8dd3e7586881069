//! Runs of the program.

use std::process::{Command, Output};

use serde_json::Value;

/// The outcome of a run.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) json: Value,
}

pub(crate) fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_simulate-swarm"))
}

/// Runs the program to its end.
pub(crate) fn simulate(url: &str, arguments: &[&str]) -> Outcome {
    let output = program().arg(url).args(arguments).args(["--quiet", "--json", "-"]).output().unwrap();
    outcome(&output)
}

pub(crate) fn outcome(output: &Output) -> Outcome {
    let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    Outcome { code: output.status.code(), json }
}

impl Outcome {
    pub(crate) fn number(&self, pointer: &str) -> f64 {
        let value = self.json.pointer(pointer).and_then(Value::as_f64);
        value.unwrap_or_else(|| panic!("no number at {pointer}: {self:?}"))
    }

    pub(crate) fn text(&self, pointer: &str) -> &str {
        self.json.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {pointer}: {self:?}"))
    }

    /// The kinds of violation in both phases.
    pub(crate) fn violations(&self) -> Vec<&str> {
        let kinds = ["/fill/violations", "/steady/violations"].into_iter().filter_map(|at| self.json.pointer(at));
        let mut kinds: Vec<_> = kinds.flat_map(|kinds| kinds.as_object().unwrap().keys()).map(String::as_str).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}
