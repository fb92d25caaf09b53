// What can be wrong with a bundle: one kind of error per finding of docs/bundle-format.md, each with what to do.

export type ErrorKind =
  | 'not_mcap'
  | 'foreign_profile'
  | 'newer_format'
  | 'no_manifest'
  | 'malformed'
  | 'too_large'
  | 'checksum'
  | 'json'
  | 'lost_picture'
  | 'unreadable_picture'
  | 'no_picture'
  | 'narration'
  | 'source';

export class BundleError extends Error {
  constructor(
    readonly kind: ErrorKind,
    message: string,
  ) {
    super(message);
    this.name = 'BundleError';
  }
}

export const notMcap = () =>
  new BundleError('not_mcap', 'not a bundle: the file does not begin with the MCAP magic bytes');

export const foreignProfile = (profile: string) =>
  new BundleError('foreign_profile', `not a Praxis bundle: its MCAP profile is "${profile}", expected "praxis"`);

export const newerFormat = (found: number, supported: number) =>
  new BundleError(
    'newer_format',
    `bundle format version ${found} is newer than ${supported}, the newest this program reads: update Praxis`,
  );

export const noManifest = () => new BundleError('no_manifest', 'the bundle has no readable manifest');

/** A record or message that breaks its layout. */
export const malformed = (what: string, offset: number, why: string) =>
  new BundleError('malformed', `malformed ${what} at byte ${offset}: ${why}`);

/** A length over its limit; nothing was allocated for it. */
export const tooLarge = (what: string, found: number | bigint, limit: number) =>
  new BundleError('too_large', `${what}: ${found}, over the limit of ${limit}`);

export const checksum = (what: string, found: number, expected: number) =>
  new BundleError('checksum', `checksum of ${what} is ${hex(found)}, expected ${hex(expected)}`);

/** A delta whose base is not there. */
export const lostPicture = (display: number, found: number, needed: number) =>
  new BundleError('lost_picture', `screen/${display} picture ${found} builds on picture ${needed}, which is lost`);

export const unreadablePicture = (display: number) =>
  new BundleError(
    'unreadable_picture',
    `what screen/${display} showed then cannot be told: it is damaged or lost; praxis info says where`,
  );

export const noPicture = (display: number, atNanos: number) =>
  new BundleError(
    'no_picture',
    `there is no picture of screen/${display} at or before ${(atNanos / 1e9).toFixed(3)} s`,
  );

export const badNarration = (why: string) => new BundleError('narration', `narration could not be decoded: ${why}`);

/** The bytes could not be had: the network, the server, or a range outside the file. */
export const sourceFailed = (why: string) => new BundleError('source', `reading the bundle failed: ${why}`);

const hex = (value: number) => `0x${value.toString(16).padStart(8, '0')}`;
