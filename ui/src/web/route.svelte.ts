// Where the visitor is: query parameters of the page, never paths, so that the page works under any address.

class Route {
  session = $state<string | null>(null);
  /** Whether the exports are shown instead of the sessions. */
  isExports = $state(false);
  startMillis = $state(0);
  hasWrongToken = $state(false);

  constructor() {
    this.read();
    addEventListener('popstate', () => this.read());
  }

  /** Opens a session, or the list. */
  go(session: string | null): void {
    history.pushState(null, '', this.addressOf(session));
    this.read();
  }

  /** Opens the exports. */
  goToExports(): void {
    history.pushState(null, '', '?page=exports');
    this.read();
  }

  /** The address of a moment. */
  linkTo = (session: string | null, millis: number): string => new URL(this.addressOf(session, millis), location.href).href;

  private addressOf(session: string | null, millis?: number): string {
    const query = new URLSearchParams();
    if (session) query.set('session', session);
    if (millis !== undefined) query.set('t', String(millis));
    return query.size > 0 ? `?${query}` : location.pathname;
  }

  private read(): void {
    const query = new URLSearchParams(location.search);
    this.session = query.get('session');
    this.isExports = query.get('page') === 'exports';
    const millis = Number(query.get('t'));
    this.startMillis = Number.isFinite(millis) && millis > 0 ? millis : 0;
    this.hasWrongToken = query.has('wrong');
  }
}

export const route = new Route();
