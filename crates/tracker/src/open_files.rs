//! The limit on open files, and with it on connections.

/// Raises the limit to the maximum for this process. The usual limit of 1024 is there for programs that use `select`.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let highest = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, highest) {
        tracing::debug!(%error, ?limit, "cannot raise the limit on open files");
    }
}

/// Does nothing: there is no such limit.
#[cfg(not(unix))]
pub(crate) fn raise_limit() {}
