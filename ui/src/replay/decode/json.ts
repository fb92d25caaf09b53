// JSON of messages and metadata. Clocks of the machine and window ids have 64 bits and become bigints.
import { BundleError } from './errors';

/** Fields whose values may be above 2^53; `types.ts` has them as bigint. */
const WIDE = /"((?:epoch_)?(?:wall|boottime|monotonic)_nanos|id)":\s*(-?\d+)(?=\s*[,}])/g;
const WIDE_NAMES = new Set(['epoch_wall_nanos', 'epoch_boottime_nanos', 'wall_nanos', 'monotonic_nanos', 'id']);
const utf8 = new TextDecoder('utf-8', { fatal: true });

/** Parses JSON text. That it fits the type is the writer's promise; that it is JSON is checked. */
export function parseJson<T>(what: string, bytes: Uint8Array | string): T {
  try {
    const text = typeof bytes === 'string' ? bytes : utf8.decode(bytes);
    // A quote within a string has a backslash before it, so only names of fields are found.
    const quoted = text.replace(WIDE, '"$1":"$2"');
    return JSON.parse(quoted, (name, value) =>
      WIDE_NAMES.has(name) && typeof value === 'string' ? BigInt(value) : value,
    ) as T;
  } catch {
    throw new BundleError('json', `${what} is not valid JSON of its kind`);
  }
}
