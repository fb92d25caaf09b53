// The words that a project lead hands over: `http://host:port CODE`, or the command line that has both.

export interface Invitation {
  address: string;
  code: string;
}

/** Null if the text has not both. */
export function invitation(text: string): Invitation | null {
  const parts = /(https?:\/\/\S+)\s+(\S+)/i.exec(text);
  return parts && { address: parts[1], code: parts[2] };
}

export function isEncrypted(address: string): boolean {
  return address.toLowerCase().startsWith('https:');
}

export function hostOf(address: string): string {
  return URL.canParse(address) ? new URL(address).host : address;
}
