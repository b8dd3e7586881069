//! A peer that takes a torrent as fast as it comes, and keeps nothing of it.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddrV4, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::support::host::PATIENCE;
use crate::support::torrent::Torrent;

/// Bytes of a block, but for the last one of a torrent.
const BLOCK: u32 = 16 * 1024;

/// Blocks that are requested and have not come. Nobody takes more than 128 without saying so.
const OUTSTANDING: usize = 120;

/// Bytes that are read at a time.
const BUFFER: usize = 1 << 20;

/// What is to be taken, and from whom.
#[derive(Debug, Clone)]
pub(crate) struct Taker {
    pub(crate) from: SocketAddrV4,
    info_hash: [u8; 20],
    length: u64,
    piece_length: u32,
}

/// A connection on which it is taken.
struct Download<'a> {
    taker: &'a Taker,
    stream: TcpStream,
    reader: BufReader<TcpStream>,
    /// Messages that have not been sent.
    unsent: Vec<u8>,
    is_unchoked: bool,
    /// Blocks that may be requested: piece and offset.
    wanted: VecDeque<(u32, u32)>,
    outstanding: usize,
    /// The blocks that lack of each piece.
    lacking: Vec<u32>,
    pieces_left: usize,
}

impl Taker {
    pub(crate) fn new(from: SocketAddrV4, torrent: &Torrent) -> Self {
        Self {
            from,
            info_hash: parse_info_hash(torrent.info_hash()),
            length: torrent.length(),
            piece_length: torrent.piece_length(),
        }
    }

    /// Takes the torrent from the calling thread's host again and again, each time on a new connection, until it is over. Counts the
    /// bytes.
    pub(crate) fn take_until(&self, over: &AtomicBool, received: &AtomicU64) -> io::Result<()> {
        while !over.load(Ordering::Relaxed) {
            let mut download = Download::start(self)?;
            while download.pieces_left > 0 && !over.load(Ordering::Relaxed) {
                let bytes = download.step()?;
                received.fetch_add(bytes.into(), Ordering::Relaxed);
            }
        }
        Ok(())
    }

    fn pieces(&self) -> u32 {
        let pieces = self.length.div_ceil(self.piece_length.into());
        pieces.try_into().expect("a torrent has not so many pieces")
    }

    fn blocks_of(&self, piece: u32) -> impl Iterator<Item = (u32, u32)> {
        (0..self.length_of(piece)).step_by(BLOCK as usize).map(move |begin| (piece, begin))
    }

    fn length_of(&self, piece: u32) -> u32 {
        let rest = self.length - u64::from(piece) * u64::from(self.piece_length);
        rest.min(self.piece_length.into()).try_into().expect("no longer than a piece")
    }
}

impl<'a> Download<'a> {
    fn start(taker: &'a Taker) -> io::Result<Self> {
        let stream = TcpStream::connect(taker.from)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut reader = BufReader::with_capacity(BUFFER, stream.try_clone()?);
        // With the fast extension, and another peer id each time.
        let peer_id = format!("-XX0001-{:012}", stream.local_addr()?.port());
        let reserved = [0, 0, 0, 0, 0, 0, 0, 0x04];
        (&stream)
            .write_all(&[&b"\x13BitTorrent protocol"[..], &reserved, &taker.info_hash, peer_id.as_bytes()].concat())?;
        reader.read_exact(&mut [0; 68])?;
        let mut download = Self {
            taker,
            stream,
            reader,
            unsent: Vec::new(),
            is_unchoked: false,
            wanted: VecDeque::new(),
            outstanding: 0,
            lacking: (0..taker.pieces()).map(|piece| taker.length_of(piece).div_ceil(BLOCK)).collect(),
            pieces_left: taker.pieces() as usize,
        };
        // It has nothing, and is interested.
        download.send(15, &[]);
        download.send(2, &[]);
        Ok(download)
    }

    /// Sends what there is to send if there is nothing to read, and reads a message. Returns the bytes of content in it.
    fn step(&mut self) -> io::Result<u32> {
        self.request();
        if self.reader.buffer().len() < 4 {
            self.stream.write_all(&self.unsent)?;
            self.unsent.clear();
        }
        let mut word = [0; 4];
        self.reader.read_exact(&mut word)?;
        let length = u32::from_be_bytes(word);
        if length == 0 {
            return Ok(0);
        }
        let mut id = [0];
        self.reader.read_exact(&mut id)?;
        self.handle(id[0], length - 1)
    }

    fn handle(&mut self, id: u8, length: u32) -> io::Result<u32> {
        let mut words = [0; 8];
        match (id, length) {
            (0, 0) => self.is_unchoked = false,
            (1, 0) => self.is_unchoked = true,
            (4, 4) => {
                self.reader.read_exact(&mut words[..4])?;
                self.want(word(&words[..4]));
            }
            (5, _) => {
                let mut bitfield = vec![0; length as usize];
                self.reader.read_exact(&mut bitfield)?;
                let has = |piece: &u32| bitfield[*piece as usize / 8] & 0x80 >> (piece % 8) != 0;
                (0..self.taker.pieces()).filter(has).for_each(|piece| self.want(piece));
            }
            (7, 8..) => {
                self.reader.read_exact(&mut words)?;
                self.skip(length - 8)?;
                self.outstanding -= 1;
                let piece = word(&words[..4]);
                let lacking = &mut self.lacking[piece as usize];
                *lacking -= 1;
                if *lacking == 0 {
                    self.pieces_left -= 1;
                    self.send(4, &piece.to_be_bytes());
                }
                return Ok(length - 8);
            }
            (14, 0) => (0..self.taker.pieces()).for_each(|piece| self.want(piece)),
            (16, 12) => {
                self.reader.read_exact(&mut words)?;
                self.skip(4)?;
                self.outstanding -= 1;
                self.wanted.push_back((word(&words[..4]), word(&words[4..])));
            }
            _ => self.skip(length)?,
        }
        Ok(0)
    }

    fn want(&mut self, piece: u32) {
        self.wanted.extend(self.taker.blocks_of(piece));
    }

    fn request(&mut self) {
        while self.is_unchoked && self.outstanding < OUTSTANDING {
            let Some((piece, begin)) = self.wanted.pop_front() else { break };
            let length = BLOCK.min(self.taker.length_of(piece) - begin);
            let words = [piece, begin, length].map(u32::to_be_bytes);
            self.send(6, words.as_flattened());
            self.outstanding += 1;
        }
    }

    fn send(&mut self, id: u8, payload: &[u8]) {
        let length = u32::try_from(1 + payload.len()).expect("messages are short");
        self.unsent.extend_from_slice(&length.to_be_bytes());
        self.unsent.push(id);
        self.unsent.extend_from_slice(payload);
    }

    fn skip(&mut self, length: u32) -> io::Result<()> {
        let mut left = length as usize;
        while left > 0 {
            let bytes = self.reader.fill_buf()?.len().min(left);
            if bytes == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            self.reader.consume(bytes);
            left -= bytes;
        }
        Ok(())
    }
}

/// The bytes of 40 hexadecimal digits.
pub(crate) fn parse_info_hash(digits: &str) -> [u8; 20] {
    let bytes: Vec<_> = digits
        .as_bytes()
        .chunks(2)
        .map(|byte| u8::from_str_radix(&String::from_utf8_lossy(byte), 16).expect("hexadecimal digits"))
        .collect();
    bytes.try_into().expect("40 digits")
}

fn word(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes.try_into().expect("four bytes"))
}
