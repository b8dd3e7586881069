use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns};

use super::generation::Generation;
use super::http::{self, Request, Response};
use super::network::ip;
use super::program::Program;

/// Longest wait for a connection or for the next bytes of an answer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// A machine of a [`Lan`](super::network::Lan): a network namespace with one address and a folder for its files.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) namespace: String,
    pub(crate) address: Ipv4Addr,
    pub(crate) folder: PathBuf,
    /// The clients that it runs.
    pub(crate) generation: Generation,
}

impl Host {
    /// The same host with clients of this generation.
    pub(crate) fn with(self, generation: Generation) -> Self {
        Self { generation, ..self }
    }

    /// Runs a program on this host with an empty environment and this host's folder as its home.
    ///
    /// Its output goes to `<program>.log` in the folder. It does not outlive the calling thread, not even when the
    /// whole test is killed.
    pub(crate) fn run(&self, program: &str, arguments: &[&str]) -> Program {
        let name = Path::new(program).file_name().expect("a program has a name");
        let log = self.folder.join(name).with_extension("log");
        let log = File::options().create(true).append(true).open(log).expect("a log can be written");
        let child = Command::new("ip")
            .args(["netns", "exec", &self.namespace])
            .args(["setpriv", "--pdeathsig", "KILL", "--", program])
            .args(arguments)
            .env_clear()
            .env("PATH", self.generation.path())
            .env("TMPDIR", std::env::temp_dir())
            .env("HOME", &self.folder)
            .env("LANG", "C.UTF-8")
            // Unless a flag asks for a name.
            .env("TRACKER_MDNS", "")
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log can be shared"))
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{program} cannot be started: {error}"));
        Program::new(program, child)
    }

    /// Changes the network of this host, as `ip` does.
    pub(crate) fn ip(&self, arguments: &[&str]) {
        ip(&[&["-n", &self.namespace], arguments].concat());
    }

    /// Lets nobody connect to a port of this host, as a firewall does: what comes unasked is dropped. The host itself can connect to
    /// others.
    pub(crate) fn block(&self, port: u16) {
        ["tcp", "udp"].iter().for_each(|protocol| self.block_protocol(protocol, port));
    }

    /// As [`block`](Self::block), for `tcp` or `udp` alone.
    pub(crate) fn block_protocol(&self, protocol: &str, port: u16) {
        for command in [
            "add table inet firewall",
            "add chain inet firewall input { type filter hook input priority 0; }",
            "add rule inet firewall input ct state established,related accept",
            &format!("add rule inet firewall input {protocol} dport {port} drop"),
        ] {
            ip(&["netns", "exec", &self.namespace, "nft", command]);
        }
    }

    /// Makes a folder in this host's folder and returns its path.
    pub(crate) fn make_folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder).expect("a folder can be made");
        folder
    }

    /// Does something from this host: sockets made meanwhile by `work` are sockets of this host.
    pub(crate) fn on<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            let namespace = File::open(Path::new("/run/netns").join(&self.namespace)).expect("the namespace exists");
            setns(namespace, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
            work()
        };
        // A thread of its own, since entering a namespace changes the thread for good.
        thread::scope(|scope| scope.spawn(inside).join().expect("the work on a host does not panic"))
    }

    /// Opens a TCP connection from this host.
    pub(crate) fn connect(&self, to: SocketAddrV4) -> io::Result<TcpStream> {
        let stream = self.on(|| TcpStream::connect_timeout(&SocketAddr::V4(to), PATIENCE))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Sends an HTTP request from this host, on a connection of its own.
    pub(crate) fn request(&self, to: SocketAddrV4, request: &Request<'_>) -> anyhow::Result<Response> {
        http::exchange(self.connect(to)?, request)
    }
}
