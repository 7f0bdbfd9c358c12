/**
 * A small workplace for sessions: a database in memory, a checkpoint directory, a log with a known truth.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Random } from "../../src/base/random.ts";
import type { JsonObject } from "../../src/base/check.ts";
import { type ErrorCode, RlcfError } from "../../src/base/errors.ts";
import { effectiveConfig } from "../../src/config/effective.ts";
import { type FlagValues, resolveConfig } from "../../src/config/resolve.ts";
import type { Config } from "../../src/config/schema.ts";
import type { TrainReport } from "../../src/session/report.ts";
import { type TrainRequest, trainSession } from "../../src/session/train_session.ts";
import { Community, COMMUNITY_EXPERTS } from "../../src/simulate/community.ts";
import { createPersistence } from "../../src/store/create.ts";
import type { IngestRecord, RLCFPersistence } from "../../src/store/persistence.ts";
import { ExecutionTrace } from "../../src/trace/execution_trace.ts";

/** Length of the embeddings. */
export const INPUT_DIM = 12;

const MINUTE = 60_000;

/** Where a session works. Closes the store and removes the directory when disposed. */
export class Workplace implements AsyncDisposable {
  private constructor(
    /** The database, in memory. */
    readonly store: RLCFPersistence,
    /** The checkpoint directory. */
    readonly root: string,
  ) {}

  /** Opens a workplace with a log of `episodes` drawn experts. */
  static async open(episodes: number, seed = 1): Promise<Workplace> {
    const root = await Deno.makeTempDir({ prefix: "rlcf-session-" });
    const workplace = new Workplace(await createPersistence(":memory:"), root);
    await workplace.store.ingest(drawnRecords(episodes, seed));
    return workplace;
  }

  /** Runs a session with a small network on the plain CPU backend. */
  train(flags: FlagValues = {}, request: Partial<TrainRequest> = {}): Promise<TrainReport> {
    return trainSession({ store: this.store, ...settings(this.root, flags), ...request });
  }

  /** The names in the checkpoint directory, sorted. */
  async directories(): Promise<string[]> {
    return (await Array.fromAsync(Deno.readDir(this.root))).map(({ name }) => name).sort();
  }

  /** A file of a checkpoint. */
  read(directory: string, file: string): Promise<Uint8Array> {
    return Deno.readFile(`${this.root}/${directory}/${file}`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store.close();
    await Deno.remove(this.root, { recursive: true });
  }
}

/** The configuration of these sessions; `flags` override it. */
export function settings(root: string, flags: FlagValues = {}): { config: Config; configJson: JsonObject } {
  const resolved = resolveConfig({
    flags: {
      "checkpoint.directory": root,
      "checkpoint.save_frequency": 10_000,
      "compute.backend": "cpu",
      "gating_policy.input_dim": INPUT_DIM,
      "gating_policy.hidden_dim": 8,
      "training.batch_size": 8,
      "training.epochs": 2,
      "training.learning_rate": 0.01,
      ...flags,
    },
  });
  const json: Record<string, Record<string, unknown>> = {};
  for (const { key, value } of effectiveConfig(resolved)) {
    const [section, name] = key.split(".") as [string, string];
    (json[section] ??= {})[name] = value;
  }
  return { config: resolved.config, configJson: json };
}

/** Queries of a community, each answered by an expert drawn evenly, and judged; a minute apart, until now. */
export function drawnRecords(
  episodes: number,
  seed: number,
  change: { embedding?: null; contrarians?: number } = {},
): IngestRecord[] {
  const community = new Community({ seed, inputDim: INPUT_DIM, contrarians: change.contrarians ?? 0 });
  const random = new Random(seed);
  return Array.from({ length: episodes }, (_, i) => {
    const query = community.query();
    const drawn = random.below(COMMUNITY_EXPERTS.length);
    const createdAt = new Date(Date.now() - (episodes - i + 1) * MINUTE).toISOString();
    const embedding = change.embedding === null ? {} : { query_embedding: Array.from(query.embedding) };
    const lawyer = community.lawyer();
    return {
      trace: new ExecutionTrace({ queryId: query.queryId, createdAt }).addExpertSelection({
        expertType: COMMUNITY_EXPERTS[drawn]!,
        weight: 0.25,
        logProb: Math.log(0.25),
        metadata: { source: "gating_policy", ...embedding },
      }),
      traceContext: { id: uuidOf(seed, i, "trace"), policyVersion: "logging" },
      feedback: community.judge(query, query.rewards[drawn]!, lawyer, createdAt),
      feedbackContext: { id: uuidOf(seed, i, "feedback"), userAuthority: lawyer.authority },
    };
  });
}

/** The same store, but one of its methods fails. */
export function failing(store: RLCFPersistence, method: keyof RLCFPersistence, thrown: Error): RLCFPersistence {
  return new Proxy(store, {
    get(target, name): unknown {
      if (name === method) return () => Promise.reject(thrown);
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Asserts that the promise is refused with an RlcfError of this kind whose message matches. */
export async function refuses(work: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  await assert.rejects(work, (thrown) => {
    assert.ok(thrown instanceof RlcfError, String(thrown));
    assert.equal(thrown.code, code, thrown.message);
    assert.match(thrown.message, message);
    return true;
  });
}

/** The same id for the same record in every workplace. */
function uuidOf(seed: number, i: number, kind: "trace" | "feedback"): string {
  const number = String(i).padStart(12, "0");
  return `${String(seed).padStart(8, "0")}-0000-4000-8000-${kind === "trace" ? `a${number.slice(1)}` : number}`;
}
