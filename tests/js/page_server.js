// Serves the built page and bundles as the collector and `praxis open` do, for the tests of the page: ranges, headers, answers.
import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';

export const CSP =
  "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; style-src 'self'; font-src 'self'; " +
  "img-src 'self' data: blob:; connect-src 'self' data:; media-src blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const TYPES = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css', '.woff2': 'font/woff2' };
const TOKEN = 'right-token';

/**
 * `bundles` by id: `{ file, row, actions }`. Without `isCollector` the first one is served as `praxis open` does.
 * `server.delayMillis` is waited before each range; `server.isDown` answers nothing.
 */
export async function servePage(dist, { bundles, isCollector = true, needsToken = false }) {
  const state = { delayMillis: 0, isDown: false, ranges: 0 };
  const server = createServer((request, response) => {
    void answer(request, response).catch((error) => response.writeHead(500).end(String(error)));
  });

  async function answer(request, response) {
    const url = new URL(request.url, 'http://localhost');
    const headers = { 'content-security-policy': CSP, 'x-content-type-options': 'nosniff', 'cache-control': 'no-store' };
    const json = (status, value) => response.writeHead(status, { ...headers, 'content-type': 'application/json' }).end(JSON.stringify(value));
    if (state.isDown) return request.socket.destroy();
    const isKnown = !needsToken || /praxis=right/.test(request.headers.cookie ?? '');
    const path = normalize(url.pathname);
    if (path === '/login' && request.method === 'POST') {
      let body = '';
      for await (const part of request) body += part;
      const isRight = new URLSearchParams(body).get('token') === TOKEN;
      const to = isRight ? { location: '/', 'set-cookie': 'praxis=right; HttpOnly; SameSite=Strict' } : { location: './?wrong=1' };
      return response.writeHead(303, { ...headers, ...to }).end();
    }
    if (path === '/host.json') {
      if (!isKnown) return json(401, { title: 'not signed in' });
      return json(200, isCollector ? { kind: 'collector', role: 'reviewer' } : { kind: 'file', name: 'session.mcap' });
    }
    if (path === '/api/v1/bundles') {
      const search = (url.searchParams.get('search') ?? '').toLowerCase();
      const wanted = url.searchParams.get('state');
      const rows = [...bundles.values()].map(({ row }) => row);
      const found = rows.filter((row) => (!wanted || row.state === wanted) && JSON.stringify(row).toLowerCase().includes(search));
      return json(200, { bundles: found, total: found.length });
    }
    const [, id, part] = isCollector ? (/^\/api\/v1\/bundles\/([^/]+)\/(content|actions|preview)$/.exec(path) ?? []) : ['', [...bundles.keys()][0], path.slice(1)];
    const bundle = bundles.get(id);
    if (bundle && part === 'actions') return json(200, bundle.actions);
    if (bundle && part === 'content') return content(bundle.file, request, response, headers);
    if (bundle && part === 'preview' && bundle.preview) return response.writeHead(200, { ...headers, 'content-type': 'image/jpeg' }).end(bundle.preview);
    const name = path === '/' ? 'web.html' : path.slice(1);
    try {
      const file = await readFile(join(dist, name));
      return response.writeHead(200, { ...headers, 'content-type': TYPES[extname(name)] ?? 'application/octet-stream' }).end(file);
    } catch {
      return response.writeHead(404, headers).end();
    }
  }

  async function content(file, request, response, headers) {
    const { size } = await stat(file);
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (first === undefined) return response.writeHead(200, headers).end();
    const [start, end] = [Number(first), Math.min(Number(last), size - 1)];
    if (start > end) return response.writeHead(416, headers).end();
    state.ranges++;
    if (state.delayMillis > 0) await new Promise((resolve) => setTimeout(resolve, state.delayMillis));
    const range = { 'content-range': `bytes ${start}-${end}/${size}`, 'content-length': end - start + 1, 'accept-ranges': 'bytes' };
    response.writeHead(206, { ...headers, ...range });
    createReadStream(file, { start, end }).pipe(response);
  }

  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    state,
    url: `http://127.0.0.1:${server.address().port}/`,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
