/**
 * Between a policy in an engine and its checkpoint on disk.
 *
 * @module
 */
import { expectArray, expectNumber, expectObject, expectText, type JsonObject } from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import type { EngineUsed } from "../checkpoint/manifest.ts";
import type { LoadedCheckpoint, TrainerState as SavedTrainer } from "../checkpoint/checkpoint.ts";
import type { TensorMap } from "../checkpoint/safetensors.ts";
import type { NetworkShape, TrainingState } from "../engine/engine.ts";
import { layersOf } from "../engine/network.ts";
import { exportStateDict, fromStateDict, importStateDict, toStateDict } from "../policy/state_dict.ts";
import type { BaselineState } from "../train/baseline.ts";
import type { TrainerState } from "../train/single_step_trainer.ts";

/** A policy network as it is described in a manifest. */
export interface SavedNetwork {
  /** Sizes of the network. */
  readonly shape: NetworkShape;
  /** Names of the outputs. */
  readonly experts: readonly string[];
  /** Names of the relations of which the last inputs say which one is meant; in traversal policies alone. */
  readonly relations?: readonly string[] | undefined;
}

/** Everything that a checkpoint keeps of a training run, read back. */
export interface SavedPolicy extends SavedNetwork {
  /** Weights and moments. */
  readonly state: TrainingState;
  /** Baseline and counters. */
  readonly trainer: TrainerState;
  /** What the run needs to be taken up again; empty in a final version. */
  readonly run: JsonObject;
  /** What it was computed on. */
  readonly engine: EngineUsed;
}

/** A network as JSON for the manifest. */
export function networkToJson({ shape, experts, relations }: SavedNetwork): JsonObject {
  return {
    input_dim: shape.inputDim,
    hidden_dim: shape.hiddenDim,
    input_scale: shape.inputScale,
    experts,
    ...(relations === undefined ? {} : { relations }),
  };
}

/** The tensors and the JSON of both files of a checkpoint. */
export function packPolicy(
  state: TrainingState,
  trainer: TrainerState,
  run: JsonObject,
): { policy: TensorMap; trainer: SavedTrainer } {
  const tensors = packNetwork(state);
  return {
    policy: tensors.policy,
    trainer: {
      tensors: tensors.trainer,
      state: {
        step: state.step,
        num_updates: trainer.numUpdates,
        baseline: trainer.baseline,
        reward_std: trainer.rewardStd,
        reward_window: trainer.rewardWindow,
        run,
      },
    },
  };
}

/** The tensors of one network in the two files of a checkpoint. */
export interface NetworkTensors {
  /** Its weights in torch's names, for inputs that are not scaled. */
  readonly policy: TensorMap;
  /** Its moments, and what of its weights folding the input scale would round. */
  readonly trainer: TensorMap;
}

/** A network's tensors for the two files of a checkpoint. */
export function packNetwork(state: TrainingState): NetworkTensors {
  const { shape } = state;
  const moments = {
    ...prefixed("first_moment.", toStateDict(shape, state.firstMoments)),
    ...prefixed("second_moment.", toStateDict(shape, state.secondMoments)),
  };
  return {
    policy: exportStateDict(state),
    trainer: foldsExactly(shape) ? moments : { ...moments, ...unscaledFirstWeight(state) },
  };
}

/** Reads a verified checkpoint. Throws RlcfError("checkpoint") if its parts do not fit together. */
export function unpackPolicy(checkpoint: LoadedCheckpoint): SavedPolicy {
  return asCheckpointError(checkpoint.path, () => {
    if (checkpoint.manifest.policyType === "react") {
      throw new RlcfError("checkpoint", "found a react policy, wanted one that routes");
    }
    const network = networkFromJson(checkpoint.manifest.network);
    const saved = checkpoint.trainer.state;
    const tensors = { policy: checkpoint.policy, trainer: checkpoint.trainer.tensors };
    return {
      ...network,
      state: unpackNetwork(network.shape, tensors, expectNumber(saved.step, "step", 0)),
      trainer: { ...baselineFrom(saved), numUpdates: expectNumber(saved.num_updates, "num_updates", 0) },
      run: expectObject(saved.run, "run"),
      engine: checkpoint.manifest.engine,
    };
  });
}

/** What is wrong with the parts of a checkpoint, told as what it is: a checkpoint that cannot be used. */
export function asCheckpointError<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (thrown) {
    if (!(thrown instanceof RlcfError)) throw thrown;
    throw new RlcfError("checkpoint", `cannot use policy checkpoint ${path}: ${thrown.message}`, { cause: thrown });
  }
}

function networkFromJson(json: JsonObject): SavedNetwork {
  const experts = namesFrom(json.experts, "network.experts");
  return {
    experts,
    ...(json.relations === undefined ? {} : { relations: namesFrom(json.relations, "network.relations") }),
    shape: {
      inputDim: expectNumber(json.input_dim, "network.input_dim", 1, 65536),
      hiddenDim: expectNumber(json.hidden_dim, "network.hidden_dim", 0, 65536),
      outputs: experts.length,
      inputScale: expectNumber(json.input_scale, "network.input_scale"),
    },
  };
}

/** A list of names. */
export function namesFrom(json: unknown, where: string): string[] {
  return expectArray(json, where).map((name, i) => expectText(name, `${where}[${i}]`));
}

/**
 * A network's weights and moments out of the tensors of a checkpoint.
 *
 * @param tensors of its two files, those of this network alone
 */
export function unpackNetwork(
  shape: NetworkShape,
  { policy, trainer }: NetworkTensors,
  step: number,
): TrainingState {
  const state = importStateDict(shape, policy);
  const unscaled = trainer[UNSCALED];
  if (unscaled !== undefined) state.parameters.set(unscaled.data, layersOf(shape)[0]!.weightOffset);
  return {
    shape,
    parameters: state.parameters,
    firstMoments: fromStateDict(shape, withPrefix("first_moment.", trainer)),
    secondMoments: fromStateDict(shape, withPrefix("second_moment.", trainer)),
    step,
  };
}

function baselineFrom(saved: JsonObject): BaselineState {
  return {
    baseline: expectNumber(saved.baseline, "baseline"),
    rewardStd: expectNumber(saved.reward_std, "reward_std", 0),
    rewardWindow: expectArray(saved.reward_window, "reward_window")
      .map((reward, i) => expectNumber(reward, `reward_window[${i}]`)),
  };
}

/** The first layer before the input scale was folded in; kept only where folding rounds. */
const UNSCALED = "unscaled.0.weight";

/** Whether multiplying by the input scale and dividing again gives every float32 back: powers of two do. */
function foldsExactly(shape: NetworkShape): boolean {
  return Number.isInteger(Math.log2(shape.inputScale));
}

function unscaledFirstWeight({ shape, parameters }: TrainingState): TensorMap {
  return { [UNSCALED]: toStateDict(shape, parameters)["0.weight"]! };
}

/** Tensors with a prefix before their names. */
export function prefixed(prefix: string, tensors: TensorMap): TensorMap {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [prefix + name, tensor]));
}

/** The tensors whose names begin with a prefix, without it. */
export function withPrefix(prefix: string, tensors: TensorMap): TensorMap {
  return Object.fromEntries(
    Object.entries(tensors)
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
  );
}
