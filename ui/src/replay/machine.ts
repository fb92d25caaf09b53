// What the player is doing, as states and the events that change them. Pure; `player.ts` does what they ask for.
//
// | state     | opened  | play    | pause  | seek    | scrub     | shown (newest)    | late    | caught up | end   | failed |
// |-----------|---------|---------|--------|---------|-----------|-------------------|---------|-----------|-------|--------|
// | opening   | paused  | .       | .      | .       | .         | .                 | .       | .         | .     | failed |
// | paused    | .       | playing | .      | seeking | scrubbing | .                 | .       | .         | .     | failed |
// | playing   | .       | .       | paused | seeking | scrubbing | .                 | waiting | .         | ended | failed |
// | waiting   | .       | .       | paused | seeking | scrubbing | .                 | .       | playing   | ended | failed |
// | seeking   | .       | wish    | wish   | seeking | scrubbing | paused or playing | .       | .         | .     | failed |
// | scrubbing | .       | wish    | wish   | seeking | .         | .                 | .       | .         | .     | failed |
// | ended     | .       | .       | .      | seeking | scrubbing | .                 | .       | .         | .     | failed |
// | failed    | .       | .       | .      | .       | .         | .                 | .       | .         | .     | .      |
//
// A dot changes nothing. Seeking and scrubbing remember whether to play afterwards (the wish): play state is kept. A seek has
// a number; a picture that answers an older one is not `shown`. To play from the end is to seek to the start, then to play.

export type State =
  | { name: 'opening' | 'paused' | 'playing' | 'waiting' | 'ended' }
  | { name: 'seeking'; request: number; willPlay: boolean }
  | { name: 'scrubbing'; willPlay: boolean }
  | { name: 'failed'; problem: string };

export type Event =
  | { name: 'opened' | 'play' | 'pause' | 'scrub' | 'late' | 'caughtUp' | 'end' }
  | { name: 'seek' | 'shown'; request: number }
  | { name: 'failed'; problem: string };

/** Whether it plays, or will when it has found its place. */
export const wantsToPlay = (state: State): boolean =>
  'willPlay' in state ? state.willPlay : state.name === 'playing' || state.name === 'waiting';

export function transition(state: State, event: Event): State {
  if (state.name === 'failed') return state;
  if (event.name === 'failed') return { name: 'failed', problem: event.problem };
  if (state.name === 'opening') return event.name === 'opened' ? { name: 'paused' } : state;
  switch (event.name) {
    case 'seek':
      return { name: 'seeking', request: event.request, willPlay: wantsToPlay(state) };
    case 'scrub':
      return state.name === 'scrubbing' ? state : { name: 'scrubbing', willPlay: wantsToPlay(state) };
    case 'play':
      if ('willPlay' in state) return { ...state, willPlay: true };
      return state.name === 'paused' ? { name: 'playing' } : state;
    case 'pause':
      if ('willPlay' in state) return { ...state, willPlay: false };
      return state.name === 'ended' ? state : { name: 'paused' };
    case 'shown':
      if (state.name !== 'seeking' || state.request !== event.request) return state;
      return { name: state.willPlay ? 'playing' : 'paused' };
    case 'late':
      return state.name === 'playing' ? { name: 'waiting' } : state;
    case 'caughtUp':
      return state.name === 'waiting' ? { name: 'playing' } : state;
    case 'end':
      return state.name === 'playing' || state.name === 'waiting' ? { name: 'ended' } : state;
    default:
      return state;
  }
}
