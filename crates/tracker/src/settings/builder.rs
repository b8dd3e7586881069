//! The tracker that settings describe.

use tracker::{Builder, LanTracker};
use tracker_core::{Config, Memory, SubnetPreference};
use tracker_http::HttpConfig;
use tracker_udp::UdpConfig;

use super::Settings;

impl Settings {
    /// The tracker with these settings.
    pub(crate) fn builder(&self) -> Builder {
        let builder = LanTracker::builder()
            .listen(self.listen.iter().map(|listen| listen.0))
            .allow(self.allow.iter().copied())
            .core(self.core())
            .http(self.http())
            .udp(self.udp.then(|| self.udp_config()))
            .peer(self.peer)
            .peer_listen(self.peer_listen.iter().map(|listen| listen.0))
            .peer_addresses(self.peer_address.iter().copied())
            .seed(self.seed)
            .upload_slots(self.upload_slots)
            .allow_list(self.allow_list.clone())
            .deny_list(self.deny_list.clone())
            .client_list(self.client_list.clone())
            .torrents(self.torrents.clone())
            .share(self.share.clone())
            .share_by_hand(self.share_by_hand)
            .names(self.names.clone())
            .zip(self.zip)
            .upload_limit(self.upload_limit.map(|limit| limit.0))
            .only_known(self.only_known)
            .log_events(self.logs_events())
            .dashboard(self.dashboard)
            .dashboard_listen(self.dashboard_listen.iter().map(|listen| listen.0))
            .host_names(self.host_name.iter().map(|name| name.0.clone()))
            .mdns(self.mdns.0.clone())
            .base_path(self.base_path.as_ref().map(|path| path.0.clone()).unwrap_or_default())
            .token_always(self.dashboard_token_always)
            .viewers(self.viewers.into())
            .users(self.users)
            .code(self.code.as_ref().map(|code| code.0.clone()));
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => builder.tls(certificate, key),
            _ => builder,
        }
    }

    /// The configuration of the core, as far as settings decide it.
    pub(super) fn core(&self) -> Config {
        Config::default().with(|config| {
            config.announce_budget = self.announce_budget;
            config.trusted_networks = self.trusted_network.iter().map(|network| network.0).collect();
            config.prefer_subnet = self.prefer_subnet.then(SubnetPreference::default);
            config.memory = if self.lean { Memory::Lean } else { Memory::Full };
        })
    }

    /// The configuration of the HTTP adapter.
    pub(super) fn http(&self) -> HttpConfig {
        HttpConfig::default().with(|config| {
            config.threads = self.threads();
            config.trusted_proxies = self.trusted_proxy.iter().map(|proxy| proxy.0).collect();
            config.full_scrape = self.full_scrape;
        })
    }

    /// The configuration of the UDP adapter.
    pub(super) fn udp_config(&self) -> UdpConfig {
        UdpConfig::default().with(|config| config.threads = self.threads())
    }
}
