/**
 * Stopping in good order: the first SIGINT or SIGTERM asks, the second one ends the process at once.
 *
 * @module
 */
import { EXIT_CODES } from "./exit_codes.ts";

/** Hears the signals until disposed. */
export interface SignalWatch extends Disposable {
  /** Aborted by the first signal. */
  readonly signal: AbortSignal;
}

/**
 * Hears SIGINT and SIGTERM.
 *
 * @param onFirst tells the user, or cleans up and ends the process
 */
export function watchSignals(onFirst: () => void): SignalWatch {
  const controller = new AbortController();
  const onSignal = (): void => {
    if (controller.signal.aborted) Deno.exit(EXIT_CODES.interrupted);
    controller.abort();
    onFirst();
  };
  const names = ["SIGINT", "SIGTERM"] as const;
  for (const name of names) Deno.addSignalListener(name, onSignal);
  return {
    signal: controller.signal,
    [Symbol.dispose]: () => names.forEach((name) => Deno.removeSignalListener(name, onSignal)),
  };
}
