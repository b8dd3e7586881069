//! The one place where an error becomes the answer to a client.
//!
//! The protocol has no field for when to come back; clients decide that themselves.

use tracker_core::ScrapeError;

use crate::response::encode_error;

/// An answer that refuses a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    reason: String,
}

impl Failure {
    /// The answer with this text.
    pub(crate) fn new(reason: String) -> Self {
        Self { reason }
    }

    /// The text for the user of the client.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// Appends the answer.
    pub(crate) fn encode(&self, transaction_id: u32, out: &mut Vec<u8>) {
        encode_error(transaction_id, &self.reason, out);
    }
}

impl From<ScrapeError> for Failure {
    fn from(error: ScrapeError) -> Self {
        let reason = match error {
            ScrapeError::UnknownUser => {
                "this tracker is for users, whose keys a scrape over UDP cannot carry".to_owned()
            }
            _ => error.to_string(),
        };
        Self { reason }
    }
}
