"""Makes a .torrent file with libtorrent: make_by_libtorrent.py CONTENT TORRENT PIECE_LENGTH ANNOUNCE."""

from __future__ import annotations

import sys
from pathlib import Path

import libtorrent

content, torrent, piece_length, announce = sys.argv[1:]
files = libtorrent.list_files(content)
# Version 1 only, like the others: a hybrid torrent needs SHA-256, too.
made = libtorrent.create_torrent(files, int(piece_length), libtorrent.create_torrent.v1_only)
made.add_tracker(announce)
libtorrent.set_piece_hashes(made, str(Path(content).parent))
Path(torrent).write_bytes(libtorrent.bencode(made.generate()))
