// The worker: decodes bundles beside the page. `protocol.ts` says what it is asked and what it answers.
import { serve } from './serve';
import type { Port } from './serve';

serve(self as unknown as Port);
