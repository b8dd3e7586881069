//! How many files, which is connections, may be open.

/// Raises the limit to what the system allows this process. The usual 1024 stems from programs that cannot do with more.
#[cfg(unix)]
pub(crate) fn raise_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    let highest = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, highest) {
        tracing::debug!(%error, ?limit, "the limit on open files stays as it is");
    }
}

/// There is no such limit.
#[cfg(not(unix))]
pub(crate) fn raise_limit() {}
