/**
 * The benchmark: every way to compute on the same weights, and the way from the database to a checkpoint on each
 * backend. Read {@link runBench} first.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { RlcfError } from "../base/errors.ts";
import { Random } from "../base/random.ts";
import type { Config } from "../config/schema.ts";
import type { BackendName } from "../engine/engine.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { type Agreement, type Answers, answersOf, compareAnswers } from "./agreement.ts";
import { measureForward, measureSteps } from "./measure.ts";
import { type BenchSubject, subjectOf } from "./subjects.ts";
import type { Timing } from "./timing.ts";
import { chooseVariants, type Variant } from "./variants.ts";
import { measureWays, type WayData } from "./ways.ts";
import { unitRows } from "./workload.ts";

const log = getLogger(["rlcf", "bench"]);

/** Rows of the uploaded set: more than a CPU's caches hold. */
const ROWS = 4096;
/** Queries of the two forward passes that are timed. */
const FORWARD_ROWS = [1, 1000] as const;
/** Share of the time that the ways from the database to a checkpoint get; each is gone once all the same. */
const WAYS_SHARE = 0.2;
/** A pass of this many milliseconds is made on every backend, however short the time. */
const SHORT_PASS_MS = 3000;

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
  /** The variant, e.g. `simd 2 threads`; for the stages from the database on, the backend that trained, e.g. `simd`. */
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
  readonly data: WayData;
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

  const timeMs = 1000 * request.seconds * (1 - WAYS_SHARE) /
    (choice.variants.length * (batchSizes.length + FORWARD_ROWS.length));
  const inputsNI = unitRows(new Random(1), ROWS, shape.inputDim);
  const [rows, answers]: [BenchRow[], Answers[]] = [[], []];
  const msPerRow = new Map<BackendName, number>();
  const [variants, failed]: [Variant[], { variant: Variant; error: RlcfError }[]] = [[], []];
  for (const variant of choice.variants) {
    const own: BenchRow[] = [];
    try {
      const measured = await measureVariant(variant, { request, subject, inputsNI, timeMs, rows: own });
      answers.push(measured.answers);
      msPerRow.set(variant.backend, Math.min(measured.msPerRow, msPerRow.get(variant.backend) ?? Infinity));
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
  // A backend of which one variant failed would fail on the way as well.
  const backends = [...new Set(variants.map(({ backend }) => backend))]
    .filter((name) => !failed.some(({ variant }) => variant.backend === name));
  const wayMs = 1000 * request.seconds * WAYS_SHARE / Math.max(1, backends.length);
  const ways = await measureWays({
    ...request,
    subject,
    backends: backends.length > 0 ? backends : [variants[0]!.backend],
    timeMs: wayMs,
    longestPassMs: Math.max(SHORT_PASS_MS, 2 * wayMs),
    msPerRow: (backend) => msPerRow.get(backend)!,
  });
  rows.push(...ways.rows);
  skipped.push(...ways.skipped);
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
    data: ways.data,
  };
}

/** Times one variant, adds its rows, and returns its answers and what a row takes in a step of the configured size. */
async function measureVariant(
  variant: Variant,
  given: {
    request: BenchRequest;
    subject: BenchSubject;
    inputsNI: Float32Array;
    timeMs: number;
    rows: BenchRow[];
  },
): Promise<{ answers: Answers; msPerRow: number }> {
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
  const { batchSize } = request.config.training;
  const step = rows.find(({ op, batch_size }) => op === "train_step" && batch_size === batchSize) ??
    await measureSteps(engine, ROWS, batchSize, 0, head);
  return { answers, msPerRow: 1000 / step.per_second };
}

/** The machine as far as no further permission is needed to know it: system, processor type, cores, GPU. */
function machine(variants: readonly Variant[]): string {
  const { os, arch } = Deno.build;
  const cores = navigator.hardwareConcurrency;
  const gpu = variants.find(({ backend }) => backend === "webgpu")?.device;
  return [`${os} ${arch}`, `${cores} ${cores === 1 ? "core" : "cores"}`, ...gpu === undefined ? [] : [gpu]].join(", ");
}
