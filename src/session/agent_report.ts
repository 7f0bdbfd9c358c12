/**
 * Gathers what a report on a version of the ReActPolicy shows.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { TrajectorySet } from "../episodes/trajectory_set.ts";
import { bootstrapIntervals, userClusters } from "../evaluate/bootstrap.ts";
import { returnsOf } from "../evaluate/trajectory_terms.ts";
import { estimateTrajectories, evaluatedTrajectories, type TrajectoryValue } from "../evaluate/trajectory_value.ts";
import type { LogFacts, ReportData, RoutingShares, ValueFacts } from "../report/report_data.ts";
import { findStoredReAct, openReActPolicy, type StoredReAct } from "./open_policy.ts";
import { actIn, loggedReturn } from "./trajectory_evaluation.ts";
import { readTrajectoryLog, type TrajectoryLog } from "./trajectory_log.ts";
import { windowOf } from "./training_log.ts";
import { factsOf, notesOnLog, valueThen, type VersionReportRequest } from "./version_report.ts";

/** A taken action's probability from here on is certainty. */
const CERTAIN_LOG_PROB = Math.log(1 - 1e-6);

/** Gathers the report; see `describeVersion`. */
export async function describeAgent(request: VersionReportRequest): Promise<ReportData> {
  const { store, config, now } = request;
  const root = config.checkpoint.directory;
  const stored = await findStoredReAct(store, root, request.version);
  const { checkpoint, saved: { actions, shape } } = stored;
  const facts = await factsOf(request, checkpoint, actions);
  const notes: string[] = [];
  const previous = facts.previous === null ? null : await openable(request, facts.previous, stored, notes);

  // The log is read as this version sees it, whatever network is configured today.
  const reactPolicy = { ...config.reactPolicy, stateDim: shape.inputDim, actions };
  const log = await readTrajectoryLog(store, { ...config, reactPolicy }, windowOf(config, now));
  const set = log.episodes;
  notes.push(...notesOnLog(checkpoint, config, set.size === 0));

  const judged = await judgedBy(log, stored, previous, request);
  return {
    ...facts,
    value: judged?.value ?? valueThen(facts.recorded, checkpoint.version),
    routing: set.size === 0 ? [] : await sharesOf(set, stored, previous, request),
    changes: null,
    log: logFactsOf(log, judged?.estimate ?? null),
    notes,
    writtenAt: now.toISOString(),
    location: store.location,
  };
}

/** The previous version with its files, or null and a note that says why not. */
async function openable(
  { store, config }: VersionReportRequest,
  version: string,
  { saved: { shape, actions } }: StoredReAct,
  notes: string[],
): Promise<StoredReAct | null> {
  try {
    const previous = await findStoredReAct(store, config.checkpoint.directory, version);
    const { saved } = previous;
    if (saved.shape.inputDim === shape.inputDim && String(saved.actions) === String(actions)) return previous;
    notes.push(`The previous version ${version} knows other states or actions, so the two cannot be compared.`);
  } catch (thrown) {
    if (!(thrown instanceof RlcfError) || thrown.code !== "checkpoint") throw thrown;
    notes.push(`The previous version ${version} cannot be read, so the two cannot be compared.`);
  }
  return null;
}

/** Values on the held-out part of today's log; null where nothing is held out. */
async function judgedBy(
  { episodes: set, split: { holdout } }: TrajectoryLog,
  stored: StoredReAct,
  previous: StoredReAct | null,
  { config }: VersionReportRequest,
): Promise<{ value: ValueFacts; estimate: TrajectoryValue } | null> {
  if (holdout.length === 0) return null;
  const { training: { seed }, reactPolicy: { stepPenalty }, compute: { backend } } = config;
  const actedBy = async ({ saved }: StoredReAct): Promise<Awaited<ReturnType<typeof actIn>>> => {
    await using policy = await openReActPolicy(saved, backend);
    return await actIn(policy, set, holdout);
  };
  const acted = await actedBy(stored);
  const estimate = estimateTrajectories(set, acted, { stepPenalty, seed });
  const before = previous === null ? null : estimateTrajectories(set, await actedBy(previous), { stepPenalty, seed });
  const row = (
    role: "previous" | "version",
    version: string,
    found: TrajectoryValue,
  ): ValueFacts["rows"][number] => ({
    role,
    version,
    value: found.doubly_robust,
    interval: found.intervals.doubly_robust,
    effective: found.effective_sample_size,
  });
  const columns = evaluatedTrajectories(set, acted, stepPenalty);
  const returns = { numerator: returnsOf(columns), denominator: new Float64Array(holdout.length).fill(1) };
  const [interval] = bootstrapIntervals([returns], columns.sampleWeights, userClusters(set, holdout).clusters, {
    seed,
  });
  return {
    estimate,
    value: {
      source: "now",
      method: "doubly_robust",
      episodes: holdout.length,
      notIdentified: [...new Set([...estimate.not_identified, ...before?.not_identified ?? []])],
      rows: [
        {
          role: "logged",
          version: null,
          value: loggedReturn(set, holdout, stepPenalty),
          interval: interval ?? null,
          effective: null,
        },
        ...before === null ? [] : [row("previous", previous!.checkpoint.version, before)],
        row("version", stored.checkpoint.version, estimate),
      ],
    },
  };
}

/** How often each action is taken in the states of the log. */
async function sharesOf(
  set: TrajectorySet,
  stored: StoredReAct,
  previous: StoredReAct | null,
  { config }: VersionReportRequest,
): Promise<RoutingShares[]> {
  const all = Uint32Array.from({ length: set.size }, (_, n) => n);
  const { length: actions } = set.actionNames;
  const shares = async ({ saved }: StoredReAct): Promise<number[]> => {
    await using policy = await openReActPolicy(saved, config.compute.backend);
    const { probsMA } = await actIn(policy, set, all);
    const sums = new Float64Array(actions);
    for (let k = 0; k < probsMA.length; k++) sums[k % actions]! += probsMA[k]! / set.steps;
    return Array.from(sums);
  };
  return [
    { role: "logged", version: null, shares: loggedShares(set) },
    ...previous === null
      ? []
      : [{ role: "previous" as const, version: previous.checkpoint.version, shares: await shares(previous) }],
    { role: "version", version: stored.checkpoint.version, shares: await shares(stored) },
  ];
}

function loggedShares({ actions, actionNames, steps }: TrajectorySet): number[] {
  const counts = new Float64Array(actionNames.length);
  for (const action of actions) counts[action]!++;
  return Array.from(counts, (count) => steps === 0 ? 0 : count / steps);
}

function logFactsOf(log: TrajectoryLog, estimate: TrajectoryValue | null): LogFacts {
  const { episodes: set, window } = log;
  const users = Map.groupBy(set.userIds, (user) => user);
  const named = [...users].filter(([user]) => user !== null);
  return {
    since: window.since,
    until: window.until,
    available: log.available,
    limit: window.maxFeedback,
    used: set.feedbackRows,
    skipped: log.skipped,
    episodes: set.size,
    queries: new Set(set.queryIds).size,
    holdout: log.split.holdout.length,
    mix: log.mix,
    deterministic: set.steps > 0 && set.oldLogProbs.every((logProb) => logProb >= CERTAIN_LOG_PROB),
    minPropensity: set.steps === 0 ? null : Math.exp(set.oldLogProbs.reduce((min, logProb) => Math.min(min, logProb))),
    extremeShare: estimate?.diagnostics?.extreme_weight_share ?? null,
    loggedShares: loggedShares(set),
    users: named.length,
    anonymous: users.get(null)?.length ?? 0,
    busiestShare: named.length === 0 ? null : Math.max(...named.map(([, own]) => own.length)) / set.size,
    disagreement: null,
    judged: null,
  };
}
