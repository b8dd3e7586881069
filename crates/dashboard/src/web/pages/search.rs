//! Searching lists of names.

/// A part of a name that is searched for, in either case; empty for all.
#[derive(Debug)]
pub(super) struct Search {
    text: String,
    lower: String,
}

impl Search {
    pub(super) fn new(text: Option<&str>) -> Self {
        let text = text.unwrap_or_default().trim().to_owned();
        Self { lower: text.to_lowercase(), text }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// What it finds in a list, by the names of its items.
    pub(super) fn find<'a, T>(&self, list: &'a [T], name: impl Fn(&T) -> &str) -> Vec<&'a T> {
        let is_found = |item: &&T| self.lower.is_empty() || name(item).to_lowercase().contains(&self.lower);
        list.iter().filter(is_found).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_in_either_case() {
        let names = ["Day 1", "day 2", "Night", "ÜBUNG"];
        let found =
            |text: &str| Search::new(Some(text)).find(&names, |name| name).into_iter().copied().collect::<Vec<_>>();
        assert_eq!(found(" day "), ["Day 1", "day 2"]);
        assert_eq!(found("übung"), ["ÜBUNG"]);
        assert_eq!(found(" "), names);
        assert!(found("none").is_empty());
        assert_eq!(Search::new(None).text(), "");
    }
}
