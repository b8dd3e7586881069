//! The dependencies between our crates: the table in ARCHITECTURE.md, compared with the manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// The heading before the table.
const HEADING: &str = "## Who uses whom";

type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The output of cargo for this workspace.
fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = output.expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn name(package: &Value) -> String {
    package["name"].as_str().expect("a package has a name").to_owned()
}

/// Those of the manifests, for the crates in crates/. What only tests use does not count.
fn found() -> Arrows {
    let metadata = cargo(&["metadata", "--format-version", "1", "--locked", "--no-deps"]);
    let metadata: Value = serde_json::from_slice(&metadata).expect("cargo metadata prints JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let is_ours = |package: &&Value| {
        let manifest = package["manifest_path"].as_str().expect("a path").replace('\\', "/");
        package["source"].is_null() && manifest.contains("/crates/")
    };
    let ours: BTreeSet<_> = packages.iter().filter(is_ours).map(name).collect();
    let uses = |package: &Value| {
        let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
        let dependencies = dependencies.filter(|dependency| dependency["kind"] != "dev").map(name);
        dependencies.filter(|dependency| ours.contains(dependency)).collect()
    };
    packages.iter().filter(is_ours).map(|package| (name(package), uses(package))).collect()
}

/// Those of the table: a line is "| `crate` | `crate`, `crate` |".
fn agreed(architecture: &str) -> Arrows {
    let (_, section) = architecture.split_once(HEADING).expect("ARCHITECTURE.md has the table");
    let section = section.split("\n## ").next().unwrap_or_default();
    let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let rows = section.lines().filter(|line| line.starts_with("| `")).map(|line| {
        let cells: Vec<_> = line.trim_matches('|').split('|').collect();
        let [of, uses] = cells[..] else { panic!("a line of two cells: {line}") };
        (names(of).concat(), names(uses).into_iter().collect())
    });
    rows.collect()
}

#[test]
fn crates_use_each_other_as_the_architecture_says() {
    let (found, agreed) = (found(), agreed(include_str!("../../../ARCHITECTURE.md")));
    let missing: Vec<_> = found.keys().filter(|name| !agreed.contains_key(*name)).collect();
    assert!(missing.is_empty(), "ARCHITECTURE.md, {HEADING:?}: add a line for {missing:?}");
    for (name, agreed) in &agreed {
        let found = found.get(name).unwrap_or_else(|| panic!("ARCHITECTURE.md, {HEADING:?}: there is no crate {name}"));
        assert_eq!(
            found, agreed,
            "crates/{name}/Cargo.toml does not use what ARCHITECTURE.md says under {HEADING:?}: change the dependency or, if \
             the arrow is right, the table"
        );
    }
}

#[test]
fn no_arrow_leads_back() {
    let mut left = found();
    while !left.is_empty() {
        let names: BTreeSet<_> = left.keys().cloned().collect();
        let before = left.len();
        left.retain(|_, uses| uses.iter().any(|used| names.contains(used)));
        assert!(left.len() < before, "these crates use each other in a circle: {:?}", left.keys());
    }
}

/// Nothing by which it could do I/O is below the core, directly or not.
#[test]
fn the_core_has_no_way_to_do_io() {
    const IO: [&str; 9] = ["tokio", "axum", "hyper", "mio", "socket2", "rustix", "nix", "getrandom", "if-addrs"];

    let tree = cargo(&["tree", "--locked", "--package", "tracker-core", "--edges", "normal", "--prefix", "none"]);
    let tree = String::from_utf8(tree).expect("cargo tree prints UTF-8");
    let names: BTreeSet<_> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    assert!(names.contains("tracker-core") && names.len() > 3, "{names:?}");
    let io: Vec<_> = IO.iter().filter(|io| names.contains(**io)).collect();
    assert!(io.is_empty(), "tracker-core depends on {io:?}");
}
