/**
 * Gathers what a report on a version shows: what training wrote down, and what the log says today.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";
import type { EpisodeSet } from "../episodes/episode_set.ts";
import { bootstrapIntervals, userClusters } from "../evaluate/bootstrap.ts";
import { estimateValue, loggedValue, type ValueEstimate } from "../evaluate/policy_value.ts";
import { heldOutValues } from "../evaluate/reward_values.ts";
import { logSupport } from "../evaluate/support.ts";
import { type Recorded, recordedOf } from "../report/recorded.ts";
import type { ReportData, RoutingShares, ValueFacts } from "../report/report_data.ts";
import type { PolicyActivation, PolicyCheckpoint, RLCFPersistence } from "../store/persistence.ts";
import { type Contestant, routeHoldout } from "./holdout_evaluation.ts";
import { describeAgent } from "./agent_report.ts";
import type { SavedPolicy } from "./saved_policy.ts";
import { readTraversalLog } from "./traversal_log.ts";
import { logFacts } from "./log_facts.ts";
import { findStoredPolicy, openPolicy, readStoredPolicy, type StoredPolicy } from "./open_policy.ts";
import { routingChanges } from "./routing_changes.ts";
import { readTrainingLog, type TrainingLog, windowOf } from "./training_log.ts";

/** Which version to describe. */
export interface VersionReportRequest {
  /** Where versions, sessions and the log are. */
  readonly store: RLCFPersistence;
  /** The configuration in force. */
  readonly config: Config;
  /** `gating`, `react` or `traversal`. */
  readonly policyType: string;
  /** The active one by default. */
  readonly version?: string | undefined;
  /** The end of the window of the log. */
  readonly now: Date;
}

/**
 * Gathers the report. What is missing besides the version itself becomes a note: an empty log, a previous version
 * without files, metrics of an earlier release.
 *
 * @throws RlcfError("checkpoint") if there is no such version, or its files are missing or broken
 */
export function describeVersion(request: VersionReportRequest): Promise<ReportData> {
  return request.policyType === "react" ? describeAgent(request) : describeRouting(request);
}

async function describeRouting(request: VersionReportRequest): Promise<ReportData> {
  const { store, config, policyType, now } = request;
  const stored = await findStoredPolicy(store, config.checkpoint.directory, policyType, request.version);
  const { checkpoint, saved } = stored;
  const facts = await factsOf(request, checkpoint, saved.experts);
  const { recorded, previous: previousVersion } = facts;
  const notes: string[] = [];
  const previous = previousVersion === null ? null : await openable(request, previousVersion, stored, notes);

  const log = await readLogFor(stored.saved, request);
  const { episodes } = log;
  const after = await routed(stored, episodes, config);
  const before = previous === null ? null : await routed(previous, episodes, config);
  const isEmpty = episodes.size === 0;
  notes.push(...notesOnLog(checkpoint, config, isEmpty));

  const value = isEmpty ? null : await valueToday(log, after, before, config.training.seed);
  return {
    ...facts,
    value: value?.facts ?? valueThen(recorded, checkpoint.version),
    routing: isEmpty ? [] : sharesOf(episodes, after, before),
    // A query has many traversals, each of another relation.
    changes: isEmpty || policyType === "traversal" ? null : await routingChanges(store, episodes, after, before),
    log: { ...logFacts(log, value?.estimate ?? null), skipped: log.skipped },
    notes,
    writtenAt: now.toISOString(),
    location: store.location,
  };
}

/** The log as a version sees it, whatever network is configured today. */
function readLogFor({ experts, relations, shape }: SavedPolicy, request: VersionReportRequest): Promise<TrainingLog> {
  const { store, config, now } = request;
  const inputDim = shape.inputDim - (relations?.length ?? 0);
  const gatingPolicy = { ...config.gatingPolicy, inputDim, experts: [...experts] };
  const window = windowOf(config, now);
  if (relations === undefined) return readTrainingLog(store, { ...config, gatingPolicy }, window);
  const traversalPolicy = { ...config.traversalPolicy, relations, inputScale: shape.inputScale };
  return readTraversalLog(store, { ...config, gatingPolicy, traversalPolicy }, window);
}

/**
 * What the registry says of a version: itself, what it is compared with, and what training wrote down.
 *
 * @param choices what it chooses among
 */
export async function factsOf(
  { store, policyType }: VersionReportRequest,
  checkpoint: PolicyCheckpoint,
  choices: readonly string[],
): Promise<Pick<ReportData, "version" | "previous" | "recorded">> {
  const recorded = recordedOf(checkpoint.trainingMetrics);
  const activations = await store.listActivations(policyType, Infinity);
  const sessions = await store.listTrainingSessions(policyType, Infinity);
  const session = sessions.find(({ id }) => id === checkpoint.trainingSessionId);
  return {
    version: {
      version: checkpoint.version,
      policyType,
      isActive: checkpoint.isActive,
      createdAt: checkpoint.createdAt,
      activatedAt: checkpoint.activatedAt,
      parentVersion: checkpoint.parentVersion,
      trainingEpisodes: checkpoint.trainingEpisodes,
      sha256: checkpoint.manifestSha256,
      experts: choices,
      session: session === undefined
        ? null
        : { id: session.id, episodes: session.numTraces, feedback: session.numFeedback },
    },
    previous: previousOf(checkpoint, recorded, activations),
    recorded,
  };
}

/** What a reader must know of the log that a version is judged by here. */
export function notesOnLog(checkpoint: PolicyCheckpoint, config: Config, isEmpty: boolean): string[] {
  if (isEmpty) {
    return [
      `The last ${config.database.lookbackDays} days of the log hold no feedback that this version can be judged by; ` +
      "--lookback-days reaches further back.",
    ];
  }
  const seenBefore = holdoutNote(checkpoint, config);
  return seenBefore === null ? [] : [seenBefore];
}

/** The version it was judged against; else the one it was trained from; else the one active before it. */
function previousOf(
  { version, parentVersion }: PolicyCheckpoint,
  { activeVersion }: Recorded,
  activations: readonly PolicyActivation[],
): string | null {
  const earliest = activations.findLast(({ toVersion }) => toVersion === version);
  return [activeVersion, parentVersion, earliest?.fromVersion].find((name) => name != null && name !== version) ?? null;
}

/** That the version may have been trained on what it is judged by here; null if it was not, or nobody knows. */
function holdoutNote({ version, config }: PolicyCheckpoint, { evaluation }: Config): string | null {
  const then = config.evaluation as { readonly enabled?: unknown; readonly holdout_ratio?: unknown } | undefined;
  const ratio = then?.enabled === false ? 0 : then?.holdout_ratio;
  if (typeof ratio !== "number" || !evaluation.enabled || ratio >= evaluation.holdoutRatio) return null;
  return `When ${version} was trained, a share of ${ratio} of the queries was held out, here it is ` +
    `${evaluation.holdoutRatio}: some queries by which it is judged below it has been trained on, which flatters it.`;
}

/** The previous version with its files, or null and a note that says why not. */
async function openable(
  { store, config, policyType }: VersionReportRequest,
  version: string,
  { saved: { shape, experts, relations } }: StoredPolicy,
  notes: string[],
): Promise<StoredPolicy | null> {
  const checkpoint = await store.getPolicyCheckpoint(version, policyType);
  if (checkpoint === null) {
    notes.push(`The previous version ${version} is no longer on record, so its routing cannot be compared.`);
    return null;
  }
  try {
    const previous = await readStoredPolicy(checkpoint, config.checkpoint.directory);
    const reads = previous.saved;
    const isSame = reads.shape.inputDim === shape.inputDim && String(reads.experts) === String(experts) &&
      // The inputs of traversals hold the relation in the version's order and scale.
      String(reads.relations) === String(relations) &&
      (relations === undefined || reads.shape.inputScale === shape.inputScale);
    if (isSame) return previous;
    notes.push(`The previous version ${version} knows other inputs or experts, so its routing cannot be compared.`);
  } catch (thrown) {
    if (!(thrown instanceof RlcfError) || thrown.code !== "checkpoint") throw thrown;
    notes.push(`The files of the previous version ${version} cannot be read, so its routing cannot be compared.`);
  }
  return null;
}

/** A version's routing of every episode. */
async function routed(stored: StoredPolicy, episodes: EpisodeSet, config: Config): Promise<Contestant> {
  await using policy = await openPolicy(stored.saved, config.compute.backend);
  const rows = Uint32Array.from({ length: episodes.size }, (_, row) => row);
  return { version: stored.checkpoint.version, weightsNE: await routeHoldout(policy, episodes, rows) };
}

/** Values on the held-out part of today's log, by the method that the gate would take. */
async function valueToday(
  { episodes, split: { training, holdout } }: TrainingLog,
  after: Contestant,
  before: Contestant | null,
  seed: number,
): Promise<{ facts: ValueFacts; estimate: ValueEstimate } | null> {
  if (holdout.length === 0) return null;
  const valuesNE = await heldOutValues(episodes, training, holdout);
  const context = { support: logSupport(episodes), seed, valuesNE };
  const experts = episodes.experts.length;
  const estimate = ({ weightsNE }: Contestant): ValueEstimate => {
    const own = new Float32Array(holdout.length * experts);
    for (const [i, row] of holdout.entries()) {
      own.set(weightsNE.subarray(row * experts, (row + 1) * experts), i * experts);
    }
    return estimateValue(episodes, holdout, own, context);
  };
  const [mine, theirs] = [estimate(after), before === null ? null : estimate(before)];
  const notIdentified = [...new Set([...mine.not_identified, ...theirs?.not_identified ?? []])];
  const method = notIdentified.length > 0 ? "direct" : valuesNE === undefined ? "clipped_ips" : "doubly_robust";
  const row = (role: "previous" | "version", version: string, found: ValueEstimate): ValueFacts["rows"][number] => ({
    role,
    version,
    value: found[method],
    interval: found.intervals[method],
    effective: found.effective_sample_size,
  });
  const numerator = Float64Array.from(holdout, (row) => episodes.rewards[row]!);
  const sampleWeights = Float64Array.from(holdout, (row) => episodes.sampleWeights[row]!);
  const { clusters } = userClusters(episodes, holdout);
  const terms = { numerator, denominator: new Float64Array(holdout.length).fill(1) };
  const [interval] = bootstrapIntervals([terms], sampleWeights, clusters, { seed });
  return {
    estimate: mine,
    facts: {
      source: "now",
      method,
      episodes: holdout.length,
      notIdentified,
      rows: [
        {
          role: "logged",
          version: null,
          value: loggedValue(episodes, holdout),
          interval: interval ?? null,
          effective: null,
        },
        ...theirs === null ? [] : [row("previous", before!.version, theirs)],
        row("version", after.version, mine),
      ],
    },
  };
}

/** Values as training wrote them down, where the log says nothing today. */
export function valueThen(recorded: Recorded, version: string): ValueFacts | null {
  const { candidate, active, activeVersion, loggedValue, method, holdout, notIdentified } = recorded;
  if (candidate === null || method === null) return null;
  return {
    source: "recorded",
    method,
    episodes: holdout ?? 0,
    notIdentified,
    rows: [
      { role: "logged", version: null, value: loggedValue, interval: null, effective: null },
      ...active === null ? [] : [{ role: "previous" as const, version: activeVersion, ...active }],
      { role: "version", version, ...candidate },
    ],
  };
}

/** Mean routing over the episodes. */
function sharesOf(episodes: EpisodeSet, after: Contestant, before: Contestant | null): RoutingShares[] {
  const mean = (weightsNE: Float32Array): number[] =>
    episodes.experts.map((_, e) => {
      let total = 0;
      for (let i = 0; i < episodes.size; i++) total += weightsNE[i * episodes.experts.length + e]!;
      return total / episodes.size;
    });
  return [
    { role: "logged", version: null, shares: mean(episodes.mixtures) },
    ...before === null ? [] : [{ role: "previous" as const, version: before.version, shares: mean(before.weightsNE) }],
    { role: "version", version: after.version, shares: mean(after.weightsNE) },
  ];
}
