/**
 * What is measured for each type of policy: the network that is timed, with the loss that trains it, and the way from the
 * database to a checkpoint.
 *
 * @module
 */
import type { Config } from "../config/schema.ts";
import type { BackendChoice } from "../engine/create.ts";
import type { TrainingState } from "../engine/engine.ts";
import type { EngineFallback } from "../engine/fallback.ts";
import { defaultInputScale, initialState } from "../engine/network.ts";
import type { TrajectorySet } from "../episodes/trajectory_set.ts";
import type { LossHeadName } from "../loss/heads.ts";
import { GatingPolicy } from "../policy/gating_policy.ts";
import { ReActPolicy } from "../policy/react_policy.ts";
import { TRAVERSAL_CHOICES } from "../policy/traversal_policy.ts";
import { openReActPolicy, readStored, readStoredPolicy } from "../session/open_policy.ts";
import type { SavedPolicy } from "../session/saved_policy.ts";
import { type SavedReAct, unpackReAct } from "../session/saved_react.ts";
import { readTrainingLog, type SessionLog, windowOf } from "../session/training_log.ts";
import { readTrajectoryLog } from "../session/trajectory_log.ts";
import { readTraversalLog, traversalScale } from "../session/traversal_log.ts";
import { agentRecords, traversalRecords } from "../simulate/decision_logs.ts";
import { ReActWorld } from "../simulate/react_world.ts";
import type { PolicyCheckpoint, RLCFPersistence } from "../store/persistence.ts";
import { type EndToEnd, measureEndToEnd } from "./end_to_end.ts";
import { measureAgentWay } from "./end_to_end_agent.ts";
import { storeSimulatedLog } from "./simulated_log.ts";

/** What is measured. */
export interface BenchSubject {
  /** The network whose steps are timed: of a ReActPolicy, its actor. */
  readonly state: TrainingState;
  /** The loss that trains it. */
  readonly head: LossHeadName;
  /** The settings with the sizes of the network. */
  readonly config: Config;
  /** Reads what a session would train on. */
  readLog(store: RLCFPersistence, config: Config): Promise<SessionLog>;
  /** Rows that the engine is trained on in one pass over a log. */
  passRows(log: SessionLog): number;
  /** Fills an empty store with a simulated log of so many episodes. */
  simulate(store: RLCFPersistence, episodes: number): Promise<void>;
  /** Opens the policy to be trained on the way. */
  open(backend: BackendChoice): Promise<BenchedPolicy>;
}

/** A policy that is trained on the way from the database to a checkpoint. */
export interface BenchedPolicy extends AsyncDisposable {
  /** The backend at work now. */
  readonly backend: string;
  /** Changes of backend so far. */
  readonly fallbacks: readonly EngineFallback[];
  /** Times the way. */
  measure(options: {
    readonly store: RLCFPersistence;
    readonly config: Config;
    readonly scratch: string;
    readonly timeMs: number;
  }): Promise<EndToEnd>;
}

/** The subject of the configured type, with the weights of the active version, or fresh ones. */
export async function subjectOf(config: Config, row: PolicyCheckpoint | null): Promise<BenchSubject> {
  const { directory } = config.checkpoint;
  if (config.training.policyType === "react") {
    return agentSubject(config, row === null ? null : (await readStored(row, directory, unpackReAct)).saved);
  }
  return routingSubject(config, row === null ? null : (await readStoredPolicy(row, directory)).saved);
}

function routingSubject(settings: Config, saved: SavedPolicy | null): BenchSubject {
  const isTraversal = settings.training.policyType === "traversal";
  const relations = isTraversal ? saved?.relations ?? settings.traversalPolicy.relations : undefined;
  const state = saved?.state ?? freshRouting(settings, relations);
  const { inputDim: inputs, hiddenDim, inputScale } = state.shape;
  const inputDim = inputs - (relations?.length ?? 0);
  const experts = isTraversal ? TRAVERSAL_CHOICES : saved?.experts ?? settings.gatingPolicy.experts;
  const config = relations === undefined
    ? { ...settings, gatingPolicy: { ...settings.gatingPolicy, inputDim, hiddenDim, inputScale, experts } }
    : {
      ...settings,
      gatingPolicy: { ...settings.gatingPolicy, inputDim },
      traversalPolicy: { hiddenDim, relations, inputScale },
    };
  return {
    state,
    head: "policy_gain",
    config,
    readLog: (store, config) =>
      (isTraversal ? readTraversalLog : readTrainingLog)(store, config, windowOf(config, new Date())),
    passRows: ({ split }) => split.training.length,
    simulate: async (store, episodes) => {
      if (relations === undefined) return await storeSimulatedLog(store, { episodes, inputDim, experts });
      await store.ingest(traversalRecords({ inputDim, relations }, { episodes, seed: 1 }));
    },
    open: async (backend) => {
      const policy = await GatingPolicy.create({ inputDim: inputs, hiddenDim, inputScale, experts, backend });
      await policy.engine.load(state);
      return {
        get backend() {
          return policy.engine.backend;
        },
        get fallbacks() {
          return policy.fallbacks;
        },
        measure: (options) => measureEndToEnd({ ...options, policy, relations }),
        [Symbol.asyncDispose]: () => policy.close(),
      };
    },
  };
}

function agentSubject(settings: Config, saved: SavedReAct | null): BenchSubject {
  const { seed } = settings.training;
  const { stateDim, hiddenDim, inputScale, actions } = saved === null
    ? { ...settings.reactPolicy, inputScale: agentScale(settings) }
    : { ...saved.shape, stateDim: saved.shape.inputDim, actions: saved.actions };
  const shape = { inputDim: stateDim, hiddenDim, outputs: actions.length, inputScale };
  const fresh = { stateDim, hiddenDim, inputScale, actions, seed };
  return {
    state: saved?.actor ?? initialState(shape, seed),
    head: "ppo_actor",
    config: { ...settings, reactPolicy: { ...settings.reactPolicy, stateDim, hiddenDim, inputScale, actions } },
    readLog: (store, config) => readTrajectoryLog(store, config, windowOf(config, new Date())),
    // Every step of an episode, for the actor and for the critic.
    passRows: ({ episodes, split }) => 2 * (episodes as TrajectorySet).steps * split.training.length / episodes.size,
    simulate: async (store, episodes) => {
      await using policy = await ReActPolicy.create({ ...fresh, backend: "simd" });
      await store.ingest(await agentRecords(new ReActWorld({ seed: 1, stateDim }), policy, { episodes, seed: 1 }));
    },
    open: async (backend) => {
      const policy = saved === null
        ? await ReActPolicy.create({ ...fresh, backend })
        : await openReActPolicy(saved, backend);
      return {
        get backend() {
          return policy.actor.backend;
        },
        get fallbacks() {
          return policy.fallbacks;
        },
        measure: (options) => measureAgentWay({ ...options, policy }),
        [Symbol.asyncDispose]: () => policy.close(),
      };
    },
  };
}

function agentScale({ reactPolicy: { inputScale, stateDim } }: Config): number {
  return inputScale === "auto" ? defaultInputScale(stateDim) : inputScale;
}

function freshRouting(config: Config, relations: readonly string[] | undefined): TrainingState {
  const { gatingPolicy: { inputDim, hiddenDim, inputScale, experts }, traversalPolicy, training: { seed } } = config;
  const shape = relations === undefined
    ? {
      inputDim,
      hiddenDim,
      outputs: experts.length,
      inputScale: inputScale === "auto" ? defaultInputScale(inputDim) : inputScale,
    }
    : {
      inputDim: inputDim + relations.length,
      hiddenDim: traversalPolicy.hiddenDim,
      outputs: TRAVERSAL_CHOICES.length,
      inputScale: traversalScale(config),
    };
  return initialState(shape, seed);
}
