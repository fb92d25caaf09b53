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
  return (await (await send(address, { signal })).json()) as T;
}

async function send(address: string, request: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(address, { ...request, cache: 'no-store' });
  } catch (error) {
    request.signal?.throwIfAborted();
    throw new Error(`The collector cannot be reached: ${error instanceof Error ? error.message : error}`);
  }
  if (answer.status === 401) throw new SignInNeeded();
  if (!answer.ok) throw new Error(`The collector answered ${answer.status}: ${await reason(answer)}`);
  return answer;
}

async function reason(answer: Response): Promise<string> {
  try {
    return ((await answer.json()) as { message?: string }).message ?? answer.statusText;
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

export type ExportState = 'waiting' | 'running' | 'ready' | 'failed' | 'removed';

/** How an export is written. */
export interface Wish {
  format: string;
  webp?: boolean;
  most_px?: [number, number] | null;
  splits?: [string, number][];
}

export interface ExportRow {
  export_id: string;
  recipient: string;
  request: { filter: Record<string, string> | null; wish: Wish };
  state: ExportState;
  reason: string | null;
  part: number;
  steps: number | null;
  bytes: number | null;
  sha256: string | null;
  created_at_millis: number;
  num_bundles: number;
  num_problems: number;
  delivered_bytes: number;
}

/** An export with what is in it, and when it went out. */
export interface WholeExport extends ExportRow {
  sources: { bundle_id: string; sha256: string; steps: number | null; problem: string | null }[];
  deliveries: { token: number; at_millis: number; start: number; bytes: number; sent_bytes: number | null }[];
}

/** What is to be exported: some bundles, or what a filter takes. */
export type Chosen = { bundles: string[] } | { filter: { project: string; expert: string; search: string } };

export const loadExports = (signal?: AbortSignal) =>
  ask<{ exports: ExportRow[]; total: number }>('./api/v1/exports', signal);

export const loadExport = (id: string, signal?: AbortSignal) =>
  ask<WholeExport>(`./api/v1/exports/${encodeURIComponent(id)}`, signal);

/** The cookie alone lets nobody change anything: a page of others could send it, too, but not this header. */
const OF_THE_PAGE = { 'x-praxis-page': '1' };

export async function newExport(recipient: string, chosen: Chosen, wish: Wish): Promise<void> {
  const headers = { ...OF_THE_PAGE, 'content-type': 'application/json' };
  await send('./api/v1/exports', { method: 'POST', headers, body: JSON.stringify({ recipient, ...chosen, wish }) });
}

export async function removeExport(id: string): Promise<void> {
  await send(`./api/v1/exports/${encodeURIComponent(id)}`, { method: 'DELETE', headers: OF_THE_PAGE });
}

export const archiveOf = (id: string): string => `./api/v1/exports/${encodeURIComponent(id)}/content`;
