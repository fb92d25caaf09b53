import { launch } from './browser.mjs';
const [,, url, out, w, h] = process.argv;
const b = await launch(); const p = await (await b.newContext({ viewport: { width: Number(w), height: Number(h) }, colorScheme: 'light' })).newPage();
await p.goto(url); await p.waitForTimeout(2500); await p.screenshot({ path: out }); await b.close();
