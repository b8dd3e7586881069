//! The frame of every page, and the conversion of a page into a response.

use std::time::SystemTime;

use askama::Template;
use axum::Extension;
use axum::http::StatusCode;
use axum::http::header::CACHE_CONTROL;
use axum::response::{Html, IntoResponse, Response};
use torrent_library::ContentKey;
use tracker_core::{InfoHash, Instant};
use tracker_host::ServiceState;
use url::form_urlencoded;

use super::base_path::RenderedPage;
use super::format::{Moment, MomentStyle, unix};
use super::problem::Problem;
use super::role::Role;
use super::{Dashboard, assets};

/// The frame around every page.
pub(super) struct Shell {
    pub(super) section: Section,
    pub(super) role: Role,
    pub(super) running: bool,
    /// `true` if there is a page of users.
    pub(super) has_users: bool,
    /// The URL prefix of the assets.
    pub(super) assets: String,
    /// The time of the tracker's machine in Unix seconds, for the scripts.
    pub(super) now: i64,
    /// The time of day at the tracker's zero, as it is reckoned now.
    pub(super) zero: SystemTime,
}

/// The part of the site that a page is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Files,
    Computers,
    Report,
    Share,
    Tracker,
    Users,
    Log,
    None,
}

impl Shell {
    pub(super) fn new(dashboard: &Dashboard, role: Role, section: Section) -> Self {
        let zero = dashboard.zero();
        Self {
            section,
            role,
            running: matches!(dashboard.0.config.service.state(), ServiceState::Running { .. }),
            has_users: role == Role::Operator && dashboard.has_users(),
            assets: assets::folder(),
            now: unix(zero + dashboard.0.config.clock.now().since(Instant::ZERO)),
            zero,
        }
    }

    pub(super) fn operator(&self) -> bool {
        self.role == Role::Operator
    }

    pub(super) fn is(&self, section: &str) -> bool {
        match self.section {
            Section::Files => section == "files",
            Section::Computers => section == "computers",
            Section::Report => section == "report",
            Section::Share => section == "share",
            Section::Tracker => section == "tracker",
            Section::Users => section == "users",
            Section::Log => section == "log",
            Section::None => false,
        }
    }

    pub(super) fn moment(&self, at: Instant, style: MomentStyle) -> Moment {
        Moment { at: unix(self.zero + at.since(Instant::ZERO)), now: self.now, style }
    }

    pub(super) fn wall(&self, at: SystemTime, style: MomentStyle) -> Moment {
        Moment { at: unix(at), now: self.now, style }
    }
}

/// A page as it is at this moment, never out of a cache.
pub(super) fn render(page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => ([(CACHE_CONTROL, "no-store")], Extension(RenderedPage), Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot render a page");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the page could not be put together").into_response()
        }
    }
}

/// Renders a page off the event loop: long lists, folders and digests may wait for a disk.
pub(super) async fn render_blocking(
    dashboard: Dashboard,
    work: impl FnOnce(&Dashboard) -> Response + Send + 'static,
) -> Response {
    dashboard.run(work).await.unwrap_or_else(Problem::into_response)
}

/// A path with a query of the values that are not empty.
pub(super) fn link(path: &str, query: &[(&str, &str)]) -> String {
    let mut pairs = form_urlencoded::Serializer::new(String::new());
    pairs.extend_pairs(query.iter().filter(|(_, value)| !value.is_empty()));
    match pairs.finish() {
        query if query.is_empty() => path.to_owned(),
        query => format!("{path}?{query}"),
    }
}

/// The URL of the operator's page of a file.
pub(super) fn file_href(key: ContentKey) -> String {
    format!("/manage/files/{key}")
}

/// The name of a torrent, or its info-hash if the name is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) text: String,
    pub(super) is_hash: bool,
    pub(super) href: String,
}

impl Label {
    pub(super) fn new(info_hash: &InfoHash, name: Option<&str>) -> Self {
        let name = name.map(str::trim).filter(|name| !name.is_empty());
        Self {
            text: name.map_or_else(|| info_hash.to_string(), str::to_owned),
            is_hash: name.is_none(),
            href: file_href(ContentKey::Swarm(*info_hash)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_encoded_and_leave_out_what_is_empty() {
        assert_eq!(link("/manage", &[("search", ""), ("sort", "")]), "/manage");
        assert_eq!(link("/manage", &[("search", "a&b <c>"), ("page", "2")]), "/manage?search=a%26b+%3Cc%3E&page=2");
    }

    #[test]
    fn a_torrent_without_a_name_is_called_by_its_hash() {
        let info_hash = InfoHash::from([0xab; 20]);
        assert_eq!(Label::new(&info_hash, Some(" a ")).text, "a");
        let label = Label::new(&info_hash, Some("  "));
        assert!(label.is_hash);
        assert_eq!(label.text, "ab".repeat(20));
    }
}
