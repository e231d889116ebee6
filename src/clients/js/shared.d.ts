/** The client of a tab that shares one connection with the other tabs of its site. */

import type { Fanwire, Options } from './fanwire.js';

export interface SharedOptions extends Omit<Options, 'WebSocket'> {
  /** Tabs that say the same name share a connection; give each user a name of their own. `fanwire` if absent. */
  name?: string;
}

/** Where there is no SharedWorker the tab has a connection of its own. */
export function shared(url: string, options?: SharedOptions): Fanwire;
