"""A BitTorrent client with one torrent and the settings of libtorrent itself: libtorrent_client.py TORRENT FOLDER.

TORRENT is a file or an http URL. Says "ready" when the torrent is at hand, starts it when a line comes on standard input, says
"complete" when all pieces are there and checked, and goes on seeding until it is killed.
"""

from __future__ import annotations

import sys
import urllib.request
from pathlib import Path

import libtorrent


def main() -> None:
    """Runs until it is killed."""
    torrent, folder = sys.argv[1:]
    data = urllib.request.urlopen(torrent, timeout=30).read() if ":" in torrent else Path(torrent).read_bytes()
    session = libtorrent.session(
        {
            # Whom it meets it knows from the tracker, and from those it met.
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "listen_interfaces": "0.0.0.0:6881",
            "alert_mask": libtorrent.alert.category_t.status_notification | libtorrent.alert.category_t.error_notification,
        }
    )
    torrent_info = libtorrent.torrent_info(libtorrent.bdecode(data))
    print("ready", flush=True)
    sys.stdin.readline()
    session.add_torrent({"ti": torrent_info, "save_path": folder})
    said = False
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            if isinstance(alert, libtorrent.torrent_finished_alert) and not said:
                print("complete", flush=True)
                said = True


if __name__ == "__main__":
    main()
