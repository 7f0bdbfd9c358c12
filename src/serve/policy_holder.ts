/**
 * Which version is served. Another one is read, verified and tried beside it, and takes its place between two requests;
 * one that is broken is reported and changes nothing.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf, RlcfError } from "../base/errors.ts";
import type { PolicyCheckpoint, RLCFPersistence } from "../store/persistence.ts";
import { unavailable } from "./errors.ts";
import type { Metrics } from "./metrics.ts";
import { type PolicySource, ServedPolicy } from "./served_policy.ts";

/** What this server serves. */
const POLICY_TYPE = "gating";

/** What {@link PolicyHolder} takes. */
export interface HolderOptions extends PolicySource {
  /** The version to serve, whatever is active; the active one by default. */
  readonly pinned?: string | undefined;
}

/** Why the version that should be served is not. */
export interface PolicyProblem {
  /** The version. */
  readonly version: string;
  /** What is wrong with it. */
  readonly message: string;
  /** Since when it is known, ISO 8601. */
  readonly since: string;
}

/** Holds the version that is served. */
export class PolicyHolder {
  readonly #store: Pick<RLCFPersistence, "getActivePolicy" | "getPolicyCheckpoint">;
  readonly #options: HolderOptions;
  readonly #metrics: Metrics;
  #current: ServedPolicy | undefined;
  #problem: PolicyProblem | undefined;
  #refreshing: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  readonly #closing = new Set<Promise<void>>();
  #isClosed = false;

  /** Serves nothing before the first {@link refresh}. */
  constructor(
    store: Pick<RLCFPersistence, "getActivePolicy" | "getPolicyCheckpoint">,
    options: HolderOptions,
    metrics: Metrics,
  ) {
    this.#store = store;
    this.#options = options;
    this.#metrics = metrics;
  }

  /** The version that is served, or undefined. */
  get current(): ServedPolicy | undefined {
    return this.#current;
  }

  /** Whether the version is fixed, whatever is active. */
  get isPinned(): boolean {
    return this.#options.pinned !== undefined;
  }

  /** Why the version that should be served is not. */
  get problem(): PolicyProblem | undefined {
    return this.#problem;
  }

  /** The version that is served; throws 503 if there is none. */
  required(): ServedPolicy {
    if (this.#current !== undefined) return this.#current;
    throw this.#problem === undefined
      ? unavailable("no_policy", "no gating policy is active; traces and feedback are stored all the same", 5)
      : unavailable("no_policy", `the gating policy ${this.#problem.version} cannot be loaded; the log says why`, 5);
  }

  /** Looks which version is to be served, and changes to it. Throws RlcfError("database") if that cannot be found out. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => this.#refreshing = undefined);
    return this.#refreshing;
  }

  /** Looks every so many milliseconds until closed. */
  watch(everyMs: number): void {
    if (this.#isClosed) return;
    this.#timer = setTimeout(async () => {
      // The database is watched by /healthz; whoever writes gets its error.
      await this.refresh().catch((thrown: unknown) =>
        getLogger(["rlcf", "serve"]).debug("cannot look for the active policy: {cause}", { cause: messageOf(thrown) })
      );
      this.watch(everyMs);
    }, everyMs);
  }

  /** Releases what is served, once all who wait for it are answered. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#refreshing?.catch(() => {});
    this.#retire(this.#current);
    this.#current = undefined;
    await Promise.all(this.#closing);
  }

  async #look(): Promise<void> {
    const { pinned } = this.#options;
    const wanted = pinned === undefined
      ? await this.#store.getActivePolicy(POLICY_TYPE)
      : await this.#store.getPolicyCheckpoint(pinned, POLICY_TYPE);
    if (wanted === null) {
      // What was active a moment ago is better than nothing.
      if (pinned !== undefined) this.#report(pinned, "Policy checkpoint not found: there is no such version");
      return;
    }
    if (this.#current !== undefined && isSame(this.#current.checkpoint, wanted)) {
      this.#problem = undefined;
      return;
    }
    try {
      this.#change(await ServedPolicy.load(wanted, this.#options, () => this.#metrics.forwards.add()));
    } catch (thrown) {
      // A defect is no reason to stop serving either.
      this.#metrics.failures.add();
      this.#report(wanted.version, thrown instanceof RlcfError ? thrown.message : `unexpected: ${messageOf(thrown)}`);
    }
  }

  #change(next: ServedPolicy): void {
    const logger = getLogger(["rlcf", "serve"]);
    const before = this.#current;
    this.#current = next;
    this.#problem = undefined;
    const { version, backend } = next;
    if (before === undefined) logger.info("serving {version} on {backend}", { version, backend });
    else {
      this.#metrics.swaps.add();
      logger.info("serving {version} in place of {before}", { version, before: before.version });
    }
    this.#retire(before);
  }

  #retire(policy: ServedPolicy | undefined): void {
    if (policy === undefined) return;
    const closing = policy.close().catch((thrown: unknown) =>
      getLogger(["rlcf", "serve"]).warn("could not release {version}: {cause}", {
        version: policy.version,
        cause: messageOf(thrown),
      })
    );
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
  }

  #report(version: string, message: string): void {
    // Once: the next look finds the same.
    if (this.#problem?.version === version && this.#problem.message === message) return;
    this.#problem = { version, message, since: new Date().toISOString() };
    const still = this.#current === undefined ? "nothing is served" : `${this.#current.version} is still served`;
    getLogger(["rlcf", "serve"]).error("cannot serve {version}: {message}; {still}", { version, message, still });
  }
}

function isSame(a: PolicyCheckpoint, b: PolicyCheckpoint): boolean {
  return a.id === b.id && a.manifestSha256 === b.manifestSha256 && a.stateDictPath === b.stateDictPath;
}
