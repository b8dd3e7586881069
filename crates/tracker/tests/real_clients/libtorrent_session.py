"""libtorrent with one torrent, for the tests: libtorrent_session.py FOLDER TORRENT_PORT API_PORT SETTINGS

It is told what to do by POST /add (with the path of a .torrent file or a magnet link), /pause, /resume and /limit (with bytes per
second, or -1), and says how it is by POST /status. Its settings are its own, without peer exchange, local discovery and DHT;
SETTINGS, in JSON, come last.
"""

import json
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import libtorrent

folder, torrent_port, api_port, more = sys.argv[1:]
session = libtorrent.session(
    {
        "enable_dht": False,
        "enable_lsd": False,
        "enable_natpmp": False,
        "enable_upnp": False,
        "listen_interfaces": f"0.0.0.0:{torrent_port}",
        **json.loads(more),
    }
)
torrent = None


def add(text):
    global torrent
    if text.startswith("magnet:"):
        parameters = libtorrent.parse_magnet_uri(text)
    else:
        parameters = libtorrent.add_torrent_params()
        parameters.ti = libtorrent.torrent_info(text)
    parameters.save_path = folder
    parameters.flags |= libtorrent.torrent_flags.disable_pex
    # Else it pauses or resumes on its own.
    parameters.flags &= ~libtorrent.torrent_flags.auto_managed
    parameters.flags &= ~libtorrent.torrent_flags.paused
    torrent = session.add_torrent(parameters)


def status(_):
    if torrent is None:
        return None
    found = torrent.status()
    wasted = found.total_failed_bytes + found.total_redundant_bytes
    return {"peers": found.num_peers, "bytes": found.total_wanted_done, "done": found.is_seeding, "wasted": wasted}


actions = {
    "add": add,
    "limit": lambda rate: torrent.set_download_limit(max(-1, int(rate))),
    "pause": lambda _: torrent.pause(),
    "resume": lambda _: torrent.resume(),
    "status": status,
}


class Api(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        answer = json.dumps(actions[self.path[1:]](body)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", int(api_port)), Api).serve_forever()
