/**
 * A process of its own that works on the store:
 *
 * - `activate URL COUNT SEED`: activates one of the versions v0 to v5 so many times;
 * - `write URL COUNT NAME`: so many times a trace with feedback, one record ingested, and feedback on it;
 * - `train URL ROOT TTL_MS METHOD`: a training session that, before it calls a method of the store for its final version,
 *   says `at METHOD` and goes on when it is told a line.
 *
 * Prints what it did as JSON; ends with the exit code of the program.
 *
 * @module
 */
import { RlcfError } from "../../src/base/errors.ts";
import { EXIT_CODES } from "../../src/cli/exit_codes.ts";
import { trainSession } from "../../src/session/train_session.ts";
import { createPersistence } from "../../src/store/create.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { drawnRecords, settings } from "../session/support.ts";
import { rating, sampledTrace } from "../store/records.ts";

const [job, url, ...rest] = Deno.args as [string, string, ...string[]];

async function activate([count, seed]: string[]): Promise<unknown> {
  await using store = await createPersistence(url);
  for (let i = 0; i < Number(count); i++) {
    const version = `v${(Number(seed) * 7 + i * (1 + Number(seed))) % 6}`;
    if (!await store.activatePolicy(version, "gating", { by: seed! })) throw new Error(`no ${version}`);
  }
  return { activated: Number(count) };
}

async function write([count, name]: string[]): Promise<unknown> {
  await using store = await createPersistence(url);
  for (let i = 0; i < Number(count); i++) {
    const query = `${name}-${i}`;
    const id = await store.saveTrace(sampledTrace(query));
    await store.saveFeedback(id, rating(query, 0.5));
    const [record] = drawnRecords(1, 1000 * Number(name) + i + 1);
    await store.ingest([record!]);
    await store.saveFeedback(record!.traceContext.id, rating(record!.trace.queryId, 0.75));
  }
  return { traces: 2 * Number(count), feedback: 3 * Number(count) };
}

async function train([root, ttlMs, method]: string[]): Promise<unknown> {
  // Renewed by the session itself just before it publishes. A timer might be stopped in the middle of a renewal, and a
  // stopped writer keeps SQLite's lock.
  const lease = { lifetimeSeconds: Number(ttlMs) / 1000, renewalMs: 1000 * Number(ttlMs) };
  await using store = await createPersistence(url, { lease });
  const { config, configJson } = settings(root!, { "checkpoint.activate": "always" });
  const report = await trainSession({ store: pausing(store, method), config, configJson });
  return { version: report.version, activated: report.activated };
}

/** The same store, but before a method it waits until it is told to go on. */
function pausing(store: RLCFPersistence, method: string | undefined): RLCFPersistence {
  return new Proxy(store, {
    get(target, name): unknown {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      if (name !== method) return value.bind(target);
      return async (...args: unknown[]): Promise<unknown> => {
        await Deno.stdout.write(new TextEncoder().encode(`at ${method}\n`));
        await Deno.stdin.read(new Uint8Array(16));
        return await value.apply(target, args);
      };
    },
  });
}

try {
  const result = await { activate, write, train }[job]!(rest);
  await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify(result)}\n`));
  Deno.exit(0);
} catch (thrown) {
  const known = thrown instanceof RlcfError;
  const text = known ? `${thrown.message}\n` : `${Deno.inspect(thrown)}\n`;
  await Deno.stderr.write(new TextEncoder().encode(text));
  Deno.exit(known ? EXIT_CODES[thrown.code] : 1);
}
