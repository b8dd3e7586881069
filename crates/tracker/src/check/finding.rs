//! What a check finds.

use std::fmt::{self, Display};

use serde::Serialize;

/// The width of the column before the text.
const WIDTH: usize = 9;

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was checked, for programs.
    check: &'static str,
    kind: Kind,
    text: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// The severity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// As it should be.
    Good,
    /// The tracker works, but perhaps not for all, or not as it should.
    Warning,
    /// It keeps the tracker from working.
    Wrong,
}

impl Finding {
    pub(super) fn good(check: &'static str, text: impl Into<String>) -> Self {
        Self { check, kind: Kind::Good, text: text.into(), advice: None }
    }

    pub(super) fn warning(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, kind: Kind::Warning, text: text.into(), advice: Some(advice.into()) }
    }

    pub(super) fn wrong(check: &'static str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { check, kind: Kind::Wrong, text: text.into(), advice: Some(advice.into()) }
    }

    /// Likewise, with what one may do, but need not.
    pub(super) fn with_advice(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }
}

#[cfg(test)]
impl Finding {
    pub(super) fn kind(&self) -> Kind {
        self.kind
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The text and the advice.
    pub(super) fn words(&self) -> String {
        format!("{} | {}", self.text, self.advice.as_deref().unwrap_or_default())
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = match self.kind {
            Kind::Good => "good",
            Kind::Warning => "warning",
            Kind::Wrong => "WRONG",
        };
        writeln!(f, "{label:WIDTH$}{}", self.text)?;
        for line in self.advice.iter().flat_map(|advice| advice.lines()) {
            writeln!(f, "{:WIDTH$}{line}", "")?;
        }
        Ok(())
    }
}

/// All that a check finds.
#[derive(Debug, Serialize)]
pub(super) struct Findings {
    /// The number of findings that keep the tracker from working.
    wrong: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

impl Findings {
    pub(super) fn new(findings: Vec<Finding>) -> Self {
        let count = |kind| findings.iter().filter(|finding| finding.kind == kind).count();
        Self { wrong: count(Kind::Wrong), warnings: count(Kind::Warning), findings }
    }

    /// The number of findings that keep the tracker from working.
    pub(super) fn wrong(&self) -> usize {
        self.wrong
    }

    /// As JSON, on one line.
    pub(super) fn to_json(&self) -> String {
        let mut json = serde_json::to_string(self).expect("texts and numbers can be written as JSON");
        json.push('\n');
        json
    }
}

impl Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.findings.iter().try_for_each(|finding| finding.fmt(f))?;
        match (self.wrong, self.warnings) {
            (0, 0) => writeln!(f, "\nAll is well."),
            (0, warnings) => writeln!(f, "\nNothing is wrong. Warnings: {warnings}."),
            (wrong, warnings) => writeln!(f, "\nWrong: {wrong}. Warnings: {warnings}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_lines_with_a_sum_at_the_end() {
        let good = Finding::good("clock", "the clock is right");
        let warning = Finding::warning("firewall", "ufw is on", "open the ports:\nsudo ufw allow 6969/tcp");
        let wrong = Finding::wrong("ports", "the port is taken", "choose another one");
        for (findings, expected) in [
            (vec![good.clone()], "good     the clock is right\n\nAll is well.\n"),
            (
                vec![good, warning],
                "good     the clock is right\nwarning  ufw is on\n         open the ports:\n         sudo ufw allow 6969/tcp\n\n\
                 Nothing is wrong. Warnings: 1.\n",
            ),
            (
                vec![wrong.clone()],
                "WRONG    the port is taken\n         choose another one\n\nWrong: 1. Warnings: 0.\n",
            ),
        ] {
            assert_eq!(Findings::new(findings).to_string(), expected);
        }
        assert_eq!(
            Findings::new(vec![wrong]).to_json(),
            "{\"wrong\":1,\"warnings\":0,\"findings\":[{\"check\":\"ports\",\"kind\":\"wrong\",\"text\":\"the port is taken\",\
             \"advice\":\"choose another one\"}]}\n"
        );
    }
}
