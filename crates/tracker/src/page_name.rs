//! The name of the page on the LAN.

use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};

use tracker_host::{Addresses, MdnsError, MdnsName, MdnsService};

use crate::reach::PAGE_LOG;
use crate::urls::ipv4_on_lan;

/// Takes a name for the page by multicast DNS, and follows the machine to other addresses with it.
#[derive(Debug)]
pub(crate) struct PageName {
    wanted: MdnsName,
    /// The addresses that the page's server listens on.
    listening: Vec<SocketAddr>,
    /// The port and the addresses that the name is taken for; `None` if no other machine reaches the page over IPv4.
    page: Option<(u16, Vec<Ipv4Addr>)>,
    /// `None` without such addresses, and after an error.
    service: Option<MdnsService>,
    /// The name that the page has. It stays while it is taken anew.
    taken: Option<String>,
}

impl PageName {
    /// A name for the page with a server at these addresses. It is taken once the addresses of the machine [are
    /// set](Self::set_addresses).
    pub(crate) fn new(wanted: MdnsName, listening: Vec<SocketAddr>) -> Self {
        Self { wanted, listening, page: None, service: None, taken: None }
    }

    /// The name that the page has, such as `tracker.local`.
    pub(crate) fn taken(&self) -> Option<&str> {
        self.taken.as_deref()
    }

    /// Returns `true` while the name is being taken for the first time.
    pub(crate) fn is_pending(&self) -> bool {
        self.service.is_some() && self.taken.is_none()
    }

    /// Goes on with other addresses of the machine: the name is taken anew.
    pub(crate) fn set_addresses(&mut self, machine: &Addresses) {
        let page = ipv4_on_lan(&self.listening, machine);
        if page == self.page {
            return;
        }
        // The old one frees the name before the new one asks who has it.
        self.service = None;
        self.page.clone_from(&page);
        let Some((port, addresses)) = page else {
            self.taken = None;
            return;
        };
        match MdnsService::start(self.wanted.clone(), port, addresses) {
            Ok(service) => self.service = Some(service),
            Err(error) => self.give_up(&error),
        }
    }

    /// Waits until the page has another name, or none any more.
    pub(crate) async fn changed(&mut self) {
        let Some(service) = &mut self.service else { return pending().await };
        match service.taken().await {
            Ok(name) => {
                let (wanted, is_wanted) = (self.wanted.in_local(), *name == self.wanted);
                let name = name.in_local();
                let port = self.page.as_ref().map(|(port, _)| *port).unwrap_or_default();
                if is_wanted {
                    tracing::info!(
                        target: PAGE_LOG,
                        event = "page_name_taken",
                        name,
                        "the page is at {name}:{port}, too, where the system resolves the name"
                    );
                } else {
                    tracing::warn!(
                        target: PAGE_LOG,
                        event = "page_name_taken",
                        name,
                        wanted,
                        "another machine has the name {wanted}, so that the page is at {name}:{port}; --mdns NAME takes another name"
                    );
                }
                self.taken = Some(name);
            }
            Err(error) => self.give_up(&error),
        }
    }

    fn give_up(&mut self, error: &MdnsError) {
        let name = self.wanted.in_local();
        tracing::warn!(
            target: PAGE_LOG,
            event = "page_name_not_taken",
            name,
            %error,
            "the page is not at {name}, only at its addresses: {error}; --mdns= takes no name"
        );
        (self.service, self.taken) = (None, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_taken_for_a_page_that_no_other_machine_reaches() {
        let machine = |lan: &[&str]| Addresses {
            lan: lan.iter().map(|address| address.parse().unwrap()).collect(),
            ..Addresses::default()
        };
        for (listening, lan) in [
            ("127.0.0.1:6970", &["192.168.1.5"][..]),
            ("[::]:6970", &["192.168.1.5", "fd77::1"]),
            ("0.0.0.0:6970", &[]),
        ] {
            let mut name = PageName::new("tracker".parse().unwrap(), vec![listening.parse().unwrap()]);
            name.set_addresses(&machine(lan));
            assert!(!name.is_pending() && name.taken().is_none(), "{listening}");
        }
    }
}
