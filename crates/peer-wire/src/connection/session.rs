//! A connection after the handshakes: what messages mean, and what is sent.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use super::RequestMetadataError;
use super::client::{self, PexRate};
use super::introductions::Introductions;
use super::metadata_download::{MetadataDownload, Outcome};
use super::metadata_upload::MetadataUpload;
use super::pending_events::{MAX_REQUESTS, PendingEvents};
use crate::{
    Block, Event, ExtendedHandshake, ExtensionIds, Handshake, Local, MAX_METADATA_BYTES, Message, MetadataMessage, Pex,
    PexPeer, Pieces, PiecesError, Reserved, Torrent,
};

/// How long this side is silent before it sends a keep-alive. libtorrent and aria2 close a silent connection after 120 s.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(90);

/// How often a client that holds its progress back is asked for [`ABSENT_PIECE`]. The answer takes Transmission 0.5 s.
const POKE_INTERVAL: Duration = Duration::from_secs(1);

/// A piece of the metadata that does not exist: 8 MiB have 512.
const ABSENT_PIECE: u32 = 9999;

/// The ids by which this side wants to get extended messages.
const PEX: u8 = 1;
const METADATA: u8 = 2;
const DONT_HAVE: u8 = 3;

/// All of a connection but its handshakes.
#[derive(Debug)]
pub(super) struct Session {
    torrent: Torrent,
    /// Those of the peer.
    pieces: Pieces,
    /// `true` if the peer knows the fast extension.
    is_fast: bool,
    /// `true` while this side takes requests for blocks.
    takes_requests: bool,
    /// `true` if the peer knows extended messages.
    is_extended: bool,
    /// The ids by which the peer wants to get extended messages.
    extensions: ExtensionIds,
    client: Option<String>,
    metadata_size: Option<u32>,
    /// `true` once the peer said something of its pieces.
    has_told_pieces: bool,
    introductions: Introductions,
    download: Option<MetadataDownload>,
    upload: MetadataUpload,
    /// The time of the next request for [`ABSENT_PIECE`], while there are any.
    next_poke: Option<Duration>,
    output: Vec<u8>,
    /// The time of the latest output.
    sent: Duration,
    events: PendingEvents,
}

impl Session {
    pub(super) fn new(now: Duration, torrent: Torrent) -> Self {
        Self {
            pieces: Pieces::new(torrent.piece_count),
            torrent,
            is_fast: false,
            takes_requests: false,
            is_extended: false,
            extensions: ExtensionIds::default(),
            client: None,
            metadata_size: None,
            has_told_pieces: false,
            introductions: Introductions::default(),
            download: None,
            upload: MetadataUpload::default(),
            next_poke: None,
            output: Vec::new(),
            sent: now,
            events: PendingEvents::default(),
        }
    }

    pub(super) fn send_handshake(&mut self, now: Duration, handshake: &Handshake) {
        self.output.extend(handshake.encode());
        self.sent = now;
    }

    pub(super) fn handle_handshake(&mut self, handshake: Handshake) {
        self.events.handshake = Some(handshake);
    }

    /// Both handshakes are done: sends what comes first.
    pub(super) fn open(&mut self, now: Duration, local: &Local, remote: IpAddr, peer: Reserved) {
        self.is_fast = peer.contains(Reserved::FAST);
        self.is_extended = peer.contains(Reserved::EXTENSIONS);
        self.send_extended_handshake(now, local, remote);
        // No bitfield says the same, and is what clients do.
        if self.is_fast {
            self.send(now, Message::HaveNone);
        }
    }

    /// Both handshakes were done before: offers the info dictionary if it has become known since.
    pub(super) fn offer_metadata(&mut self, now: Duration, local: &Local, remote: IpAddr) {
        if self.torrent.offered_info().is_some() && !self.upload.is_offered() {
            self.send_extended_handshake(now, local, remote);
        }
    }

    /// Says how to talk to this side, if the peer understands it. May be sent more than once.
    fn send_extended_handshake(&mut self, now: Duration, local: &Local, remote: IpAddr) {
        if !self.is_extended {
            return;
        }
        let handshake = ExtendedHandshake {
            extensions: ExtensionIds {
                pex: (!self.torrent.is_private).then_some(PEX),
                metadata: Some(METADATA),
                dont_have: Some(DONT_HAVE),
            },
            client: Some(local.client.clone()),
            port: local.port,
            max_requests: Some(MAX_REQUESTS as u32),
            your_ip: Some(remote),
            // libtorrent closes a connection on which neither side downloads, if this says so.
            upload_only: None,
            metadata_size: self.upload.offer(self.torrent.offered_info()),
        };
        self.send(now, Message::Extended { id: 0, payload: &handshake.encode() });
    }

    pub(super) fn handle_message(&mut self, now: Duration, message: Message<'_>) -> Result<(), PiecesError> {
        match message {
            Message::Have { piece } => self.change_pieces(|pieces| pieces.insert(piece))?,
            Message::Bitfield(bits) => self.change_pieces(|pieces| pieces.set_bitfield(bits))?,
            Message::HaveAll => self.change_pieces(|pieces| {
                pieces.set_all();
                Ok(())
            })?,
            Message::HaveNone => self.change_pieces(|pieces| {
                pieces.set_none();
                Ok(())
            })?,
            Message::Interested => self.events.interested = Some(true),
            Message::NotInterested => self.events.interested = Some(false),
            Message::Request(block) => self.handle_request(now, block),
            Message::Cancel(block) => self.handle_cancel(now, block),
            Message::Extended { id, payload } => self.handle_extended(now, id, payload)?,
            Message::KeepAlive | Message::Unknown { .. } => {}
            // They concern those who download.
            Message::Choke | Message::Unchoke | Message::Piece { .. } | Message::Reject(_) => {}
            Message::Suggest { .. } | Message::AllowedFast { .. } => {}
            // There is no DHT here.
            Message::Port(_) => {}
        }
        self.schedule_poke(now);
        Ok(())
    }

    fn change_pieces(
        &mut self,
        change: impl FnOnce(&mut Pieces) -> Result<(), PiecesError>,
    ) -> Result<(), PiecesError> {
        let before = self.pieces.progress();
        change(&mut self.pieces)?;
        let progress = self.pieces.progress();
        if progress != before || !self.has_told_pieces {
            self.has_told_pieces = true;
            self.events.progress = Some(progress);
        }
        Ok(())
    }

    fn handle_request(&mut self, now: Duration, block: Block) {
        let is_taken = self.takes_requests && self.events.request(block);
        if !is_taken {
            self.reject(now, block);
        }
    }

    fn handle_cancel(&mut self, now: Duration, block: Block) {
        // A request that was refused needs no second answer.
        if self.takes_requests && self.events.cancel(block) {
            self.reject(now, block);
        }
    }

    pub(super) fn take_requests(&mut self, now: Duration, takes_requests: bool) {
        self.takes_requests = takes_requests;
        if !takes_requests {
            while let Some(block) = self.events.take_request() {
                self.reject(now, block);
            }
        }
    }

    pub(super) fn reject(&mut self, now: Duration, block: Block) {
        if self.is_fast {
            self.send(now, Message::Reject(block));
        }
    }

    fn handle_extended(&mut self, now: Duration, id: u8, payload: &[u8]) -> Result<(), PiecesError> {
        match id {
            0 => {
                if let Ok(handshake) = ExtendedHandshake::decode(payload) {
                    self.handle_extended_handshake(now, handshake);
                }
            }
            PEX if !self.torrent.is_private => {
                if let Ok(pex) = Pex::decode(payload) {
                    self.events.pex.add(pex);
                }
            }
            METADATA => {
                if let Ok(message) = MetadataMessage::decode(payload) {
                    self.handle_metadata(now, &message);
                }
            }
            DONT_HAVE => {
                if let Ok(piece) = payload.try_into().map(u32::from_be_bytes) {
                    self.change_pieces(|pieces| pieces.remove(piece))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn handle_extended_handshake(&mut self, now: Duration, handshake: ExtendedHandshake) {
        let had_offer = self.offered_metadata().is_some();
        self.extensions.update(&handshake.extensions);
        self.metadata_size = handshake.metadata_size.or(self.metadata_size);
        if !had_offer && self.offered_metadata().is_some() {
            self.events.metadata_offered = true;
        }
        if handshake.client.is_some() && handshake.client != self.client {
            self.events.client.clone_from(&handshake.client);
            self.client = handshake.client;
        }
        self.send_introductions(now);
    }

    fn handle_metadata(&mut self, now: Duration, message: &MetadataMessage<'_>) {
        if let MetadataMessage::Request { piece } = *message {
            if self.metadata_id().is_none() || !self.upload.request(piece) {
                self.send_metadata(now, &MetadataMessage::Reject { piece }.encode());
            }
        } else if let Some(download) = &mut self.download {
            match download.handle_answer(now, message) {
                Outcome::Continues => self.request_pieces(now),
                Outcome::Done(metadata) => self.end_download(Event::Metadata(metadata)),
                Outcome::Failed => self.end_download(Event::MetadataFailed),
            }
        }
    }

    pub(super) fn set_torrent(&mut self, now: Duration, torrent: Torrent) {
        self.torrent = torrent;
        if let Some(count) = self.torrent.piece_count {
            self.pieces.set_count(count);
            if self.has_told_pieces {
                self.events.progress = Some(self.pieces.progress());
            }
        }
        self.schedule_poke(now);
    }

    pub(super) fn introduce(&mut self, now: Duration, added: &[PexPeer], gone: &[SocketAddr]) {
        self.introductions.introduce(added, gone);
        self.send_introductions(now);
    }

    fn send_introductions(&mut self, now: Duration) {
        let Some(id) = self.pex_id() else { return };
        if let Some(pex) = self.introductions.message(now, self.pex_rate()) {
            self.send(now, Message::Extended { id, payload: &pex.encode() });
        }
    }

    /// The id by which the peer wants to be told of others, if it does and may be.
    fn pex_id(&self) -> Option<u8> {
        self.extensions.pex.filter(|id| *id != 0 && !self.torrent.is_private)
    }

    fn pex_rate(&self) -> PexRate {
        PexRate::of(self.client.as_deref())
    }

    pub(super) fn request_metadata(&mut self, now: Duration) -> Result<(), RequestMetadataError> {
        if self.download.is_some() {
            return Err(RequestMetadataError::InProgress);
        }
        let size = self.offered_metadata().ok_or(RequestMetadataError::NotOffered)?;
        self.download = Some(MetadataDownload::new(now, size).map_err(|_| RequestMetadataError::NotOffered)?);
        self.request_pieces(now);
        Ok(())
    }

    /// The size of the info dictionary that the peer offers, if it is one that is fetched.
    fn offered_metadata(&self) -> Option<u32> {
        self.metadata_id()?;
        self.metadata_size.filter(|size| (1..=MAX_METADATA_BYTES).contains(size))
    }

    fn metadata_id(&self) -> Option<u8> {
        self.extensions.metadata.filter(|id| *id != 0)
    }

    fn request_pieces(&mut self, now: Duration) {
        while let Some(piece) = self.download.as_mut().and_then(MetadataDownload::next_piece) {
            self.send_metadata(now, &MetadataMessage::Request { piece }.encode());
        }
    }

    fn end_download(&mut self, event: Event) {
        self.download = None;
        self.events.metadata = Some(event);
    }

    fn send_metadata(&mut self, now: Duration, payload: &[u8]) {
        if let Some(id) = self.metadata_id() {
            self.send(now, Message::Extended { id, payload });
        }
    }

    /// Begins to ask for [`ABSENT_PIECE`], or ends it, by what is known now.
    fn schedule_poke(&mut self, now: Duration) {
        let is_wanted = self.metadata_id().is_some()
            && self.client.as_deref().is_some_and(client::holds_progress_back)
            && !self.pieces.progress().is_complete;
        self.next_poke = is_wanted.then(|| self.next_poke.unwrap_or(now + POKE_INTERVAL));
    }

    /// Does what is due.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if self.next_poke.is_some_and(|due| due <= now) {
            self.send_metadata(now, &MetadataMessage::Request { piece: ABSENT_PIECE }.encode());
            self.next_poke = Some(now + POKE_INTERVAL);
        }
        if self.download.as_ref().is_some_and(|download| download.deadline() <= now) {
            self.end_download(Event::MetadataFailed);
        }
        self.send_introductions(now);
        if self.sent + KEEP_ALIVE_INTERVAL <= now {
            self.send(now, Message::KeepAlive);
        }
    }

    /// The time of the next thing that is due, which is `now` or later.
    pub(super) fn next_timeout(&self, now: Duration) -> Duration {
        let introductions = self.pex_id().and_then(|_| self.introductions.next_message(now, self.pex_rate()));
        let download = self.download.as_ref().map(MetadataDownload::deadline);
        let dues = [introductions, download, self.next_poke, Some(self.sent + KEEP_ALIVE_INTERVAL)];
        dues.into_iter().flatten().min().expect("a keep-alive is always due")
    }

    pub(super) fn send(&mut self, now: Duration, message: Message<'_>) {
        message.encode(&mut self.output);
        self.sent = now;
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        self.events.poll()
    }

    pub(super) fn poll_output(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.output.is_empty()
            && let Some(piece) = self.upload.next_piece()
        {
            self.send_metadata(now, &piece);
        }
        (!self.output.is_empty()).then(|| std::mem::take(&mut self.output))
    }

    /// The number of bytes that wait to be polled.
    pub(super) fn unsent(&self) -> usize {
        self.output.len()
    }

    /// Drops what is of no use when the connection has ended.
    pub(super) fn end(&mut self) {
        self.output = Vec::new();
        self.download = None;
        self.upload = MetadataUpload::default();
    }

    pub(super) fn is_fast(&self) -> bool {
        self.is_fast
    }

    pub(super) fn piece_count(&self) -> Option<u32> {
        self.torrent.piece_count
    }

    pub(super) fn pieces(&self) -> &Pieces {
        &self.pieces
    }

    pub(super) fn keep_only_count(&mut self) {
        self.pieces.keep_only_count();
    }

    /// The bytes of memory that it has allocated.
    pub(super) fn allocated(&self) -> usize {
        self.pieces.allocated()
            + self.client.as_ref().map_or(0, String::capacity)
            + self.introductions.allocated()
            + self.download.as_ref().map_or(0, MetadataDownload::allocated)
            + self.upload.allocated()
            + self.output.capacity()
            + self.events.allocated()
    }
}
