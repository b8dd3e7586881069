// bittorrent-tracker over HTTP on 127.0.0.1 and the port given. Its own command line cannot be used: that imports the
// client as well, which wants a WebRTC library that is not in the registry ready-made.
import Server from 'bittorrent-tracker/server'

const server = new Server({ http: true, udp: false, ws: false, stats: false })
server.on('error', error => { throw error })
server.listen(Number(process.argv[2]), '127.0.0.1')
