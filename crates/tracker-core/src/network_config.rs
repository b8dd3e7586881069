//! The settings that depend on the network.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::{Access, Config, ConfigError, HostAddresses};

/// The fields of a [`Config`] that depend on the network in which the machine is. They change while the tracker runs, when the
/// machine gets another address or moves to another network.
///
/// ```
/// use tracker_core::{Config, HostAddresses, NetworkConfig};
///
/// let network = NetworkConfig::from(&Config::default()).with(|network| {
///     network.host_addresses = HostAddresses { v4: Some([192, 168, 1, 5].into()), v6: None };
/// });
/// network.validate()?;
/// # Ok::<(), tracker_core::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkConfig {
    /// See [`Config::access`].
    pub access: Access,
    /// See [`Config::host_addresses`].
    pub host_addresses: HostAddresses,
    /// See [`Config::own_addresses`].
    pub own_addresses: Vec<IpAddr>,
    /// See [`Config::container_networks`].
    pub container_networks: Vec<IpNet>,
    /// See [`Config::gateways`].
    pub gateways: Vec<IpAddr>,
}

impl From<&Config> for NetworkConfig {
    fn from(config: &Config) -> Self {
        Self {
            access: config.access.clone(),
            host_addresses: config.host_addresses,
            own_addresses: config.own_addresses.clone(),
            container_networks: config.container_networks.clone(),
            gateways: config.gateways.clone(),
        }
    }
}

impl NetworkConfig {
    /// These settings with some of them changed.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Checks that every value can be used.
    ///
    /// # Errors
    ///
    /// The first value that cannot.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.host_addresses.validate()
    }

    /// Puts these settings into a configuration.
    pub fn apply_to(self, config: &mut Config) {
        let Self { access, host_addresses, own_addresses, container_networks, gateways } = self;
        config.access = access;
        config.host_addresses = host_addresses;
        config.own_addresses = own_addresses;
        config.container_networks = container_networks;
        config.gateways = gateways;
    }
}
