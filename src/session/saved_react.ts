/**
 * Between a ReActPolicy in its two engines and its checkpoint on disk.
 *
 * `policy.safetensors` holds `actor.0.weight`, ..., `critic.6.bias`, as a torch module with the two Sequentials `actor` and
 * `critic` has them; `trainer.safetensors` the moments of both, `actor.first_moment.0.weight`, ...
 *
 * @module
 */
import { expectNumber, expectObject, type JsonObject } from "../base/check.ts";
import type { LoadedCheckpoint, TrainerState as SavedTrainer } from "../checkpoint/checkpoint.ts";
import type { EngineUsed } from "../checkpoint/manifest.ts";
import type { TensorMap } from "../checkpoint/safetensors.ts";
import type { NetworkShape, TrainingState } from "../engine/engine.ts";
import { RlcfError } from "../base/errors.ts";
import type { PpoTrainerState } from "../train/ppo_trainer.ts";
import { asCheckpointError, namesFrom, packNetwork, prefixed, unpackNetwork, withPrefix } from "./saved_policy.ts";

/** What a ReActPolicy decides between, and its sizes, as described in a manifest. */
export interface SavedAgent {
  /** The actor's sizes; the critic's differ only in having one output. */
  readonly shape: NetworkShape;
  /** Names of the actions. */
  readonly actions: readonly string[];
}

/** Everything that a checkpoint keeps of a ReActPolicy's training, read back. */
export interface SavedReAct extends SavedAgent {
  /** Weights and moments of the actor. */
  readonly actor: TrainingState;
  /** Weights and moments of the critic. */
  readonly critic: TrainingState;
  /** Counters. */
  readonly trainer: PpoTrainerState;
  /** What the run needs to be taken up again; empty in a final version. */
  readonly run: JsonObject;
  /** What it was computed on. */
  readonly engine: EngineUsed;
}

/** The agent's networks as JSON for the manifest. */
export function agentToJson({ shape, actions }: SavedAgent): JsonObject {
  return { state_dim: shape.inputDim, hidden_dim: shape.hiddenDim, input_scale: shape.inputScale, actions };
}

/** The tensors and the JSON of both files of a checkpoint. */
export function packReAct(
  { actor, critic, trainer }: Pick<SavedReAct, "actor" | "critic" | "trainer">,
  run: JsonObject,
): { policy: TensorMap; trainer: SavedTrainer } {
  const [acting, judging] = [packNetwork(actor), packNetwork(critic)];
  return {
    policy: { ...prefixed("actor.", acting.policy), ...prefixed("critic.", judging.policy) },
    trainer: {
      tensors: { ...prefixed("actor.", acting.trainer), ...prefixed("critic.", judging.trainer) },
      state: {
        actor_step: actor.step,
        critic_step: critic.step,
        num_updates: trainer.numUpdates,
        num_trajectories: trainer.numTrajectories,
        run,
      },
    },
  };
}

/** Reads a verified checkpoint. Throws RlcfError("checkpoint") if its parts do not fit together. */
export function unpackReAct(checkpoint: LoadedCheckpoint): SavedReAct {
  return asCheckpointError(checkpoint.path, () => {
    const { policyType, network, engine } = checkpoint.manifest;
    if (policyType !== "react") throw new RlcfError("checkpoint", `found a ${policyType} policy, wanted a react one`);
    const agent = agentFromJson(network);
    const saved = checkpoint.trainer.state;
    const networkOf = (name: "actor" | "critic", shape: NetworkShape): TrainingState =>
      unpackNetwork(
        shape,
        {
          policy: withPrefix(`${name}.`, checkpoint.policy),
          trainer: withPrefix(`${name}.`, checkpoint.trainer.tensors),
        },
        expectNumber(saved[`${name}_step`], `${name}_step`, 0),
      );
    return {
      ...agent,
      actor: networkOf("actor", agent.shape),
      critic: networkOf("critic", { ...agent.shape, outputs: 1 }),
      trainer: {
        numUpdates: expectNumber(saved.num_updates, "num_updates", 0),
        numTrajectories: expectNumber(saved.num_trajectories, "num_trajectories", 0),
      },
      run: expectObject(saved.run, "run"),
      engine,
    };
  });
}

function agentFromJson(json: JsonObject): SavedAgent {
  const actions = namesFrom(json.actions, "network.actions");
  return {
    actions,
    shape: {
      inputDim: expectNumber(json.state_dim, "network.state_dim", 1, 65536),
      hiddenDim: expectNumber(json.hidden_dim, "network.hidden_dim", 0, 65536),
      outputs: actions.length,
      inputScale: expectNumber(json.input_scale, "network.input_scale"),
    },
  };
}
