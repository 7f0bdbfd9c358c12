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
 * A second signal sooner than this is the same one: Ctrl-C reaches every process of the terminal's group, and `deno
 * task` hands it on to its child once more.
 */
const SAME_SIGNAL_MS = 200;

/**
 * Hears SIGINT and SIGTERM.
 *
 * @param onFirst tells the user, or cleans up and ends the process
 */
export function watchSignals(onFirst: () => void): SignalWatch {
  const controller = new AbortController();
  let firstAt = 0;
  const onSignal = (): void => {
    if (controller.signal.aborted) {
      if (performance.now() - firstAt < SAME_SIGNAL_MS) return;
      Deno.exit(EXIT_CODES.interrupted);
    }
    firstAt = performance.now();
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
