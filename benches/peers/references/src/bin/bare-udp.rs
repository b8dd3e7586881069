//! A loop of recvfrom and sendto, with answers in the shape of [BEP 15](https://www.bittorrent.org/beps/bep_0015.html):
//! the least that an answer over UDP costs when packets are taken one by one.

use std::net::UdpSocket;

use references::{compact_peers, listen_address};

const CONNECT: [u8; 4] = [0, 0, 0, 0];
const ANNOUNCE: [u8; 4] = [0, 0, 0, 1];
const SCRAPE: [u8; 4] = [0, 0, 0, 2];
/// Bytes of a request that say connection, action and transaction.
const HEAD: usize = 16;
/// Most info-hashes in a scrape.
const MAX_HASHES: usize = 74;

fn main() -> anyhow::Result<()> {
    let socket = UdpSocket::bind(listen_address()?)?;
    let mut announced = vec![0; 8];
    announced.extend([1800_u32, 25, 25].map(u32::to_be_bytes).concat());
    announced.extend(compact_peers());
    let mut connected = [0; 16];
    let mut scraped = vec![0; 8];
    scraped[..4].copy_from_slice(&SCRAPE);
    scraped.extend([25_u32, 0, 25].map(u32::to_be_bytes).concat().repeat(MAX_HASHES));
    announced[..4].copy_from_slice(&ANNOUNCE);

    let mut request = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut request)?;
        if length < HEAD {
            continue;
        }
        let answer = match request[8..12].try_into()? {
            CONNECT => &mut connected[..],
            ANNOUNCE => &mut announced[..],
            SCRAPE => &mut scraped[..8 + 12 * ((length - HEAD) / 20).min(MAX_HASHES)],
            _ => continue,
        };
        answer[4..8].copy_from_slice(&request[12..16]);
        // A client that is gone is none of the server's business.
        _ = socket.send_to(answer, from);
    }
}
