// What the page asks of the program that serves it, and the answers.

export type Host = { kind: 'collector'; role: 'reviewer' | 'lead' | 'expert' } | { kind: 'file'; name: string };

export type BundleState = 'created' | 'receiving' | 'received' | 'verifying' | 'verified' | 'rejected';

export interface BundleRow {
  bundle_id: string;
  project: string;
  expert: string;
  bytes: number;
  sha256: string;
  state: BundleState;
  reason: string | null;
  facts: { title?: string | null; duration_nanos?: number | null } | null;
  offset: number;
  announced_at_millis: number;
  changed_at_millis: number;
}

export type Sort = 'announced' | 'length' | 'bytes' | 'title';

export interface Wanted {
  search: string;
  state: BundleState | '';
  project: string;
  expert: string;
  sort: Sort;
  order: 'asc' | 'desc';
  skip: number;
  limit: number;
}

/** The visitor has to sign in. */
export class SignInNeeded extends Error {}

async function ask<T>(address: string, signal?: AbortSignal): Promise<T> {
  let answer: Response;
  try {
    answer = await fetch(address, { signal, cache: 'no-store' });
  } catch (error) {
    signal?.throwIfAborted();
    throw new Error(`The collector cannot be reached: ${error instanceof Error ? error.message : error}`);
  }
  if (answer.status === 401) throw new SignInNeeded();
  if (!answer.ok) throw new Error(`The collector answered ${answer.status}: ${await reason(answer)}`);
  return (await answer.json()) as T;
}

async function reason(answer: Response): Promise<string> {
  try {
    const problem = (await answer.json()) as { detail?: string; title?: string };
    return problem.detail ?? problem.title ?? answer.statusText;
  } catch {
    return answer.statusText;
  }
}

export const loadHost = (signal?: AbortSignal) => ask<Host>('./host.json', signal);

export function loadBundles(wanted: Wanted, signal?: AbortSignal): Promise<{ bundles: BundleRow[]; total: number }> {
  const entries = Object.entries(wanted).filter(([, value]) => value !== '');
  return ask(`./api/v1/bundles?${new URLSearchParams(entries.map(([name, value]) => [name, String(value)]))}`, signal);
}

export const baseOf = (id: string): string => `./api/v1/bundles/${encodeURIComponent(id)}`;

/** Only what has been checked is played. */
export const isPlayable = ({ state }: BundleRow): boolean => state === 'verified';
