/**
 * The way from the database to a checkpoint, on one backend after another. What a backend's steps promise may be lost on
 * the way, and what they lack may not matter: this is what a training session takes.
 *
 * @module
 */
import { join } from "node:path";
import { RlcfError } from "../base/errors.ts";
import type { Config } from "../config/schema.ts";
import type { BackendName } from "../engine/engine.ts";
import { createPersistence } from "../store/create.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { canTrainOn } from "./end_to_end.ts";
import type { BenchSubject } from "./subjects.ts";
import type { Timing } from "./timing.ts";

/** What to measure. */
export interface WaysRequest {
  /** Where the log is; only read. */
  readonly store: RLCFPersistence;
  /** What is trained. */
  readonly subject: BenchSubject;
  /** The backends, at least one. The first goes the way however long it is. */
  readonly backends: readonly BackendName[];
  /** About how long to measure each; each goes the way once. */
  readonly timeMs: number;
  /** A pass that would take longer, in milliseconds, is not made; reading the log comes on top. */
  readonly longestPassMs: number;
  /** Milliseconds that a backend takes to train on one row. */
  readonly msPerRow: (backend: BackendName) => number;
  /** Episodes of the simulated log that stands in for an empty one. */
  readonly simulatedEpisodes: number;
  /** A directory that the caller removes. */
  readonly scratch: string;
  /** Told what comes next, in words. */
  readonly onProgress?: ((what: string) => void) | undefined;
}

/** What was loaded and trained on. */
export interface WayData {
  readonly source: "database" | "simulated";
  /** The database, with any password masked. */
  readonly location: string;
  readonly episodes: number;
  readonly objective: string;
}

/** What was measured. */
export interface Ways {
  /** A row for each stage of each backend; what a failing GPU began, its substitute's name is on. */
  readonly rows: readonly (Timing & { readonly backend: string })[];
  readonly data: WayData;
  /** Backends that did not arrive, with the reason. */
  readonly skipped: readonly { readonly backend: string; readonly reason: string }[];
}

/** What is said of a backend that did not arrive. */
const FAILED = "failed on the way from the log to a checkpoint";

/**
 * Times the way on each backend, from a simulated log where the real one has nothing to train on.
 *
 * @throws RlcfError `backend` if none arrived
 */
export async function measureWays(request: WaysRequest): Promise<Ways> {
  const { subject, backends, timeMs, scratch, onProgress } = request;
  await using opened = new AsyncDisposableStack();
  const log = await logToTrainOn(request, opened);
  const timings = new Map<string, readonly Timing[]>();
  const skipped: { backend: string; reason: string }[] = [];
  let found: Pick<WayData, "episodes" | "objective"> | undefined;
  let failure: RlcfError | undefined;
  for (const backend of backends) {
    const passMs = request.msPerRow(backend) * log.passRows;
    if (found !== undefined && passMs > request.longestPassMs) {
      const reason = `its steps alone: one pass over the log would take about ${Math.round(passMs / 1000)} s`;
      skipped.push({ backend, reason });
      continue;
    }
    onProgress?.(`${backend}: from the ${log.source === "simulated" ? "simulated log" : "database"} to a checkpoint`);
    try {
      await using policy = await subject.open(backend);
      const way = await policy.measure({ store: log.store, config: log.config, scratch, timeMs });
      found ??= { episodes: way.episodes, objective: way.objective };
      for (const { from, to, reason } of policy.fallbacks) {
        skipped.push({ backend: from, reason: `${FAILED}, which ${to} ended: ${reason}` });
      }
      // A substitute's times hold the failure; its own, where it is measured too, are better.
      if (policy.fallbacks.length === 0 || !timings.has(policy.backend)) timings.set(policy.backend, way.timings);
    } catch (error) {
      // A GPU may fail at any moment; what the others can do is still worth knowing.
      if (!(error instanceof RlcfError) || error.code !== "backend") throw error;
      failure ??= error;
      skipped.push({ backend, reason: `${FAILED}: ${error.message}` });
    }
  }
  if (found === undefined) throw failure;
  return {
    rows: [...timings].flatMap(([backend, stages]) => stages.map((stage) => ({ backend, ...stage }))),
    data: { source: log.source, location: log.location, ...found },
    skipped,
  };
}

/** A log that can be trained on. */
interface UsableLog extends Pick<WayData, "source" | "location"> {
  readonly store: RLCFPersistence;
  readonly config: Config;
  /** Rows that the engine is trained on in one pass. */
  readonly passRows: number;
}

/** The log of the database, or a simulated one in a file of its own, which is closed with `opened`. */
async function logToTrainOn(request: WaysRequest, opened: AsyncDisposableStack): Promise<UsableLog> {
  const { store, subject, simulatedEpisodes, scratch, onProgress } = request;
  const { config } = subject;
  onProgress?.("reading the log");
  const stored = await subject.readLog(store, config);
  if (canTrainOn(stored, config.training.minFeedback)) {
    return { source: "database", location: store.location, store, config, passRows: subject.passRows(stored) };
  }
  onProgress?.("simulating a log");
  const simulated = opened.use(await createPersistence(`sqlite:///${join(scratch, "simulated.db")}`));
  await subject.simulate(simulated, simulatedEpisodes);
  const settings = {
    ...config,
    training: { ...config.training, maxEpisodes: simulatedEpisodes },
    database: { ...config.database, lookbackDays: 3650 },
  };
  const passRows = subject.passRows(await subject.readLog(simulated, settings));
  return { source: "simulated", location: "a throw-away SQLite file", store: simulated, config: settings, passRows };
}
