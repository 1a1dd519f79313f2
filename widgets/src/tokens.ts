/**
 * Stands in for the official client's keeper of users' tokens, which no view has: on the
 * page one is whom Jupyter knows, as owner by a key that `socket.ts` shows and renews.
 *
 * What is left is what a connection needs of it: to learn that its key was taken, and to
 * show it no more once it was refused. The build puts this in the place of the client's
 * own two modules, which are a twentieth of what travels with every widget.
 */

/** What the client's state lets its keeper see and do. */
interface SyncState {
  isCurrentOrNewerAuthVersion(version: number): boolean;
  markAuthCompletion(): void;
  hasAuth(): boolean;
  clearAuth(): unknown;
}

interface Version {
  readonly identity: number;
}

export class AuthenticationManager {
  readonly #state: SyncState;

  constructor(state: SyncState) {
    this.#state = state;
  }

  onTransition({ startVersion, endVersion }: { startVersion: Version; endVersion: Version }): void {
    const { identity } = endVersion;
    if (identity <= startVersion.identity) return;
    if (this.#state.isCurrentOrNewerAuthVersion(identity)) this.#state.markAuthCompletion();
  }

  onAuthError({ baseVersion }: { baseVersion: number }): void {
    if (!this.#state.isCurrentOrNewerAuthVersion(baseVersion + 1)) return;
    if (this.#state.hasAuth()) this.#state.clearAuth();
  }

  stop(): void {}
}

/** The client takes what cannot be read for a token without claims. */
export function jwtDecode(): never {
  throw new Error("No view has a user's token.");
}
