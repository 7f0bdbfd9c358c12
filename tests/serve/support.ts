/**
 * A server in this process on a free port, with versions of a small policy.
 *
 * @module
 */
import type { Config } from "../../src/config/schema.ts";
import { initialState } from "../../src/engine/network.ts";
import { exportStateDict } from "../../src/policy/state_dict.ts";
import { PolicyServer, type ServerOptions } from "../../src/serve/server.ts";
import { registerPolicy } from "../../src/session/register_policy.ts";
import { createPersistence } from "../../src/store/create.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { INPUT_DIM, settings } from "../session/support.ts";

/** Length of the embeddings. */
export { INPUT_DIM };

/** The experts in the order of the outputs. */
export const EXPERTS = ["literal", "systemic", "principles", "precedent"];

/** What a test sets of a server. */
export interface ServedOptions extends Partial<Pick<ServerOptions, "tokens" | "queueLimit">> {
  readonly maxBytes?: number;
  readonly timeoutMs?: number;
  readonly pinned?: string;
  /** Far away by default: tests look when they want to. */
  readonly pollMs?: number;
  /** What the server sees of the store. */
  readonly seen?: (store: RLCFPersistence) => RLCFPersistence;
  /** Version to begin with; null for none. */
  readonly first?: number | null;
}

/** An answer. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any -- tests look into bodies of every shape, and fail where it is another one
  readonly body: any;
}

/** A running server. */
export class Served implements AsyncDisposable {
  private constructor(
    readonly store: RLCFPersistence,
    readonly server: PolicyServer,
    readonly root: string,
    readonly config: Config,
    readonly refresh: () => Promise<void>,
  ) {}

  /** Starts a server on a database. */
  static async start(url: string, options: ServedOptions = {}): Promise<Served> {
    const store = await createPersistence(url);
    const root = await Deno.makeTempDir({ prefix: "rlcf-serve-" });
    const { config } = settings(root);
    if (options.first !== null) await addVersion(store, config, options.first ?? 1);
    const server = PolicyServer.listen({
      hostname: "127.0.0.1",
      port: 0,
      tokens: options.tokens ?? [],
      limits: { maxBytes: options.maxBytes ?? 1 << 20, timeoutMs: options.timeoutMs ?? 10_000 },
      queueLimit: options.queueLimit ?? 10_000,
      version: "test",
    });
    try {
      const holder = await server.open(options.seen?.(store) ?? store, {
        root,
        backend: "cpu",
        pinned: options.pinned,
        pollMs: options.pollMs ?? 3_600_000,
      });
      return new Served(store, server, root, config, () => holder.refresh());
    } catch (thrown) {
      await server.stop();
      await store.close();
      await Deno.remove(root, { recursive: true });
      throw thrown;
    }
  }

  /** The port. */
  get port(): number {
    return this.server.address.port;
  }

  /** Adds a version and makes it active. */
  add(seed: number): Promise<string> {
    return addVersion(this.store, this.config, seed);
  }

  /** Sends a request. */
  async ask(path: string, init: RequestInit = {}): Promise<Answer> {
    const response = await fetch(`http://127.0.0.1:${this.port}${path}`, init);
    const text = await response.text();
    const isJson = text !== "" && response.headers.get("content-type")?.startsWith("application/json");
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  }

  /** Sends JSON. */
  post(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    return this.ask(path, {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: text,
    });
  }

  /** The value of a metric, given with its labels; 0 if it is not there. */
  async metric(name: string): Promise<number> {
    const { body } = await this.ask("/metrics");
    const line = (body as string).split("\n").find((one) => one.startsWith(`${name} `));
    return Number(line?.slice(name.length + 1) ?? 0);
  }

  /** Waits until a metric has a value. */
  async until(name: string, wanted: number): Promise<void> {
    for (let tries = 0; await this.metric(name) !== wanted; tries++) {
      if (tries === 500) throw new Error(`${name} is ${await this.metric(name)}, wanted ${wanted}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server.stop();
    await this.store.close();
    await Deno.remove(this.root, { recursive: true });
  }
}

/** Publishes seeded weights as a version and makes it active. */
export async function addVersion(store: RLCFPersistence, config: Config, seed: number): Promise<string> {
  const shape = { inputDim: INPUT_DIM, hiddenDim: 8, outputs: 4, inputScale: 1 };
  const state = exportStateDict(initialState(shape, seed));
  const { version } = await registerPolicy(store, config, {
    state,
    version: `v1.0.${seed}`,
    config: {},
    metrics: {},
    episodes: 0,
  });
  await store.activatePolicy(version, "gating", { by: "test" });
  return version;
}

/** The embedding of a query. */
export function embedding(i = 0): number[] {
  return Array.from({ length: INPUT_DIM }, (_, axis) => Math.fround(Math.sin(i * INPUT_DIM + axis)));
}

/** A query to route. */
export function query(i = 0, more: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  return { query_id: `q-${i}`, query_embedding: embedding(i), ...more };
}

/** A trace as a service logs it. */
export function traceJson(queryId: string, logProb = -0.5): Record<string, unknown> {
  return {
    query_id: queryId,
    created_at: "2026-01-07T09:00:00.000Z",
    actions: [{
      action_type: "expert_selection",
      parameters: { expert_type: "literal", weight: 0.6 },
      log_prob: logProb,
      metadata: { source: "gating_policy", query_embedding: embedding() },
    }],
  };
}
