/**
 * The benchmark: every way to compute on the same weights, and the way from the database to a checkpoint. Read
 * {@link runBench} first.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { join } from "node:path";
import { RlcfError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import type { Config } from "../config/schema.ts";
import type { BackendName } from "../engine/engine.ts";
import type { BackendChoice } from "../engine/create.ts";
import type { EngineFallback } from "../engine/fallback.ts";
import { createPersistence } from "../store/create.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { type Agreement, type Answers, answersOf, compareAnswers } from "./agreement.ts";
import { canTrainOn, type EndToEnd } from "./end_to_end.ts";
import { measureForward, measureSteps } from "./measure.ts";
import { type BenchSubject, subjectOf } from "./subjects.ts";
import type { Timing } from "./timing.ts";
import { chooseVariants, type Variant } from "./variants.ts";
import { unitRows } from "./workload.ts";

const log = getLogger(["rlcf", "bench"]);

/** Rows of the uploaded set: more than a CPU's caches hold. */
const ROWS = 4096;
/** Queries of the two forward passes that are timed. */
const FORWARD_ROWS = [1, 1000] as const;
/** Share of the time that the way from the database to a checkpoint gets; it is always gone once. */
const END_TO_END_SHARE = 0.15;

/** What to measure. */
export interface BenchRequest {
  /** Where the active policy and the log are; only read. */
  readonly store: RLCFPersistence;
  /** The settings in force; `training.policyType` says what is measured. */
  readonly config: Config;
  /** Backends to measure; by default all that are available and no imitation of a GPU. */
  readonly backends: readonly BackendName[] | undefined;
  /** Rows of a training step. */
  readonly batchSizes: readonly number[];
  /** About how long to measure; where single steps are slow it takes longer. */
  readonly seconds: number;
  /** Episodes of the simulated log that stands in for an empty one. */
  readonly simulatedEpisodes: number;
  /** A directory that the caller removes. */
  readonly scratch: string;
  /** Told what comes next, in words. */
  readonly onProgress?: ((what: string) => void) | undefined;
}

/** A timing, and of what. */
export interface BenchRow extends Timing {
  /** The variant, e.g. `simd 2 threads`; for the stages from the database on, the backend that trained. */
  readonly backend: string;
}

/** The result; the field names are those of `bench --json`. */
export interface BenchResult {
  /** The machine in words. */
  readonly device: string;
  /** The active checkpoint whose weights were used; null for fresh ones. */
  readonly checkpoint: {
    readonly policy_type: string;
    readonly version: string;
    readonly path: string | null;
    readonly sha256: string | null;
  } | null;
  /** Timings. */
  readonly rows: readonly BenchRow[];
  /** Whether all compute the same. */
  readonly agreement: readonly Agreement[];
  /** When it was measured, ISO 8601 in UTC. */
  readonly measured_at: string;
  /** Version of Deno. */
  readonly deno: string;
  /** Sizes of the network. */
  readonly network: { readonly input_dim: number; readonly hidden_dim: number; readonly outputs: number };
  /** The variants that were measured. */
  readonly backends: readonly { readonly backend: string; readonly device: string; readonly software: boolean }[];
  /** Backends that were not. */
  readonly skipped: readonly { readonly backend: string; readonly reason: string }[];
  /** What was loaded and trained on. */
  readonly data: {
    readonly source: "database" | "simulated";
    /** The database, with any password masked. */
    readonly location: string;
    readonly episodes: number;
    readonly objective: string;
  };
}

/**
 * Measures everything.
 *
 * @throws RlcfError `backend` when a backend that was asked for is not available, `checkpoint` when the active one is
 * broken, and what the database reports
 */
export async function runBench(request: BenchRequest): Promise<BenchResult> {
  const { store, config, batchSizes } = request;
  const choice = await chooseVariants(request.backends);
  const row = await store.getActivePolicy(config.training.policyType);
  const subject = await subjectOf(config, row);
  const { state } = subject;
  const { shape } = state;

  const timeMs = 1000 * request.seconds * (1 - END_TO_END_SHARE) /
    (choice.variants.length * (batchSizes.length + FORWARD_ROWS.length));
  const inputsNI = unitRows(new Random(1), ROWS, shape.inputDim);
  const [rows, answers]: [BenchRow[], Answers[]] = [[], []];
  const [variants, failed]: [Variant[], { variant: Variant; error: RlcfError }[]] = [[], []];
  for (const variant of choice.variants) {
    const own: BenchRow[] = [];
    try {
      answers.push(await measureVariant(variant, { request, subject, inputsNI, timeMs, rows: own }));
    } catch (error) {
      // A GPU may fail at any moment; what the others can do is still worth knowing.
      if (!(error instanceof RlcfError) || error.code !== "backend") throw error;
      log.warn("{name} failed and is left out: {cause}", { name: variant.name, cause: error.message });
      failed.push({ variant, error });
      continue;
    }
    rows.push(...own);
    variants.push(variant);
  }
  if (variants.length === 0) throw failed[0]!.error;
  const skipped = [
    ...choice.skipped,
    ...failed.map(({ variant, error }) => ({ backend: variant.name, reason: error.message })),
  ];
  const reference = variants.find(({ backend }) => backend === "simd") ?? variants[0]!;
  // A backend that failed by itself would fail again on the way.
  const sound = (request.backends ?? [config.compute.backend])
    .filter((name) => !failed.some(({ variant }) => variant.backend === name));
  const { endToEnd, data, fallbacks } = await measureWay(request, sound[0] ?? "auto", subject);
  rows.push(...endToEnd);
  skipped.push(...fallbacks.map(({ from, to, reason }) => ({
    backend: from,
    reason: `failed on the way from the log to a checkpoint, which ${to} ended: ${reason}`,
  })));
  return {
    device: machine(variants),
    checkpoint: row === null ? null : {
      policy_type: row.policyType,
      version: row.version,
      path: row.stateDictPath,
      sha256: row.manifestSha256,
    },
    rows,
    agreement: compareAnswers(answers, state, reference.name),
    measured_at: new Date().toISOString(),
    deno: Deno.version.deno,
    network: { input_dim: shape.inputDim, hidden_dim: shape.hiddenDim, outputs: shape.outputs },
    backends: variants.map(({ name, device, software }) => ({ backend: name, device, software })),
    skipped,
    data,
  };
}

/** Times one variant, adds its rows, and returns its answers. */
async function measureVariant(
  variant: Variant,
  given: {
    request: BenchRequest;
    subject: BenchSubject;
    inputsNI: Float32Array;
    timeMs: number;
    rows: BenchRow[];
  },
): Promise<Answers> {
  const { request, subject: { state, head }, inputsNI, timeMs, rows } = given;
  const { name } = variant;
  const tell = (what: string): void => request.onProgress?.(`${name}: ${what}`);
  log.debug("measuring {name} on {device}", { name, device: variant.device });
  tell("starting");
  await using engine = await variant.create(state.shape);
  const answers = await answersOf(name, engine, state, head);
  await engine.load(state);
  await engine.upload(inputsNI);
  for (const count of FORWARD_ROWS) {
    tell(`forward, ${count}`);
    const someNI = inputsNI.slice(0, count * state.shape.inputDim);
    rows.push({ backend: name, ...await measureForward(engine, someNI, timeMs) });
  }
  for (const batchSize of request.batchSizes) {
    tell(`training steps, batch ${batchSize}`);
    rows.push({ backend: name, ...await measureSteps(engine, ROWS, batchSize, timeMs, head) });
  }
  return answers;
}

/** Times the way from the database to a checkpoint, from a simulated log where the real one has nothing to train on. */
async function measureWay(
  request: BenchRequest,
  backend: BackendChoice,
  subject: BenchSubject,
): Promise<{ endToEnd: BenchRow[]; data: BenchResult["data"]; fallbacks: readonly EngineFallback[] }> {
  const { store, scratch, onProgress } = request;
  const { config } = subject;
  await using policy = await subject.open(backend);
  const timeMs = 1000 * request.seconds * END_TO_END_SHARE;
  const measured = (source: BenchResult["data"]["source"], location: string, way: EndToEnd) => ({
    endToEnd: way.timings.map((timing) => ({ backend: policy.backend, ...timing })),
    data: { source, location, episodes: way.episodes, objective: way.objective },
    fallbacks: policy.fallbacks,
  });

  onProgress?.("from the database to a checkpoint");
  if (canTrainOn(await subject.readLog(store, config), config.training.minFeedback)) {
    return measured("database", store.location, await policy.measure({ store, config, scratch, timeMs }));
  }
  onProgress?.("simulating a log");
  const path = join(scratch, "simulated.db");
  await using simulated = await createPersistence(`sqlite:///${path}`);
  await subject.simulate(simulated, request.simulatedEpisodes);
  onProgress?.("from the simulated log to a checkpoint");
  const settings = {
    ...config,
    training: { ...config.training, maxEpisodes: request.simulatedEpisodes },
    database: { ...config.database, lookbackDays: 3650 },
  };
  const way = await policy.measure({ store: simulated, config: settings, scratch, timeMs });
  return measured("simulated", "a throw-away SQLite file", way);
}

/** The machine as far as no further permission is needed to know it: system, processor type, cores, GPU. */
function machine(variants: readonly Variant[]): string {
  const { os, arch } = Deno.build;
  const cores = navigator.hardwareConcurrency;
  const gpu = variants.find(({ backend }) => backend === "webgpu")?.device;
  return [`${os} ${arch}`, `${cores} ${cores === 1 ? "core" : "cores"}`, ...gpu === undefined ? [] : [gpu]].join(", ");
}
