// Bundles the tests (or the bench, if it is named) for Node and runs them: Node 20 reads no TypeScript.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { build } from 'vite';

const folder = import.meta.dirname;
const [only, ...rest] = process.argv.slice(2);
const names = only ? [only] : readdirSync(folder).filter((name) => name.endsWith('.ts') && name !== 'bench.ts');
// Beside the sources, so that paths to fixtures are the same.
const out = mkdtempSync(join(folder, '.built-'));
try {
  await build({
    configFile: false,
    logLevel: 'warn',
    root: join(folder, '..'),
    ssr: { noExternal: true },
    build: {
      ssr: true,
      outDir: out,
      emptyOutDir: false,
      minify: false,
      rolldownOptions: { input: names.map((name) => join(folder, name)) },
    },
    define: { 'import.meta.dirname': JSON.stringify(folder) },
  });
  const built = names.map((name) => join(out, name.replace('.ts', '.js')));
  const args = only ? [...built, ...rest] : ['--test', ...built];
  process.exitCode = spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(out, { recursive: true });
}
