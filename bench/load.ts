// deno-lint-ignore-file no-console -- a benchmark prints
/**
 * Rows per second from the database into an EpisodeSet, by the way that a training session goes.
 *
 *     deno task bench:load [--rows 20000] [--rounds 5] [--databases sqlite,postgres] [--json]
 *
 * Each round starts a fresh process for each database, in reversed order every other round. A process loads the window
 * once cold, as a session does, and some more times warm; the peak of its memory is taken after the first load, since
 * later sets lie beside the garbage of earlier ones. SQLite is a file in a temporary directory, in the system's cache;
 * PostgreSQL is the server of the tests, over a local socket, and left out where there is none.
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { storeSimulatedLog } from "../src/bench/simulated_log.ts";
import { percentile } from "../src/bench/timing.ts";
import { loadEpisodes } from "../src/episodes/load_episodes.ts";
import { createPersistence } from "../src/store/create.ts";
import { postgresForTests } from "../tests/support/postgres.ts";

const INPUT_DIM = 768;
const EXPERTS = ["literal", "systemic", "principles", "precedent"];
/** Loads of a process after its first one. */
const WARM_LOADS = 4;
const MB = 2 ** 20;

/** What one process measured. */
interface Sample {
  /** Rows per second of the first load of the process. */
  readonly cold: number;
  /** Median of the further loads. */
  readonly warm: number;
  /** Median of reading alone, without building the set. */
  readonly read: number;
  /** Largest resident memory of the process until the end of the first load, in MB; null where it is not known. */
  readonly peakMb: number | null;
  /** Resident memory before the first load, in MB. */
  readonly beforeMb: number;
}

/** What is reported; the field names are those of `--json`. */
interface Row {
  readonly database: string;
  readonly rows: number;
  readonly cold_rows_per_second: number;
  readonly warm_rows_per_second: number;
  readonly read_rows_per_second: number;
  /** Size of the embeddings, which the set holds once. */
  readonly embeddings_mb: number;
  readonly before_mb: number;
  readonly peak_mb: number | null;
  readonly rounds: readonly Sample[];
}

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    rows: { type: "string", default: "20000" },
    rounds: { type: "string", default: "5" },
    databases: { type: "string", default: "sqlite,postgres" },
    json: { type: "boolean" },
    url: { type: "string" },
  },
});
const rows = Number(options.rows);

if (options.url !== undefined) {
  console.log(JSON.stringify(await measure(options.url)));
} else {
  await compare();
}

/** One process's part. */
async function measure(url: string): Promise<Sample> {
  await using store = await createPersistence(url);
  const window = { since: null, until: new Date().toISOString(), maxFeedback: Infinity };
  const episodeOptions = {
    inputDim: INPUT_DIM,
    experts: EXPERTS,
    feedbackWeighting: "authority",
    scoring: "given",
  } as const;
  const rate = async (work: () => Promise<number>): Promise<number> => {
    const startedAt = performance.now();
    const read = await work();
    if (read !== rows) throw new Error(`found ${read} rows, wanted ${rows}`);
    return 1000 * read / (performance.now() - startedAt);
  };
  const load = () => rate(async () => (await loadEpisodes(store, window, episodeOptions)).feedbackRows);
  const read = () =>
    rate(async () => {
      let count = 0;
      for await (const page of store.readTrainingRows(window)) count += page.length;
      return count;
    });
  const beforeMb = Deno.memoryUsage().rss / MB;
  const cold = await load();
  const peakMb = peakMemory();
  const [warm, reading]: [number[], number[]] = [[], []];
  for (let i = 0; i < WARM_LOADS; i++) {
    warm.push(await load());
    reading.push(await read());
  }
  return { cold, warm: percentile(warm, 0.5), read: percentile(reading, 0.5), peakMb, beforeMb };
}

/** Linux's high-water mark of this process's resident memory, in MB. */
function peakMemory(): number | null {
  if (Deno.build.os !== "linux") return null;
  const peak = /^VmHWM:\s*(\d+) kB$/m.exec(Deno.readTextFileSync("/proc/self/status"));
  return peak === null ? null : Number(peak[1]) / 1024;
}

async function compare(): Promise<void> {
  const directory = await Deno.makeTempDir({ prefix: "rlcf-load-" });
  await using cleanup = new AsyncDisposableStack();
  cleanup.defer(() => Deno.remove(directory, { recursive: true }));
  const urls = new Map<string, string>();
  for (const database of options.databases.split(",")) {
    if (database === "sqlite") {
      urls.set(database, `sqlite:///${join(directory, "load.db")}`);
    } else if (database === "postgres") {
      const server = await postgresForTests();
      if ("reason" in server) console.error(`postgres: left out, ${server.reason}`);
      else urls.set(database, cleanup.use(await server.createDatabase()).url);
    } else {
      throw new Error(`--databases: found ${database}, wanted sqlite or postgres`);
    }
  }
  for (const url of urls.values()) {
    await using store = await createPersistence(url);
    await storeSimulatedLog(store, { episodes: rows, inputDim: INPUT_DIM, experts: EXPERTS });
  }
  const samples = new Map([...urls.keys()].map((database): [string, Sample[]] => [database, []]));
  for (let round = 0; round < Number(options.rounds); round++) {
    const order = round % 2 === 0 ? [...urls] : [...urls].toReversed();
    for (const [database, url] of order) samples.get(database)!.push(await inFreshProcess(url));
  }
  const report = [...samples].map(([database, rounds]) => summary(database, rounds));
  if (options.json) console.log(JSON.stringify(report));
  else console.table(report.map(({ rounds: _, ...row }) => row));
}

async function inFreshProcess(url: string): Promise<Sample> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-all", import.meta.filename!, "--url", url, "--rows", String(rows)],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("a measuring process failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

function summary(database: string, rounds: readonly Sample[]): Row {
  const median = (value: (sample: Sample) => number): number => Math.round(percentile(rounds.map(value), 0.5));
  return {
    database,
    rows,
    cold_rows_per_second: median(({ cold }) => cold),
    warm_rows_per_second: median(({ warm }) => warm),
    read_rows_per_second: median(({ read }) => read),
    embeddings_mb: Math.round(rows * INPUT_DIM * 4 / MB),
    before_mb: median(({ beforeMb }) => beforeMb),
    peak_mb: rounds.some(({ peakMb }) => peakMb === null) ? null : median(({ peakMb }) => peakMb!),
    rounds,
  };
}
