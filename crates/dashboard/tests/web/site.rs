//! A dashboard on a port of its own, and what it answers over real connections.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dashboard::Server;
use metainfo::Create;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use torrent_library::{Content, Share};
use tracker_core::InfoHash;

use crate::support::{Fixture, torrent};

/// The time after which a test gives up, on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A dashboard on a port of its own, of the fixture's tracker and its share folder.
pub(crate) struct Site {
    pub(crate) fixture: Fixture,
    pub(crate) address: SocketAddr,
    pub(crate) share: Share,
    _server: JoinSet<()>,
}

impl Site {
    pub(crate) async fn start() -> Self {
        Self::of(fixture()).await
    }

    pub(crate) async fn of(fixture: Fixture) -> Self {
        let server = Server::bind(&["127.0.0.1:0".parse().unwrap()], fixture.dashboard.clone()).unwrap();
        let (address, share) = (server.local_addrs()[0], Share::open(fixture.share()).unwrap());
        let mut running = JoinSet::new();
        running.spawn(async move { server.run(std::future::pending()).await.unwrap() });
        Self { fixture, address, share, _server: running }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.fixture.share().join(path)
    }

    /// Writes a file into the share folder.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Shares a file or folder, and registers its torrent.
    pub(crate) fn share(&self, path: &str) -> InfoHash {
        let content = self.list(path);
        let (info_hash, bytes) = torrent(Create::new(self.path(path)));
        self.fixture.library.register(&bytes).unwrap();
        self.fixture.contents.hashed(content.id(), &[info_hash]);
        info_hash
    }

    /// Shares a file or folder that is not hashed yet.
    pub(crate) fn list(&self, path: &str) -> Arc<Content> {
        let content = Arc::new(Content::list(&self.share, path).unwrap());
        self.fixture.contents.insert(Arc::clone(&content), &[]);
        content
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
    }

    pub(crate) async fn get(&self, target: &str, headers: &[&str]) -> Reply {
        self.connect().await.ask("GET", target, headers).await.unwrap()
    }
}

/// A fixture whose film is shared.
pub(crate) fn fixture() -> Fixture {
    let fixture = Fixture::new();
    let share = Share::open(fixture.share()).unwrap();
    fixture.contents.insert(Arc::new(Content::list(&share, "film.mkv").unwrap()), &[fixture.film]);
    fixture
}

pub(crate) struct Connection(pub(crate) BufReader<TcpStream>);

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Connection {
    pub(crate) async fn send(&mut self, method: &str, target: &[u8], headers: &[&str]) {
        let host = self.0.get_ref().peer_addr().unwrap();
        let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
        let mut bytes = format!("{method} ").into_bytes();
        bytes.extend(target);
        bytes.extend(format!(" HTTP/1.1\r\nHost: {host}\r\n{headers}\r\n").as_bytes());
        self.0.write_all(&bytes).await.unwrap();
    }

    pub(crate) async fn head(&mut self) -> io::Result<(u16, String)> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.0.read_line(&mut head).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok((head[9..12].parse().unwrap(), head.replace("\r\n", "\n")))
    }

    pub(crate) async fn reply(&mut self, has_body: bool) -> io::Result<Reply> {
        let (status, head) = self.head().await?;
        let mut reply = Reply { status, head, body: Vec::new() };
        if has_body && status != 304 {
            reply.body = vec![0; reply.header("content-length").parse().expect("a length")];
            timeout(DEADLINE, self.0.read_exact(&mut reply.body)).await??;
        }
        Ok(reply)
    }

    pub(crate) async fn ask(&mut self, method: &str, target: &str, headers: &[&str]) -> io::Result<Reply> {
        self.send(method, target.as_bytes(), headers).await;
        self.reply(method != "HEAD").await
    }
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.head.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect();
        assert!(values.len() < 2, "{}", self.head);
        values.first().copied().unwrap_or_default()
    }

    #[track_caller]
    pub(crate) fn is(&self, status: u16, body: &[u8]) -> &Self {
        assert!(self.status == status && self.body == body, "{}{:?}", self.head, String::from_utf8_lossy(&self.body));
        self
    }

    /// Holds that no browser shows it as a page of this server.
    #[track_caller]
    pub(crate) fn is_inert(&self) -> &Self {
        assert_eq!(self.header("content-security-policy"), "sandbox; default-src 'none'", "{}", self.head);
        assert_eq!(self.header("x-content-type-options"), "nosniff", "{}", self.head);
        assert!(matches!(self.header("content-type"), "" | "application/octet-stream"), "{}", self.head);
        let is_attachment = self.header("content-disposition").starts_with("attachment; filename=");
        assert_eq!(is_attachment, matches!(self.status, 200 | 206), "{}", self.head);
        self
    }
}

/// So many bytes, none of which are like those beside them.
pub(crate) fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|index| (index * 7 + index / 251) as u8).collect()
}
