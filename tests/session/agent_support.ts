/**
 * A workplace for sessions of the ReActPolicy and the TraversalPolicy.
 *
 * @module
 */
import type { FlagValues } from "../../src/config/resolve.ts";
import { RlcfError } from "../../src/base/errors.ts";
import { ReActPolicy } from "../../src/policy/react_policy.ts";
import type { TrainReport } from "../../src/session/report.ts";
import { type TrainRequest, trainSession } from "../../src/session/train_session.ts";
import { agentRecords, traversalRecords } from "../../src/simulate/decision_logs.ts";
import { ReActWorld } from "../../src/simulate/react_world.ts";
import { createPersistence } from "../../src/store/create.ts";
import type { RLCFPersistence } from "../../src/store/persistence.ts";
import { settings } from "./support.ts";

/** Length of a state. */
export const STATE_DIM = 8;
/** Sizes, and minibatches small enough to make many steps of every pass. */
export const REACT_FLAGS: FlagValues = {
  "training.policy_type": "react",
  "react_policy.state_dim": STATE_DIM,
  "react_policy.hidden_dim": 8,
  "react_policy.minibatch_size": 64,
  "react_policy.learning_rate": 0.003,
  "react_policy.target_kl": 0,
};
/** Sizes of a traversal policy. */
export const TRAVERSAL_FLAGS: FlagValues = {
  "training.policy_type": "traversal",
  "gating_policy.input_dim": 6,
  "traversal_policy.hidden_dim": 8,
  "traversal_policy.relations": ["MODIFICA", "CITATO_DA", "RELATED_TO"],
  "training.epochs": 6,
  "training.learning_rate": 0.01,
};

/** Where a session works. Closes the store and removes the directory when disposed. */
export class AgentWorkplace implements AsyncDisposable {
  private constructor(readonly store: RLCFPersistence, readonly root: string) {}

  /** An empty workplace; in memory unless a database is named. */
  static async open(url = ":memory:"): Promise<AgentWorkplace> {
    return new AgentWorkplace(await createPersistence(url), await Deno.makeTempDir({ prefix: "rlcf-agent-" }));
  }

  /** Stores episodes that fresh weights of the configured sizes have played: those that a first session starts from. */
  async playFresh(episodes: number, seed = 1): Promise<void> {
    await using policy = await ReActPolicy.create({ stateDim: STATE_DIM, hiddenDim: 8, seed: 0, backend: "simd" });
    await this.play(policy, episodes, seed);
  }

  /** Stores episodes that a policy has played. */
  async play(policy: ReActPolicy, episodes: number, seed: number): Promise<void> {
    const world = new ReActWorld({ seed: 5, stateDim: STATE_DIM });
    await this.store.ingest(await agentRecords(world, policy, { episodes, seed }));
  }

  /** Stores traces with traversals. */
  async traverse(episodes: number, seed = 1): Promise<void> {
    const shape = { inputDim: 6, relations: ["MODIFICA", "CITATO_DA", "RELATED_TO"] };
    await this.store.ingest(traversalRecords(shape, { episodes, seed }));
  }

  /** Runs a session. */
  train(flags: FlagValues, request: Partial<TrainRequest> = {}): Promise<TrainReport> {
    return trainSession({ store: this.store, ...settings(this.root, flags), ...request });
  }

  /** Trains and stops as soon as so many episodes were visited. */
  async interrupted(flags: FlagValues, after: number, request: Partial<TrainRequest> = {}): Promise<RlcfError> {
    const stop = new AbortController();
    try {
      await this.train(flags, {
        ...request,
        signal: stop.signal,
        onProgress: ({ episodes }) => {
          if (episodes >= after) stop.abort();
        },
      });
    } catch (thrown) {
      if (thrown instanceof RlcfError && thrown.code === "interrupted") return thrown;
      throw thrown;
    }
    throw new Error("the session was not interrupted");
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
