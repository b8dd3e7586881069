//! Through which machines this one reaches the rest of the world.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Flags of linux/route.h: the route is usable, and leads through a gateway.
const UP_THROUGH_GATEWAY: u32 = 0x1 | 0x2;

/// The gateways of the default routes. None where the system is not Linux, or does not tell.
pub(crate) fn default_gateways() -> Vec<IpAddr> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let v4 = v4_gateways(&read("/proc/net/route")).into_iter().map(IpAddr::from);
    let v6 = v6_gateways(&read("/proc/net/ipv6_route")).into_iter().map(IpAddr::from);
    v4.chain(v6).collect()
}

/// The interfaces of the default routes of IPv4, the preferred first. None where the system is not Linux, or does not tell.
///
/// Unlike a look-up of a route, it finds the interface that leads to the LAN's gateway also beside a VPN that takes all traffic.
pub(crate) fn default_interfaces() -> Vec<String> {
    v4_interfaces(&fs::read_to_string("/proc/net/route").unwrap_or_default())
}

/// A default route through a gateway.
#[derive(Debug)]
struct DefaultRoute<'t> {
    interface: &'t str,
    gateway: Ipv4Addr,
    metric: u32,
}

/// Those in the text of /proc/net/route: interface, destination, gateway, flags, two counters, metric, mask and more. Addresses
/// are hexadecimal numbers whose bytes in memory are those of the address.
fn v4_routes(route: &str) -> impl Iterator<Item = DefaultRoute<'_>> {
    route.lines().filter_map(|line| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let &[interface, destination, gateway, flags, _, _, metric, mask, ..] = &*fields else { return None };
        let [destination, gateway, flags, mask] =
            [destination, gateway, flags, mask].map(|field| u32::from_str_radix(field, 16).ok());
        let is_default = (destination?, mask?) == (0, 0) && flags? & UP_THROUGH_GATEWAY == UP_THROUGH_GATEWAY;
        let route = DefaultRoute { interface, gateway: gateway?.to_ne_bytes().into(), metric: metric.parse().ok()? };
        is_default.then_some(route)
    })
}

fn v4_gateways(route: &str) -> BTreeSet<Ipv4Addr> {
    v4_routes(route).map(|route| route.gateway).collect()
}

fn v4_interfaces(route: &str) -> Vec<String> {
    let mut routes: Vec<_> = v4_routes(route).collect();
    routes.sort_by_key(|route| route.metric);
    routes.iter().map(|route| route.interface.to_owned()).collect()
}

/// Those in the text of /proc/net/ipv6_route: destination, its prefix, source, its prefix, gateway, metric, two counters,
/// flags, interface. Link-local ones are left out: they are addresses of one link only, and no peer is handed out under
/// them.
fn v6_gateways(ipv6_route: &str) -> BTreeSet<Ipv6Addr> {
    let gateway = |line: &str| {
        let fields: Vec<_> = line.split_ascii_whitespace().collect();
        let &[_, prefix, _, _, gateway, _, _, _, flags, ..] = &*fields else { return None };
        let is_default = u8::from_str_radix(prefix, 16) == Ok(0);
        let flags = u32::from_str_radix(flags, 16).ok()?;
        let gateway: Ipv6Addr = u128::from_str_radix(gateway, 16).ok()?.into();
        let is_usable = flags & UP_THROUGH_GATEWAY == UP_THROUGH_GATEWAY && !gateway.is_unicast_link_local();
        (is_default && is_usable).then_some(gateway)
    };
    ipv6_route.lines().filter_map(gateway).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn the_gateways_of_default_routes_are_found() {
        let route = "\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
wlan2\t00000000\t0101A8C0\t0003\t0\t0\t20600\t00000000\t0\t0\t0
eth0\t00000000\t010011AC\t0003\t0\t0\t0\t00000000\t0\t0\t0
wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0
wlan1\t00000000\t0101A8C0\t0003\t0\t0\t700\t00000000\t0\t0\t0
down0\t00000000\t0102A8C0\t0002\t0\t0\t0\t00000000\t0\t0\t0
ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
tun0\t00000000\t0103A8C0\t0003\t0\t0\t0\t00000080\t0\t0\t0
eth0\t0000A8C0\t0104A8C0\t0003\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
eth0\t00000000\tgateway\t0003\t0\t0\t0\t00000000
eth0\t00000000
";
        assert_eq!(v4_gateways(route), BTreeSet::from([[172, 17, 0, 1].into(), [192, 168, 1, 1].into()]));
        assert_eq!(v4_interfaces(route), ["eth0", "wlan0", "wlan1", "wlan2"]);
    }

    #[test]
    fn the_ipv6_gateways_of_default_routes_are_found() {
        const NOWHERE: &str = "00000000000000000000000000000000";
        const GATEWAY: &str = "fd000000000000000000000000000001";
        let route = |destination: &str, gateway: &str, flags: &str| {
            format!("{destination} {NOWHERE} 00 {gateway} 00000400 00000001 00000000 {flags}     eth0\n")
        };
        let default = format!("{NOWHERE} 00");
        for (line, expected) in [
            (route(&default, GATEWAY, "00000003"), Some("fd00::1")),
            (route(&default, "fe800000000000000000000000000001", "00450003"), None),
            (route(&default, NOWHERE, "00200200"), None),
            (route("20010db8000000000000000000000000 20", GATEWAY, "00000003"), None),
            (route(&default, "gateway", "00000003"), None),
            ("\n".to_owned(), None),
        ] {
            let expected: BTreeSet<Ipv6Addr> = expected.iter().map(|address| address.parse().unwrap()).collect();
            assert_eq!(v6_gateways(&line), expected, "{line}");
        }
    }
}
