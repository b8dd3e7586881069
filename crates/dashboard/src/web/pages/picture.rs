//! The picture of who is connected to whom: computers on a circle, and lines between them.

use std::f64::consts::TAU;
use std::fmt::{self, Display, Formatter};

use askama::Template;
use askama::filters::HtmlSafe;
use tracker_monitor::{ConnectedComputer, ConnectionGraph};

use crate::web::format::{counted, percent};

/// The width of the drawing, which the browser scales to the column that it is in.
const WIDTH: f64 = 600.0;

/// With more computers than these their names would overlap beside each other: they stand like the spokes of a wheel.
const MAX_BESIDE: usize = 12;

/// The width of a letter of a name, which is not measured: most are narrower.
const LETTER: f64 = 7.0;

/// The distance of a name from the middle of its computer.
const GAP: f64 = 17.0;

/// A picture as an `<svg>`, with a table that says the same.
pub(super) struct Picture {
    /// `30 computers, 112 connections`.
    pub(super) description: String,
    pub(super) rows: Vec<PictureRow>,
    /// `12 computers with fewer connections are left out`.
    pub(super) more: Option<String>,
    drawing: Drawing,
}

/// A computer in the table.
pub(super) struct PictureRow {
    pub(super) name: String,
    /// The names of the computers that it is connected to.
    pub(super) others: String,
    pub(super) has: String,
}

/// The picture itself. Its names are text from the network, which the template escapes.
#[derive(Template)]
#[template(path = "picture.html")]
struct Drawing {
    height: f64,
    description: String,
    lines: Vec<[f64; 4]>,
    nodes: Vec<Node>,
}

struct Node {
    x: f64,
    y: f64,
    class: &'static str,
    label: String,
    /// The name with all of its letters, and what is known of the computer.
    title: String,
    label_x: f64,
    label_y: f64,
    anchor: &'static str,
    /// Degrees by which the label is turned around its beginning or end.
    turn: f64,
}

/// The circle that the computers are on.
struct Circle {
    x: f64,
    y: f64,
    radius: f64,
    computers: usize,
}

impl Picture {
    /// Computers in a picture, at most: with more of them nobody could read it.
    pub(super) const MAX_COMPUTERS: usize = 60;

    pub(super) fn new(graph: &ConnectionGraph) -> Self {
        let circle = Circle::of(graph.computers.len());
        let number = |number: usize, noun| counted(number as u64, noun);
        let description = format!(
            "{}, {} between them.",
            number(graph.computers.len(), "computer"),
            number(graph.connections.len(), "connection")
        );
        let line = |&(from, to): &(usize, usize)| {
            let ((x1, y1), (x2, y2)) = (circle.place(from), circle.place(to));
            [x1, y1, x2, y2]
        };
        let more = (graph.more > 0).then(|| {
            let (s, are) = if graph.more == 1 { ("", "is") } else { ("s", "are") };
            format!("{} more computer{s} with fewer connections {are} left out.", graph.more)
        });
        Self {
            rows: graph
                .computers
                .iter()
                .enumerate()
                .map(|(at, computer)| PictureRow::new(graph, at, computer))
                .collect(),
            more,
            drawing: Drawing {
                height: circle.height(),
                description: description.clone(),
                lines: graph.connections.iter().map(line).collect(),
                nodes: graph.computers.iter().enumerate().map(|(at, computer)| circle.node(at, computer)).collect(),
            },
            description,
        }
    }
}

impl Display for Picture {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.drawing.render().map_err(|_| fmt::Error)?)
    }
}

impl HtmlSafe for Picture {}

impl PictureRow {
    fn new(graph: &ConnectionGraph, at: usize, computer: &ConnectedComputer) -> Self {
        let others = graph.connections.iter().filter_map(|&(from, to)| match at {
            _ if from == at => Some(to),
            _ if to == at => Some(from),
            _ => None,
        });
        let names: Vec<_> = others.map(|other| name(&graph.computers[other])).collect();
        let more = computer.connections.saturating_sub(names.len());
        let others = match (names.is_empty(), more) {
            (true, 0) => "nobody, as far as is known".to_owned(),
            (true, more) => format!("{more} others"),
            (false, 0) => names.join(", "),
            (false, more) => format!("{} and {more} more", names.join(", ")),
        };
        Self { name: name(computer), others, has: has(computer) }
    }
}

impl Circle {
    fn of(computers: usize) -> Self {
        let (radius, height) = if computers <= MAX_BESIDE { (110.0, 280.0) } else { (170.0, WIDTH) };
        Self { x: WIDTH / 2.0, y: height / 2.0, radius, computers }
    }

    fn height(&self) -> f64 {
        self.y * 2.0
    }

    /// Clockwise from the top.
    fn angle(&self, at: usize) -> f64 {
        at as f64 / self.computers.max(1) as f64 * TAU
    }

    fn place(&self, at: usize) -> (f64, f64) {
        self.point(at, self.radius)
    }

    fn point(&self, at: usize, radius: f64) -> (f64, f64) {
        let (sin, cos) = self.angle(at).sin_cos();
        (tenths(self.x + radius * sin), tenths(self.y - radius * cos))
    }

    fn node(&self, at: usize, computer: &ConnectedComputer) -> Node {
        let ((x, y), (label_x, label_y)) = (self.place(at), self.point(at, self.radius + GAP));
        let is_right = self.angle(at) <= TAU / 2.0;
        let is_beside = self.computers <= MAX_BESIDE;
        let degrees = self.angle(at).to_degrees();
        let room = if is_beside { self.x - self.radius - GAP } else { self.y - self.radius - GAP };
        let full = name(computer);
        Node {
            x,
            y,
            class: match computer.completion {
                _ if !computer.has_announced => "is-stranger",
                Some(part) if part >= 1.0 => "has-it",
                _ => "has-part",
            },
            title: format!("{full}: {}", has(computer)),
            label: shortened(&full, (room / LETTER) as usize),
            label_x,
            label_y,
            anchor: match (is_beside && self.angle(at).sin().abs() < 0.1, is_right) {
                (true, _) => "middle",
                (false, true) => "start",
                (false, false) => "end",
            },
            turn: match (is_beside, is_right) {
                (true, _) => 0.0,
                (false, true) => tenths(degrees - 90.0),
                (false, false) => tenths(degrees - 270.0),
            },
        }
    }
}

fn name(computer: &ConnectedComputer) -> String {
    match &computer.name {
        _ if computer.is_this_machine => "this machine".to_owned(),
        Some(name) => name.name.to_string(),
        None => computer.address.to_string(),
    }
}

fn has(computer: &ConnectedComputer) -> String {
    match computer.completion {
        _ if !computer.has_announced => "does not use this tracker".to_owned(),
        Some(part) if part >= 1.0 => "has it".to_owned(),
        Some(part) => percent(part),
        None => "unknown".to_owned(),
    }
}

/// At most so many letters.
fn shortened(name: &str, most: usize) -> String {
    if name.chars().count() <= most {
        return name.to_owned();
    }
    name.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

fn tenths(place: f64) -> f64 {
    (place * 10.0).round() / 10.0 + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(computers: usize, connections: &[(usize, usize)], more: usize) -> ConnectionGraph {
        let computer = |at: usize| {
            let address = [10, 0, 0, at as u8].into();
            let connections = connections.iter().filter(|(from, to)| *from == at || *to == at).count();
            let mut computer = ConnectedComputer::new(address, connections);
            computer.completion = Some(if at == 0 { 1.0 } else { 0.25 });
            computer.has_announced = at != 2;
            computer
        };
        ConnectionGraph::new((0..computers).map(computer).collect(), connections.to_vec(), more)
    }

    #[test]
    fn a_picture_has_each_computer_once_and_a_line_for_each_connection() {
        for computers in [1, 3, MAX_BESIDE, MAX_BESIDE + 1, Picture::MAX_COMPUTERS] {
            let connections: Vec<_> = (1..computers).map(|other| (0, other)).collect();
            let picture = Picture::new(&graph(computers, &connections, 0));
            let svg = picture.to_string();
            assert_eq!(svg.matches("<circle").count(), computers, "{svg}");
            assert_eq!(svg.matches("<line").count(), computers - 1, "{svg}");
            assert_eq!(picture.rows.len(), computers);
            // All places are within the drawing, and no two computers are at the same.
            let Drawing { nodes, lines, height, .. } = &picture.drawing;
            let mut places: Vec<_> = nodes.iter().map(|node| (node.x.to_bits(), node.y.to_bits())).collect();
            places.sort_unstable();
            places.dedup();
            assert_eq!(places.len(), computers);
            for node in nodes {
                let is_inside = |x: f64, y: f64| (0.0..=WIDTH).contains(&x) && (0.0..=*height).contains(&y);
                assert!(is_inside(node.x, node.y) && is_inside(node.label_x, node.label_y));
                let length = node.label.chars().count() as f64 * LETTER;
                let (sin, cos) = node.turn.to_radians().sin_cos();
                let ends = match node.anchor {
                    "start" => [0.0, length],
                    "end" => [-length, 0.0],
                    _ => [-length / 2.0, length / 2.0],
                };
                for along in ends {
                    assert!(is_inside(node.label_x + along * cos, node.label_y + along * sin), "{}", node.label);
                }
            }
            for [x1, y1, x2, y2] in lines {
                let is_node = |x: &f64, y: &f64| nodes.iter().any(|node| (node.x, node.y) == (*x, *y));
                assert!(is_node(x1, y1) && is_node(x2, y2));
            }
        }
    }

    #[test]
    fn a_picture_says_in_words_what_it_shows() {
        let picture = Picture::new(&graph(4, &[(0, 1), (1, 2)], 7));
        let svg = picture.to_string();
        for text in [
            "role=\"img\"",
            "aria-labelledby=\"picture-title picture-desc\"",
            "<title id=\"picture-title\">Who is connected to whom</title>",
            "<desc id=\"picture-desc\">4 computers, 2 connections between them. The table below says the same.</desc>",
            "<title>10.0.0.0: has it</title>",
            "<title>10.0.0.1: 25%</title>",
            "<title>10.0.0.2: does not use this tracker</title>",
        ] {
            assert!(svg.contains(text), "{text} is missing in {svg}");
        }
        let rows: Vec<_> = picture.rows.iter().map(|row| (&*row.name, &*row.others, &*row.has)).collect();
        assert_eq!(
            rows,
            [
                ("10.0.0.0", "10.0.0.1", "has it"),
                ("10.0.0.1", "10.0.0.0, 10.0.0.2", "25%"),
                ("10.0.0.2", "10.0.0.1", "does not use this tracker"),
                ("10.0.0.3", "nobody, as far as is known", "25%"),
            ]
        );
        assert_eq!(picture.more.as_deref(), Some("7 more computers with fewer connections are left out."));
    }

    #[test]
    fn names_are_shortened_and_escaped() {
        let mut graph = graph(1, &[], 0);
        let name = format!("<script>{}", "x".repeat(50));
        graph.computers[0].name =
            Some(tracker_monitor::ComputerName { name: name.into(), source: tracker_monitor::NameSource::Given });
        let svg = Picture::new(&graph).to_string();
        assert!(!svg.contains("<script>") && svg.contains("…</text>"), "{svg}");
        assert_eq!(shortened("lab-07", 6), "lab-07");
        assert_eq!(shortened("lab-007", 6), "lab-0…");
    }
}
