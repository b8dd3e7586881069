//! The files and connections that this process has open.

/// The files and connections that this process has open, and how many it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenFiles {
    /// The number of those that are open.
    pub open: u64,
    /// The limit.
    pub limit: u64,
}

impl OpenFiles {
    /// Asks the system; `None` where there is no limit, or where it cannot be asked. Takes time with a hundred thousand of them, since
    /// older kernels have to be asked for each.
    #[cfg(target_os = "linux")]
    pub fn look() -> Option<Self> {
        use std::fs;

        use rustix::process::{Resource, getrlimit};

        const OPEN_FILES: &str = "/proc/self/fd";

        let limit = getrlimit(Resource::Nofile).current?;
        // Since Linux 6.2 the folder knows how many it has; before that its size is 0.
        let open = match fs::metadata(OPEN_FILES).ok()?.len() {
            0 => fs::read_dir(OPEN_FILES).ok()?.count() as u64,
            open => open,
        };
        Some(Self { open, limit })
    }

    /// Asks the system; `None` where there is no limit, or where it cannot be asked.
    #[cfg(not(target_os = "linux"))]
    pub fn look() -> Option<Self> {
        None
    }

    /// Returns `true` if more than nine tenths of them are open, so that connections are refused soon.
    pub fn is_near_limit(&self) -> bool {
        self.open > self.limit / 10 * 9
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn open_files_are_counted() {
        let before = OpenFiles::look().unwrap();
        let files: Vec<_> = (0..200).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let after = OpenFiles::look().unwrap();
        drop(files);
        // Other tests open and close some, too.
        assert!(after.open >= before.open + 100, "{before:?} {after:?}");
        assert_eq!(after.limit, before.limit);
    }

    #[test]
    fn nine_tenths_are_near_the_limit() {
        for (open, is_near) in [(0, false), (900, false), (901, true), (1024, true)] {
            assert_eq!(OpenFiles { open, limit: 1000 }.is_near_limit(), is_near, "{open}");
        }
    }
}
