// WebTorrent with one torrent, for the tests: webtorrent.mjs MODULES FOLDER TORRENT_PORT API_PORT PEX
//
// It is told what to do by POST /add (with the path of a .torrent file), /pause, /resume and /limit (with bytes per second, or
// -1), and says how it is by GET /status. PEX is on if PEX is "true"; local discovery,
// DHT and uTP are off.
import http from 'node:http'
import { pathToFileURL } from 'node:url'

const [modules, folder, torrentPort, apiPort, pex] = process.argv.slice(2)
const { default: WebTorrent } = await import(pathToFileURL(`${modules}/webtorrent/index.js`))

const client = new WebTorrent({
  dht: false, lsd: false, utPex: pex === 'true', utp: false, natUpnp: false, natPmp: false, webSeeds: false, torrentPort: Number(torrentPort)
})
client.on('error', (error) => console.error('error', error))
let path = null
let torrent = null

const actions = {
  add (body) {
    path = body
    actions.resume()
  },
  resume () {
    torrent = client.add(path, { path: folder })
    torrent.on('warning', (warning) => console.error('warning', String(warning)))
  },
  pause () {
    client.remove(torrent)
    torrent = null
  },
  limit (body) {
    client.throttleDownload(Number(body))
  },
  status () {
    return torrent && { peers: torrent.numPeers, bytes: torrent.downloaded, done: torrent.done }
  }
}

http.createServer(async (request, response) => {
  let body = ''
  for await (const part of request) body += part
  const result = actions[request.url.slice(1)](body)
  response.end(JSON.stringify(result ?? null))
}).listen(Number(apiPort), '127.0.0.1')
