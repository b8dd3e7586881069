//! Packets of the Micro Transport Protocol ([BEP 29](https://www.bittorrent.org/beps/bep_0029.html)).

/// Bytes of a header without extensions.
pub(crate) const HEADER_BYTES: usize = 20;

/// Bytes of a packet that are looked at: more than a header, an extension and a handshake have.
pub(crate) const PACKET_BYTES: usize = 512;

/// The first byte of packets: their type, and version 1.
pub(crate) const DATA: u8 = 0x01;
pub(crate) const FIN: u8 = 0x11;
pub(crate) const STATE: u8 = 0x21;
pub(crate) const RESET: u8 = 0x31;
pub(crate) const SYN: u8 = 0x41;

/// Bytes that a peer may receive before it has to wait: any number will do.
const WINDOW: u32 = 64 * 1024;

/// A header without extensions.
pub(crate) fn header(kind: u8, id: u16, sequence: u16, acknowledged: u16) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[0] = kind;
    header[2..4].copy_from_slice(&id.to_be_bytes());
    header[12..16].copy_from_slice(&WINDOW.to_be_bytes());
    header[16..18].copy_from_slice(&sequence.to_be_bytes());
    header[18..20].copy_from_slice(&acknowledged.to_be_bytes());
    header
}

/// What matters of a packet.
pub(crate) struct Packet<'p> {
    pub(crate) kind: u8,
    pub(crate) id: u16,
    pub(crate) sequence: u16,
    pub(crate) payload: &'p [u8],
}

impl<'p> Packet<'p> {
    pub(crate) fn decode(bytes: &'p [u8]) -> Option<Self> {
        let (header, mut payload) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        // Each extension begins with the type of the next one, and its length.
        let mut extension = header[1];
        while extension != 0 {
            let (&[next, length], rest) = payload.split_first_chunk()?;
            payload = rest.get(length.into()..)?;
            extension = next;
        }
        let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
        Some(Self { kind: header[0], id: number(2), sequence: number(16), payload })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_packet_is_read_beyond_its_end() {
        let mut bytes = [&header(DATA, 1, 2, 3)[..], &[0, 2, 5, 5, 7]].concat();
        bytes[1] = 1;
        assert_eq!(Packet::decode(&bytes).unwrap().payload, [7]);
        for length in 0..HEADER_BYTES + 4 {
            assert!(Packet::decode(&bytes[..length]).is_none(), "{length}");
        }
    }
}
