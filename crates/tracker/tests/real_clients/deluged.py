"""Deluge's daemon with one torrent, for the tests: deluged.py CONFIG FOLDER TORRENT_PORT API_PORT SETTINGS

It is told what to do by POST /add (with the path of a .torrent file or a magnet link), /pause, /resume and /limit (with bytes per
second, or -1), and says how it is by POST /status. Peer exchange, local discovery and DHT are off, unless SETTINGS, in
JSON, say otherwise.
"""

import base64
import json
import os
import sys

config, folder, torrent_port, api_port, more = sys.argv[1:]
settings = {
    "dht": False,
    "download_location": folder,
    "listen_ports": [int(torrent_port)] * 2,
    "lsd": False,
    "natpmp": False,
    "new_release_check": False,
    "random_port": False,
    "upnp": False,
    "utpex": False,
    **json.loads(more),
}
with open(os.path.join(config, "core.conf"), "w") as file:
    file.write(json.dumps({"file": 1, "format": 1}) + json.dumps(settings))

# The reactor is the one that deluged uses: whoever imports it chooses it.
from deluge.core.daemon_entry import start_daemon
from twisted.internet import reactor
from twisted.web.resource import Resource
from twisted.web.server import Site

sys.argv[1:] = ["--do-not-daemonize", "--config", config]
daemon = start_daemon(skip_start=True)
core = daemon.core
torrent = None


def add(text):
    global torrent
    if text.startswith("magnet:"):
        torrent = core.add_torrent_magnet(text, {})
    else:
        with open(text, "rb") as file:
            torrent = core.add_torrent_file("a.torrent", base64.b64encode(file.read()), {})


def status(_):
    # The id is there before the torrent.
    if torrent not in core.torrentmanager.torrents:
        return None
    keys = ["num_peers", "num_seeds", "total_done", "state"]
    found = core.torrentmanager[torrent].get_status(keys, update=True)
    peers = found["num_peers"] + found["num_seeds"]
    return {"peers": peers, "bytes": found["total_done"], "done": found["state"] == "Seeding"}


actions = {
    "add": add,
    "limit": lambda rate: core.set_torrent_options([torrent], {"max_download_speed": max(-1, float(rate) / 1024)}),
    "pause": lambda _: core.pause_torrent(torrent),
    "resume": lambda _: core.resume_torrent(torrent),
    "status": status,
}


class Api(Resource):
    isLeaf = True

    def render_POST(self, request):
        result = actions[request.path.decode()[1:]](request.content.read().decode())
        return json.dumps(result).encode()


reactor.listenTCP(int(api_port), Site(Api()), interface="127.0.0.1")
daemon.start()
