//! `simulate-swarm`: plays many BitTorrent peers against any tracker and checks every answer.
//!
//! It needs Linux: packets leave from thousands of addresses of the loopback interface, and what the tracker costs is read
//! from `/proc`.

#[cfg(target_os = "linux")]
mod address;
#[cfg(target_os = "linux")]
mod answer;
#[cfg(target_os = "linux")]
mod ask;
#[cfg(target_os = "linux")]
mod check;
#[cfg(target_os = "linux")]
mod cli;
#[cfg(target_os = "linux")]
mod http;
#[cfg(target_os = "linux")]
mod own_peer;
#[cfg(target_os = "linux")]
mod pace;
#[cfg(target_os = "linux")]
mod persona;
#[cfg(target_os = "linux")]
mod play;
#[cfg(target_os = "linux")]
mod plot;
#[cfg(target_os = "linux")]
mod popularity;
#[cfg(target_os = "linux")]
mod population;
#[cfg(target_os = "linux")]
mod process;
#[cfg(target_os = "linux")]
mod progress;
#[cfg(target_os = "linux")]
mod record;
#[cfg(target_os = "linux")]
mod report;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod summary;
#[cfg(target_os = "linux")]
mod target;
#[cfg(target_os = "linux")]
mod traffic;
#[cfg(target_os = "linux")]
mod udp;
#[cfg(target_os = "linux")]
mod violation;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    run::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    eprintln!("simulate-swarm: needs Linux");
    std::process::ExitCode::from(2)
}
