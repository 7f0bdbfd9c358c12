/**
 * The store in a process of its own.
 *
 * @module
 */

/** Runs `open_and_write.ts` with these arguments and permissions, and waits for its end. */
export function openInProcess(args: readonly string[], permissions: readonly string[]): Promise<Deno.CommandOutput> {
  const script = new URL("open_and_write.ts", import.meta.url).pathname;
  const config = new URL("../../deno.json", import.meta.url).pathname;
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-check", "--no-prompt", `--config=${config}`, ...permissions, script, ...args],
    // A process that does not end by itself is a failure, not a test that never ends.
    signal: AbortSignal.timeout(60_000),
    stdin: "null",
    env: { NO_COLOR: "1" },
  }).output();
}
