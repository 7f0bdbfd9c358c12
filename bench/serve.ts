// deno-lint-ignore-file no-console -- a benchmark prints
/**
 * Requests per second and latency of `rlcf serve`, a process of its own, on SQLite and PostgreSQL.
 *
 *     deno task bench:serve [--seconds 5] [--clients 1,32] [--databases sqlite,postgres] [--json]
 *
 * Every client has one connection over the loopback of this machine and sends its next request when the last one has
 * been answered; this program takes its share of the cores. Before each measurement the server is warmed up for half a
 * second. In the end the database must hold all that was acknowledged, or the benchmark fails. SQLite is a file in a
 * temporary directory; PostgreSQL is the server of the tests, which runs with fsync off, and left out where there is
 * none.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { percentile } from "../src/bench/timing.ts";
import { resolveConfig } from "../src/config/resolve.ts";
import { initialState } from "../src/engine/network.ts";
import { exportStateDict } from "../src/policy/state_dict.ts";
import { registerPolicy } from "../src/session/register_policy.ts";
import { createPersistence } from "../src/store/create.ts";
import { start } from "../tests/cli/support.ts";
import { postgresForTests } from "../tests/support/postgres.ts";

const INPUT_DIM = 768;
const WARM_UP_SECONDS = 0.5;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** What clients send. */
interface Load {
  readonly name: string;
  readonly path: string;
  /** The body of a client's nth request. */
  readonly body: (client: string, n: number) => string;
  /** Traces and feedback that one acknowledged request stores. */
  readonly stores: readonly [traces: number, feedback: number];
}

/** One measurement; the field names are those of `--json`. */
interface Row {
  readonly database: string;
  readonly load: string;
  readonly clients: number;
  readonly requests_per_s: number;
  readonly ms_p50: number;
  readonly ms_p99: number;
  /** Answers other than 200 and 201. */
  readonly failed: number;
}

const { values: options } = parseArgs({
  args: Deno.args,
  options: {
    seconds: { type: "string", default: "5" },
    clients: { type: "string", default: "1,32" },
    databases: { type: "string", default: "sqlite,postgres" },
    json: { type: "boolean", default: false },
  },
});

const [loadBefore] = Deno.loadavg();
const rows: Row[] = [];
for (const database of options.databases.split(",")) {
  const directory = await Deno.makeTempDir({ prefix: "rlcf-bench-serve-" });
  try {
    if (database === "sqlite") await measure(database, directory, `sqlite:///${directory}/log.db`);
    else {
      const postgres = await postgresForTests();
      if ("reason" in postgres) {
        console.error(postgres.reason);
        continue;
      }
      await using created = await postgres.createDatabase();
      await measure(database, directory, created.url);
    }
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
const [loadAfter] = Deno.loadavg();
if (options.json) {
  console.log(JSON.stringify({ deno: Deno.version.deno, load_before: loadBefore, load_after: loadAfter, rows }));
} else {
  console.table(rows);
  console.log(`load average ${loadBefore!.toFixed(1)} before, ${loadAfter!.toFixed(1)} after`);
}

/** Measures every load on one database. */
async function measure(database: string, directory: string, url: string): Promise<void> {
  const policies = `${directory}/policies`;
  const traceId = await prepare(url, policies);
  const child = start(["serve", "--port", "0", "--backend", "simd", "--log-level", "error", "--database", url], {
    cwd: directory,
    env: { RLCF_CHECKPOINT_DIR: policies },
  });
  const output = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  const { value: address } = await output.read();
  if (address === undefined) throw new Error(await new Response(child.stderr).text());
  const port = Number(new URL(address.trim()).port);
  const stored = [1, 0];
  for (const clients of options.clients.split(",").map(Number)) {
    for (const load of loadsOn(traceId)) {
      for (const seconds of [WARM_UP_SECONDS, Number(options.seconds)]) {
        const { milliseconds, failed, elapsed } = await drive(port, load, clients, seconds);
        load.stores.forEach((count, i) => stored[i]! += count * milliseconds.length);
        if (seconds === WARM_UP_SECONDS) continue;
        const row = {
          database,
          load: load.name,
          clients,
          requests_per_s: Math.round(milliseconds.length / elapsed),
          ms_p50: Number(percentile(milliseconds, 0.5).toFixed(2)),
          ms_p99: Number(percentile(milliseconds, 0.99).toFixed(2)),
          failed,
        };
        rows.push(row);
        console.error(`${database}, ${load.name}, ${clients} clients: ${row.requests_per_s}/s`);
      }
    }
  }
  child.kill("SIGTERM");
  const { code } = await child.status;
  await output.cancel();
  await child.stderr.cancel();
  await using store = await createPersistence(url);
  const { total_traces, total_feedback } = await store.getTrainingStats();
  if (code !== 0 || total_traces !== stored[0] || total_feedback !== stored[1]) {
    throw new Error(
      `exit code ${code}; acknowledged ${stored.join(" and ")}, found ${total_traces} and ${total_feedback}`,
    );
  }
}

/** Makes a version active and stores one trace, whose id is returned. */
async function prepare(url: string, directory: string): Promise<string> {
  await using store = await createPersistence(url);
  const { config } = resolveConfig({ flags: { "checkpoint.directory": directory } });
  const shape = { inputDim: INPUT_DIM, hiddenDim: 256, outputs: 4, inputScale: 1 };
  const { version } = await registerPolicy(store, config, {
    state: exportStateDict(initialState(shape, 1)),
    version: null,
    config: {},
    metrics: {},
    episodes: 0,
  });
  await store.activatePolicy(version, "gating", { by: "bench" });
  const { traceEntriesFromJson } = await import("../src/store/entry_line.ts");
  const { trace } = traceEntriesFromJson({ trace: { query_id: "judged" } });
  await store.saveEntries([trace]);
  return trace.context.id;
}

function loadsOn(traceId: string): readonly Load[] {
  const embedding = JSON.stringify(Array.from({ length: INPUT_DIM }, (_, i) => Math.sin(i) / Math.sqrt(INPUT_DIM)));
  const query = (trace: string) => (client: string, n: number): string =>
    `{"query_id":"${client}-${n}","query_embedding":${embedding},"trace":"${trace}"}`;
  return [
    { name: "route, no trace", path: "/v1/route", body: query("none"), stores: [0, 0] },
    { name: "route, trace stored", path: "/v1/route", body: query("store"), stores: [1, 0] },
    {
      name: "feedback",
      path: "/v1/feedback",
      body: (client, n) =>
        `{"trace_id":"${traceId}","user_id":"${client}-${n}","feedback":{"reasoning_feedback":` +
        `{"logical_coherence":0.9,"legal_soundness":0.85},"synthesis_feedback":{"clarity":0.9}}}`,
      stores: [0, 1],
    },
  ];
}

/** What clients measured together; a failed request has no time. */
interface Driven {
  readonly milliseconds: readonly number[];
  readonly failed: number;
  /** In seconds. */
  readonly elapsed: number;
}

async function drive(port: number, load: Load, clients: number, seconds: number): Promise<Driven> {
  const milliseconds: number[] = [];
  let failed = 0;
  const started = performance.now();
  await Promise.all(Array.from({ length: clients }, async () => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port });
    connection.setNoDelay(true);
    const client = crypto.randomUUID();
    for (let n = 0; performance.now() - started < 1000 * seconds; n++) {
      const body = load.body(client, n);
      const sentAt = performance.now();
      const status = await exchange(connection, load.path, body);
      if (status === 200 || status === 201) milliseconds.push(performance.now() - sentAt);
      else failed++;
    }
  }));
  return { milliseconds, failed, elapsed: (performance.now() - started) / 1000 };
}

/** Sends a request on a connection, reads all of the answer, and returns its status: `fetch` would cost as much again. */
async function exchange(connection: Deno.Conn, path: string, body: string): Promise<number> {
  const bytes = encoder.encode(
    `POST ${path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  for (let sent = 0; sent < bytes.length;) sent += await connection.write(bytes.subarray(sent));
  const buffer = new Uint8Array(4096);
  let text = "";
  while (true) {
    const n = await connection.read(buffer);
    if (n === null) throw new Error(`the server has closed the connection: ${text}`);
    text += decoder.decode(buffer.subarray(0, n));
    const end = text.indexOf("\r\n\r\n");
    if (end === -1) continue;
    const length = Number(/content-length: (\d+)/i.exec(text)![1]);
    if (text.length >= end + 4 + length) return Number(text.slice(9, 12));
  }
}
