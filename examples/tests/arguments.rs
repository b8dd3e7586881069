//! The arguments of `lan_tracker`.

use std::process::{Command, Output};

fn lan_tracker(arguments: &[&str]) -> Output {
    let cargo = ["run", "--quiet", "--package", "examples", "--example", "lan_tracker", "--"];
    Command::new(env!("CARGO")).args(cargo).args(arguments).output().expect("cargo can be run")
}

#[test]
fn help_says_what_the_folders_are_for() {
    for flag in ["--help", "-h"] {
        let output = lan_tracker(&[flag]);
        let help = String::from_utf8(output.stdout).expect("the help is UTF-8");
        assert!(output.status.success(), "{flag}: {}", output.status);
        for part in ["HTTP and UDP", "[SHARE] [TORRENTS]", "Folder of .torrent files"] {
            assert!(help.contains(part), "{flag}: no {part:?} in {help}");
        }
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let missing = "/nonexistent/videos";
    for (arguments, named) in [
        (&["--share"][..], "--share"),
        (&["-x"], "-x"),
        (&[".", ".", "third"], "third"),
        (&[missing], missing),
        (&[".", "Cargo.toml"], "Cargo.toml"),
    ] {
        let output = lan_tracker(arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && error.contains(named), "{arguments:?}: {} {error}", output.status);
    }
}
