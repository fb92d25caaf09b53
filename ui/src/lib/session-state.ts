// What the library says about a session's state: a chip, a line that explains it, and where it is counted.
import type { SessionDto, SessionStateDto } from '../backend/types';
import { sentence } from './format';
import type { IconName } from './icons';

export type Group = 'approve' | 'way' | 'done';

interface Said {
  tone: '' | 'ok' | 'warn' | 'error' | 'accent' | 'rec';
  icon: IconName;
  word: string;
  line: string;
  group: Group | null;
}

const said: Record<SessionStateDto, Said> = {
  recording: { tone: 'rec', icon: 'record', word: 'Recording', line: 'It is being recorded now', group: null },
  interrupted: { tone: 'warn', icon: 'recover', word: 'Not finished', line: 'It was interrupted and can be made whole', group: 'approve' },
  unsealed: { tone: 'warn', icon: 'hourglass', word: 'Not finished', line: 'It is complete and waits to be made whole', group: 'approve' },
  ready: { tone: 'accent', icon: 'check', word: 'Ready to approve', line: 'Nothing is sent before you approve it', group: 'approve' },
  approved: { tone: '', icon: 'check', word: 'Approved', line: 'Not sent: join a project', group: 'way' },
  queued: { tone: '', icon: 'hourglass', word: 'Next in line', line: 'It goes by itself when its turn comes', group: 'way' },
  sending: { tone: 'accent', icon: 'up', word: 'Uploading', line: 'You may close the lid, it resumes', group: 'way' },
  received: { tone: 'accent', icon: 'hourglass', word: 'Being checked', line: 'All has arrived. The collector checks every byte', group: 'way' },
  verified: { tone: 'ok', icon: 'ok', word: 'Verified', line: 'The collector holds a checked copy', group: 'done' },
  rejected: { tone: 'error', icon: 'no', word: 'Rejected', line: 'The collector did not take it', group: 'way' },
  blocked: { tone: 'error', icon: 'alert', word: 'Stopped', line: 'It cannot go on by itself', group: 'way' },
  unreadable: { tone: 'error', icon: 'alert', word: 'Unreadable', line: 'The file cannot be read', group: null },
};

export function stateOf(session: SessionDto, isEnrolled: boolean): Said {
  const waits = session.upload?.waitsBecause;
  if (waits) {
    return { tone: '', icon: 'hourglass', word: 'Waiting', line: `${sentence(waits)}. It goes on by itself`, group: 'way' };
  }
  if (session.state === 'approved' && isEnrolled) return { ...said.approved, line: 'Not sent yet' };
  const { line, ...rest } = said[session.state];
  const reason = session.problem ?? (session.state === 'ready' ? session.recovered : null);
  if (session.state === 'rejected' && reason) {
    // What to do comes first: of a long line the end is cut off.
    const next = session.isDamaged ? 'Make it whole, then approve it again' : 'Try again, or ask your project lead';
    return { ...rest, line: `${next}. Why: ${reason}` };
  }
  return { ...rest, line: reason ? sentence(reason) : line };
}
