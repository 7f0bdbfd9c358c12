// deno-lint-ignore-file no-console -- a benchmark prints
/**
 * Rows per second from the database into an EpisodeSet, by the way that a training session goes.
 *
 *     deno task bench:load [--rows 20000] [--rounds 5] [--databases sqlite,postgres] [--json]
 *
 * Each round starts a fresh process for each database, with the memory settings of the program's tasks, in reversed
 * order every other round. A process loads the window
 * once cold, as a session does, and some more times warm; the peak of its memory is taken after the first load, since
 * later sets lie beside the garbage of earlier ones. SQLite is a file in a temporary directory, in the system's cache;
 * PostgreSQL is the server of the tests, over a local socket, and left out where there is none.
 *
 * Beside these stands what no loader can be faster than: `memory` are the rows per second at which an array of that size
 * is touched for the first time, a page at a time, which some virtual machines make dearer than everything else. And a
 * peer: Python's sqlite3 into a numpy array (`apt-get install python3-numpy`; left out where there is none).
 *
 * @module
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { storeSimulatedLog } from "../src/bench/simulated_log.ts";
import { percentile } from "../src/bench/timing.ts";
import { loadEpisodes } from "../src/episodes/load_episodes.ts";
import { programCommand } from "../scripts/program_task.ts";
import { createPersistence } from "../src/store/create.ts";
import { postgresForTests } from "../tests/support/postgres.ts";

const INPUT_DIM = 768;
const EXPERTS = ["literal", "systemic", "principles", "precedent"];
/** Loads of a process after its first one. */
const WARM_LOADS = 4;
const MB = 2 ** 20;
/** Floats of a page of memory. */
const PAGE_FLOATS = 1024;
/** Debian's Python has Debian's numpy; another one in front of it on the PATH has none. */
const PYTHON = "/usr/bin/python3";

/** What one process measured. */
interface Sample {
  /** Rows per second of the first load of the process. */
  readonly cold: number;
  /** Median of the further loads. */
  readonly warm: number;
  /** Median of reading alone, without building the set. */
  readonly read: number;
  /** Median of touching as much new memory as the embeddings take. */
  readonly memory: number;
  /** Largest resident memory of the process until the end of the first load, in MB; null where it is not known. */
  readonly peakMb: number | null;
  /** Resident memory before the first load, in MB. */
  readonly beforeMb: number;
}

/** What the peer measured; rows per second. */
interface PeerSample {
  readonly cold: number;
  readonly warm: number;
}

/** What is reported; the field names are those of `--json`. */
interface Row {
  readonly database: string;
  readonly rows: number;
  readonly cold_rows_per_second: number;
  readonly warm_rows_per_second: number;
  readonly read_rows_per_second: number;
  readonly memory_rows_per_second: number;
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
  const touch = () =>
    rate(() => {
      const embeddings = new Float32Array(rows * INPUT_DIM);
      for (let i = 0; i < embeddings.length; i += PAGE_FLOATS) embeddings[i] = 1;
      return Promise.resolve(embeddings.length / INPUT_DIM);
    });
  const [warm, reading, touching]: [number[], number[], number[]] = [[], [], []];
  for (let i = 0; i < WARM_LOADS; i++) {
    warm.push(await load());
    reading.push(await read());
    touching.push(await touch());
  }
  const median = (rates: readonly number[]): number => percentile(rates, 0.5);
  return { cold, warm: median(warm), read: median(reading), memory: median(touching), peakMb, beforeMb };
}

/** What Python makes of the same file; undefined where it has no numpy. */
async function inPython(path: string): Promise<PeerSample | undefined> {
  const script = new URL("peers/load_in_python.py", import.meta.url).pathname;
  try {
    const { success, stdout } = await new Deno.Command(PYTHON, { args: [script, path, String(rows)], stderr: "null" })
      .output();
    return success ? JSON.parse(new TextDecoder().decode(stdout)) as PeerSample : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
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
  const peers: PeerSample[] = [];
  for (let round = 0; round < Number(options.rounds); round++) {
    const order = round % 2 === 0 ? [...urls] : [...urls].toReversed();
    for (const [database, url] of order) {
      samples.get(database)!.push(await inFreshProcess(url));
      const peer = database === "sqlite" ? await inPython(join(directory, "load.db")) : undefined;
      if (peer !== undefined) peers.push(peer);
    }
  }
  const report = [...samples].map(([database, rounds]) => summary(database, rounds));
  if (options.json) return console.log(JSON.stringify({ databases: report, python_sqlite: peers }));
  console.table(report.map(({ rounds: _, ...row }) => row));
  if (peers.length === 0) return console.log("no peer: Python has no numpy here (apt-get install python3-numpy)");
  const peer = (pick: (sample: PeerSample) => number): number => percentile(peers.map(pick), 0.5);
  const [cold, warm] = [peer((sample) => sample.cold), peer((sample) => sample.warm)].map(Math.round);
  const own = report.find(({ database }) => database === "sqlite")!;
  console.log(
    `Python's sqlite3 into numpy: ${cold} rows/s cold, ${warm} warm; rlcf is ` +
      `${(own.cold_rows_per_second / cold!).toFixed(2)} and ${
        (own.warm_rows_per_second / warm!).toFixed(2)
      } times as fast`,
  );
}

async function inFreshProcess(url: string): Promise<Sample> {
  const { environment, flags } = programCommand("rlcf");
  const v8 = flags.filter((flag) => flag.startsWith("--v8-flags="));
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-all", ...v8, import.meta.filename!, "--url", url, "--rows", String(rows)],
    env: { ...environment },
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
    memory_rows_per_second: median(({ memory }) => memory),
    embeddings_mb: Math.round(rows * INPUT_DIM * 4 / MB),
    before_mb: median(({ beforeMb }) => beforeMb),
    peak_mb: rounds.some(({ peakMb }) => peakMb === null) ? null : median(({ peakMb }) => peakMb!),
    rounds,
  };
}
