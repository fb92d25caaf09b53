// The worker: decodes bundles beside the page. `protocol.ts` says what it is asked and what it answers.
import { serve } from './serve';
import type { Port } from './serve';
import { zstdReady } from './zstd';

// Begun while the page is still being built. Who needs it hears if it fails.
zstdReady().catch(() => undefined);

serve(self as unknown as Port);
