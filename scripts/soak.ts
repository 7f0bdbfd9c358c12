/**
 * Kills `train` and `ingest` again and again, on SQLite and on PostgreSQL, and checks after every kill that nothing is
 * lost and nothing is half done. `deno task soak --help` tells the options. Ctrl-C ends it after the current process, a
 * second one at once.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { CRASH_SEED, type Dialect, DIALECTS } from "../tests/faults/crash_support.ts";
import { type CrashCounts, killIngest, killTrain } from "../tests/faults/crash_trials.ts";

const HELP = `deno task soak [--kills N] [--seed N] [--only train|ingest] [--database sqlite|postgres]
  kills every command N times (200) on every database, at moments drawn from the seed (${CRASH_SEED})`;
const COMMANDS = { train: killTrain, ingest: killIngest } as const;

const { values } = parseArgs({
  args: Deno.args,
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: String(CRASH_SEED) },
    only: { type: "string" },
    database: { type: "string" },
    help: { type: "boolean", short: "h" },
  },
});
Deno.exit(values.help === true ? help() : await soak());

function help(): number {
  say(HELP);
  return 0;
}

async function soak(): Promise<number> {
  const [kills, seed] = [Number(values.kills), Number(values.seed)];
  const isKnown = (values.only === undefined || values.only in COMMANDS) &&
    (values.database === undefined || DIALECTS.some(({ dialect }) => dialect === values.database));
  if (!isKnown || !Number.isInteger(kills) || kills < 1 || !Number.isInteger(seed)) {
    say(HELP);
    return 2;
  }
  const stop = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(name, () => {
      if (stop.signal.aborted) Deno.exit(130);
      say("\nending after this process; once more to leave at once");
      stop.abort();
    });
  }
  say(`seed ${seed}, ${kills} kills of each command on each database`);
  let failed = 0;
  for (const [command, series] of Object.entries(COMMANDS)) {
    for (const { dialect, missing } of DIALECTS) {
      const isLeftOut = (values.only ?? command) !== command || (values.database ?? dialect) !== dialect;
      if (isLeftOut || stop.signal.aborted) continue;
      if (missing !== undefined) {
        say(`${command} on ${dialect}: left out, ${missing}`);
        continue;
      }
      if (!await run(command, dialect, () => series({ dialect, kills, seed, signal: stop.signal, onTrial }))) failed++;
    }
  }
  say(failed === 0 ? "every invariant held" : `${failed} series failed`);
  return failed > 0 ? 1 : stop.signal.aborted ? 130 : 0;
}

/** Runs a series and tells its counts; false if an invariant did not hold. */
async function run(command: string, dialect: Dialect, series: () => Promise<CrashCounts>): Promise<boolean> {
  const started = performance.now();
  try {
    const counts = await series();
    const seconds = Math.round((performance.now() - started) / 1000);
    say(`\r\x1b[K${command} on ${dialect}: ${textOf(counts)}; ${seconds} s`);
    for (const [stage, count] of Object.entries(counts.stages).sort(([, a], [, b]) => b - a)) {
      say(`  ${String(count).padStart(5)}  ${stage}`);
    }
    return true;
  } catch (thrown) {
    say(`\r\x1b[K${command} on ${dialect}: FAILED\n${thrown instanceof Error ? thrown.stack : thrown}`);
    return false;
  }
}

function onTrial(counts: CrashCounts): void {
  Deno.stderr.writeSync(new TextEncoder().encode(`\r\x1b[K${textOf(counts)}`));
}

function textOf({ killed, finished }: CrashCounts): string {
  return `${killed} killed, ${finished} ended before the signal`;
}

function say(text: string): void {
  // deno-lint-ignore no-console
  console.error(text);
}
