// An authority for tests of pages: Pebble, Let's Encrypt's own for tests, as the tests in Go build it. It looks for the server on loopback and issues for an address, which needs no resolver.

import { execFile, spawn } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { serve } from '../dialects/clients.mjs';

const MODULE = fileURLToPath(new URL('../go', import.meta.url));
const PEBBLE = 'github.com/letsencrypt/pebble/v2/cmd/pebble';

/** What an attempt leads to, within a bound that only a broken server reaches. */
async function eventually(what, attempt) {
  let fault;
  for (let times = 0; times < 600; times += 1) {
    try {
      return await attempt();
    } catch (error) {
      fault = error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
  throw new Error(`${what}: ${fault.message}`);
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Asks over TLS, believing who is named in `ca`; the answer's status and text. */
export function ask(address, path, { ca, method = 'GET', headers = {}, body } = {}) {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const asked = request({ host, port, path, method, ca, headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part) => (text += part)).on('end', () => resolve({ status: answer.statusCode, text }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

/** The chain that a server shows, whose issuer is believed. */
function chainOf(address, ca) {
  const [host, port] = address.split(':');
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port, ca }, () => {
      const { raw, issuerCertificate } = socket.getPeerCertificate(true);
      socket.end();
      resolve({ own: new X509Certificate(raw), issuer: new X509Certificate(issuerCertificate.raw) });
    });
    socket.on('error', reject);
  });
}

/**
 * An authority for a server that is not started yet: `settings` are the server's; `issue` starts the authority once the server listens, and resolves with whom clients are to believe (`ca`), the
 * certificate's number, and the digest of its issuer's key, by which a browser is told to believe it.
 */
export async function authority(t) {
  const folder = mkdtempSync(join(tmpdir(), 'fanwire-authority-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const pebble = join(folder, 'pebble');
  await promisify(execFile)('go', ['build', '-o', pebble, PEBBLE], { cwd: MODULE });
  // The authority's own door has a certificate as Fanwire makes them.
  const maker = await serve(t, 'epoll', { 'tls.folder': folder, 'tls.self_signed': ['127.0.0.1'] });
  await maker.stop();
  const [port, management] = [await freePort(), await freePort()];
  const settings = {
    'tls.acme': ['127.0.0.1'],
    'tls.acme_terms_agreed': true,
    'tls.acme_directory': `https://127.0.0.1:${port}/dir`,
    'tls.acme_ca_file': join(folder, 'self-signed.crt'),
    'tls.folder': join(folder, 'issued'),
  };
  const issue = async (server) => {
    const door = join(folder, 'self-signed.pem');
    const config = {
      listenAddress: `127.0.0.1:${port}`,
      managementListenAddress: `127.0.0.1:${management}`,
      certificate: door,
      privateKey: door,
      httpPort: await freePort(),
      tlsPort: Number(server.address.split(':')[1]),
      retryAfter: { authz: 1, order: 1 },
      profiles: { default: { description: 'ninety days', validityPeriod: 7_776_000 } },
    };
    const file = join(folder, 'pebble.json');
    writeFileSync(file, JSON.stringify({ pebble: config }));
    const running = spawn(pebble, ['-strict', '-config', file], { stdio: 'ignore', env: { ...process.env, PEBBLE_VA_NOSLEEP: '1' } });
    const ended = new Promise((resolve) => running.once('exit', resolve));
    t.after(() => (running.kill('SIGTERM'), ended));
    const own = readFileSync(join(folder, 'self-signed.crt'));
    const { text: root } = await eventually('the authority listens', () => ask(`127.0.0.1:${management}`, '/roots/0', { ca: own }));
    // What failed while nobody was there is tried again at once.
    server.reload();
    const { own: certificate, issuer } = await eventually('a certificate is issued', () => chainOf(server.address, root));
    const key = issuer.publicKey.export({ type: 'spki', format: 'der' });
    return { ca: root, number: certificate.serialNumber, issuer: createHash('sha256').update(key).digest('base64') };
  };
  return { settings, issue, numberOf: async (server, ca) => (await chainOf(server.address, ca)).own.serialNumber };
}
