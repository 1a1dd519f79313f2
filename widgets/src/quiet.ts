/**
 * Stands in for the official client's logging: views say themselves what went wrong, and
 * nothing of it goes to the page's console.
 *
 * Like `tokens.ts`, put in the place of the client's own module by the build.
 */

interface Result {
  readonly errorMessage: string;
  readonly errorData: unknown;
}

const nothing = () => {};
const SILENT = { logVerbose: nothing, log: nothing, warn: nothing, error: nothing };

export const instantiateNoopLogger = () => SILENT;
export const instantiateDefaultLogger = instantiateNoopLogger;
export const logForFunction = nothing;

export function logFatalError(_logger: unknown, message: string): Error {
  return new Error(message);
}

/** The function's own words: which function that was stands above them. */
export function createHybridErrorStacktrace(_source: string, _path: string, said: Result): string {
  return said.errorMessage;
}

export function forwardData<E extends Error & { data?: unknown }>(said: Result, error: E): E {
  error.data = said.errorData;
  return error;
}
