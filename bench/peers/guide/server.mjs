// The design of a careful guide to Twilio callbacks: verify, one transaction, answer.
import cluster from 'node:cluster'
import { parse } from 'node:querystring'
import Fastify from 'fastify'
import pg from 'pg'
import twilio from 'twilio'

const WORKERS = 2
const CONNECTIONS = 20
const RANKS = { queued: 1, sending: 2, sent: 3, undelivered: 4, delivered: 5 }
const UPDATE = {
  name: 'update',
  text: 'UPDATE message SET status = $2, rank = $3, updated_at = now() WHERE sid = $1 AND rank < $3',
}
const INSERT = {
  name: 'insert',
  text: 'INSERT INTO status_history (sid, status, raw) VALUES ($1, $2, $3)',
}
const { PORT, PUBLIC_BASE_URL, TWILIO_AUTH_TOKEN } = process.env

if (cluster.isPrimary) lead()
else await serve()

function lead() {
  for (let count = 0; count < WORKERS; count += 1) cluster.fork()
  process.on('SIGTERM', () => {
    for (const worker of Object.values(cluster.workers)) worker.kill()
    process.exit(0)
  })
}

async function serve() {
  const pool = new pg.Pool({ max: CONNECTIONS / WORKERS }) // the server: PGHOST and similar variables
  const app = Fastify()
  app.addContentTypeParser(
    'application/x-www-form-urlencoded', { parseAs: 'string' },
    (_request, body, done) => done(null, { ...parse(body) }),
  )
  app.post('/callbacks/twilio/:attempt', async (request, reply) => {
    const form = request.body
    const signature = request.headers['x-twilio-signature']
    const url = PUBLIC_BASE_URL + request.raw.url
    if (!twilio.validateRequest(TWILIO_AUTH_TOKEN, signature, url, form)) {
      return reply.code(403).send()
    }
    await record(pool, form)
    return reply.code(204).send()
  })
  await app.listen({ host: '127.0.0.1', port: Number(PORT) })
}

async function record(pool, form) {
  const { MessageSid: sid, MessageStatus: status } = form
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query({ ...UPDATE, values: [sid, status, RANKS[status]] })
    await client.query({ ...INSERT, values: [sid, status, JSON.stringify(form)] })
    await client.query('COMMIT')
    client.release()
  } catch (error) {
    client.release(error) // a connection in an unknown state is closed
    throw error
  }
}
