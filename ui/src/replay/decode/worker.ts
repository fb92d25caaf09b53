// The worker: decodes bundles beside the page. `protocol.ts` says what it is asked and what it answers.
import { decodersReady } from './scan';
import { serve } from './serve';
import type { Port } from './serve';

// Begun while the page is still being built. Who needs it hears if it fails.
decodersReady().catch(() => undefined);

serve(self as unknown as Port);
