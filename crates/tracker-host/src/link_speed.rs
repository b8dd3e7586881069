//! The speed of the machine's links.

use std::fs;
use std::net::IpAddr;

use crate::interface::interfaces;

/// The speed of the link of the interface that has this address, in bits per second: what the network card and the switch have
/// agreed on. `None` where the system does not say, as with wireless links, and on systems other than Linux.
pub fn link_speed(address: IpAddr) -> Option<u64> {
    let interface = interfaces().ok()?.into_iter().find(|interface| interface.network.addr() == address)?;
    parse(&fs::read_to_string(format!("/sys/class/net/{}/speed", interface.name)).ok()?)
}

/// Parses a number of megabits per second, which is -1 while there is no link.
fn parse(text: &str) -> Option<u64> {
    let megabits: u64 = text.trim().parse().ok()?;
    megabits.checked_mul(1_000_000).filter(|&speed| speed > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_is_down_or_wireless_has_no_speed() {
        for (text, speed) in [
            ("1000\n", Some(1_000_000_000)),
            ("2500", Some(2_500_000_000)),
            ("-1\n", None),
            ("0\n", None),
            ("", None),
            ("18446744073709551615", None),
        ] {
            assert_eq!(parse(text), speed, "{text:?}");
        }
    }

    #[test]
    fn an_address_of_another_machine_has_no_link_here() {
        assert_eq!(link_speed([198, 51, 100, 1].into()), None);
    }
}
