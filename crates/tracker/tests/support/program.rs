use std::path::Path;
use std::process::{Child, ExitStatus};

use anyhow::ensure;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A program that runs on a [`Host`](super::host::Host). It is killed when it goes out of scope.
#[derive(Debug)]
pub(crate) struct Program {
    name: String,
    child: Child,
}

impl Program {
    pub(crate) fn new(program: &str, child: Child) -> Self {
        let name = Path::new(program).file_name().unwrap_or_default().to_string_lossy().into_owned();
        Self { name, child }
    }

    /// An error when the program has ended by itself, which none of them should.
    pub(crate) fn check_alive(&mut self) -> anyhow::Result<()> {
        let status = self.child.try_wait()?;
        ensure!(status.is_none(), "{} has ended: {}", self.name, status.unwrap_or_default());
        Ok(())
    }

    /// The id of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Asks the program to end, as `kill` and a service manager do.
    pub(crate) fn terminate(&self) {
        let pid = Pid::from_raw(self.child.id().try_into().expect("a pid is a positive i32"));
        kill(pid, Signal::SIGTERM).expect("a child can be signalled");
    }

    /// The exit status of the program, if it has ended.
    pub(crate) fn exit_status(&mut self) -> anyhow::Result<ExitStatus> {
        self.child.try_wait()?.ok_or_else(|| anyhow::anyhow!("{} still runs", self.name))
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Both fail only when the program has ended before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
