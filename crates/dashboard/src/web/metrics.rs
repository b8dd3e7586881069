//! The metrics, for Prometheus.
