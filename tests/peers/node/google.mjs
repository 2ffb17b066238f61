// emulate (https://github.com/vercel-labs/emulate), a server with the shapes of Google's, as the broker finds Google.
//
//   node google.mjs '{"port": 4000, "inner": 4001, "seed": {...}}'   prints its address, one line
//
// It has all of Google at one address, its token, revocation and userinfo endpoints by paths of its own. The broker
// knows Google's real ones, and an origin map changes no path: this front does. Nothing else is changed.
import { createServer, request } from 'node:http'
import { createEmulator } from 'emulate'

const PATHS = { '/token': '/oauth2/token', '/revoke': '/oauth2/revoke', '/v1/userinfo': '/oauth2/v2/userinfo' }

const { port, inner, seed } = JSON.parse(process.argv[2])
await createEmulator({ service: 'google', port: inner, seed, baseUrl: 'https://accounts.google.com' })

const server = createServer((asked, answered) => {
  const [path, query] = asked.url.split('?', 2)
  const url = (PATHS[path] ?? path) + (query === undefined ? '' : `?${query}`)
  const passed = request({ host: '127.0.0.1', port: inner, path: url, method: asked.method, headers: asked.headers }, (answer) => {
    answered.writeHead(answer.statusCode, answer.headers)
    answer.pipe(answered)
  })
  passed.on('error', () => answered.destroy())
  asked.pipe(passed)
})
await new Promise((ready) => server.listen(port, '127.0.0.1', ready))
console.log(`http://127.0.0.1:${server.address().port}`)
