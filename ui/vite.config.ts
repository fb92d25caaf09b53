// Builds the two pages into `dist`, with every asset as a file of its own, as the content security policy asks.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  plugins: [svelte()],
  worker: { format: 'es' },
  build: {
    outDir: 'dist',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // `index.html`: the application; `web.html`: the collector and `praxis open`.
    rolldownOptions: { input: ['index.html', 'web.html'] },
  },
});
