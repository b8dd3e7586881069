//! The files of history and lessons.

use std::net::IpAddr;
use std::time::SystemTime;

use torrent_library::{ContentKey, Library, LibraryConfig};
use tracker_core::InfoHash;
use tracker_host::Clock;
use tracker_monitor::{Computers, ComputersConfig, SavedLessons, SavedMonitor};

/// Fields that are not known are ignored, so that one text may be both files.
pub(crate) fn saved_monitor(input: &[u8]) {
    let (monitor, lessons) = (SavedMonitor::parse(input).ok(), SavedLessons::parse(input).ok());
    if let Some(monitor) = &monitor {
        assert_eq!(SavedMonitor::parse(&monitor.to_json()).expect("it was written"), *monitor);
    }
    if let Some(lessons) = &lessons {
        assert_eq!(SavedLessons::parse(&lessons.to_json()).expect("it was written"), *lessons);
    }
    let library = Library::open(LibraryConfig::default()).expect("no folder is read");
    let config = ComputersConfig::new(Clock::fixed(Clock::START), library).with(|config| {
        config.saved_monitor = monitor.unwrap_or_default();
        config.saved_lessons = lessons.unwrap_or_default();
    });
    let computers = Computers::start(config).expect("there is no names file");
    let (lessons, zero) = (computers.lessons(), SystemTime::UNIX_EPOCH);
    // Nothing that asks the network for names.
    computers.own_copies(IpAddr::from([10, 0, 0, 1]));
    computers.progress(ContentKey::Swarm(InfoHash::new([0xab; 20])));
    let list = lessons.list(zero);
    assert!(list.is_sorted_by(|one, other| one.number > other.number) && list[0].number == lessons.current());
    assert!(list[1..].iter().all(|lesson| lessons.report(lesson.number, zero).is_some()));
    let past = lessons.save_past();
    assert_eq!(SavedLessons::parse(&past.to_json()).expect("it was written"), past);
}
