// oidc-provider (https://github.com/panva/node-oidc-provider), a certified OpenID provider, and its pages.
//
//   node provider.mjs '{"port": 0, "clients": [...], "people": [...]}'   prints its address, one line
//
// The pages are ours, for every site that runs it has its own; all that they decide is what its documentation offers:
// who it is, which of the scopes are granted, or that nothing is. The form's fields: login, scope (repeated), deny.
import { createServer } from 'node:http'
import Provider from 'oidc-provider'

const { port, clients, people } = JSON.parse(process.argv[2])
const server = createServer()
await new Promise((ready) => server.listen(port, '127.0.0.1', ready))
const issuer = `http://127.0.0.1:${server.address().port}`

const provider = new Provider(issuer, {
  clients,
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username'] },
  cookies: { keys: ['a key'] },
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: `${id} by name`, preferred_username: id, email: `${id}@example.com`, email_verified: true }),
  }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  pkce: { required: () => true },
  rotateRefreshToken: true,
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 86400, IdToken: 3600, Interaction: 600, RefreshToken: 86400, Session: 86400 },
})

for (const kind of ['access_token', 'refresh_token']) provider.on(`${kind}.destroyed`, () => console.log('revoked', kind))

async function decided(form, { prompt, params, session, grantId }) {
  if (form.has('deny')) return { error: 'access_denied' }
  if (prompt.name === 'login') return people.includes(form.get('login')) ? { login: { accountId: form.get('login') } } : {}
  const grant = (grantId && (await provider.Grant.find(grantId))) ||
    new provider.Grant({ accountId: session.accountId, clientId: params.client_id })
  const granted = form.getAll('scope')
  grant.addOIDCScope(granted.join(' '))
  grant.rejectOIDCScope(params.scope.split(' ').filter((scope) => !granted.includes(scope)).join(' '))
  return { consent: { grantId: await grant.save() } }
}

function page({ prompt, params }) {
  const fields = prompt.name === 'login'
    ? '<input name="login">'
    : params.scope.split(' ').map((scope) => `<input type="checkbox" name="scope" value="${encodeURIComponent(scope)}">`)
  return `<form method="post" data-prompt="${prompt.name}">${fields}<button name="deny" value="yes">No</button></form>`
}

async function text(request) {
  let body = ''
  for await (const chunk of request) body += chunk
  return body
}

const answer = provider.callback()
server.on('request', async (request, response) => {
  if (!request.url.startsWith('/interaction/')) return answer(request, response)
  try {
    const details = await provider.interactionDetails(request, response)
    if (request.method !== 'POST') return response.setHeader('Content-Type', 'text/html').end(page(details))
    const result = await decided(new URLSearchParams(await text(request)), details)
    await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true })
  } catch (error) {
    response.writeHead(400).end(String(error))
  }
})
console.log(issuer)
