/**
 * The HTTP server: it listens, opens what it works with, answers, and ends in good order.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import { Access } from "./access.ts";
import { type BodyLimits, ByteBudget } from "./body.ts";
import { endpointsOf } from "./endpoints.ts";
import { Metrics } from "./metrics.ts";
import { type HolderOptions, PolicyHolder } from "./policy_holder.ts";
import { Router } from "./router.ts";
import type { Service } from "./service.ts";
import { WriteQueue } from "./write_queue.ts";

/** What {@link PolicyServer.listen} takes. */
export interface ServerOptions {
  /** The address to listen on. */
  readonly hostname: string;
  /** The port; 0 takes a free one. */
  readonly port: number;
  /** Tokens of which a request must carry one; none lets everybody in. */
  readonly tokens?: readonly string[];
  /** How much of a body is read, and how long a request may take. */
  readonly limits: BodyLimits;
  /** Most records that wait to be stored. */
  readonly queueLimit: number;
  /** This program's version. */
  readonly version: string;
}

/** What {@link PolicyServer.open} takes. */
export interface OpenOptions extends HolderOptions {
  /** Milliseconds between two looks at which version is active. */
  readonly pollMs: number;
}

/** Bodies of all requests together, as multiples of the largest one. */
const BODIES_AT_ONCE = 16;

/** A server. Requests that come before {@link open} wait for it. */
export class PolicyServer implements AsyncDisposable {
  /** What is counted. */
  readonly metrics: Metrics = new Metrics();
  readonly #queueLimit: number;
  readonly #timeoutMs: number;
  readonly #ready = Promise.withResolvers<Service>();
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  #service: Service | undefined;
  #stopping: Promise<void> | undefined;

  private constructor(options: ServerOptions) {
    const { hostname, port, limits } = options;
    this.#queueLimit = options.queueLimit;
    this.#timeoutMs = limits.timeoutMs;
    // Without anybody who waits, a start that fails is the caller's to tell.
    this.#ready.promise.catch(() => {});
    const budget = new ByteBudget(BODIES_AT_ONCE * limits.maxBytes);
    const router = new Router({
      endpoints: endpointsOf(options.version),
      access: new Access(options.tokens ?? []),
      service: this.#ready.promise,
      metrics: this.metrics,
      limits,
      budget,
    });
    this.metrics.gauge("rlcf_http_requests_in_flight", "Requests being answered.", () => [[{}, router.inFlight]]);
    this.metrics.gauge("rlcf_http_body_bytes", "Bytes of bodies in memory.", () => [[{}, budget.taken]]);
    this.#server = Deno.serve(
      { hostname, port, onListen: () => {} },
      (request) => router.answer(request),
    );
  }

  /** Listens. Throws RlcfError("usage") where that is not possible. */
  static listen(options: ServerOptions): PolicyServer {
    try {
      return new PolicyServer(options);
    } catch (thrown) {
      const cause = causeOf(thrown);
      if (cause === undefined) throw thrown;
      throw new RlcfError("usage", `cannot listen on ${options.hostname}, port ${options.port}: ${cause}`, {
        hint: "--port 0 takes a free port; --host 127.0.0.1 is this machine alone.",
        cause: thrown,
      });
    }
  }

  /** Where it listens. */
  get address(): Deno.NetAddr {
    return this.#server.addr;
  }

  /**
   * Loads the policy, as far as there is one, and begins to answer.
   *
   * @param store stays the caller's, who closes it after {@link stop}
   * @returns which version is served, and why another one is not
   * @throws RlcfError("checkpoint") where a pinned version cannot be served; RlcfError("database")
   */
  async open(store: RLCFPersistence, { pollMs, ...options }: OpenOptions): Promise<PolicyHolder> {
    const holder = new PolicyHolder(store, options, this.metrics);
    await holder.refresh();
    if (holder.isPinned && holder.current === undefined) {
      throw new RlcfError("checkpoint", holder.problem?.message ?? `cannot serve ${options.pinned}`, {
        hint: "rlcf policy list shows the versions that there are.",
      });
    }
    const queue = new WriteQueue(store, this.#queueLimit, this.metrics);
    this.#measure(holder, queue);
    this.#service = { store, queue, holder, metrics: this.metrics };
    if (!holder.isPinned) holder.watch(pollMs);
    this.#ready.resolve(this.#service);
    return holder;
  }

  /**
   * Accepts no more, answers what was asked, writes what was sent, lets go of the policy. A client that neither sends nor
   * leaves holds this up no longer than a request may take.
   */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** The same as {@link stop}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  async #stop(): Promise<void> {
    this.#ready.reject(new RlcfError("interrupted", "the server stops"));
    // Reading and answering may take their time one after the other. Who was answered and still sends has no more to
    // hope for; but Deno waits for it, and throws where nobody hears it if it is told to hurry.
    const over = Promise.withResolvers<void>();
    const timer = setTimeout(over.resolve, 2 * this.#timeoutMs + 1000);
    await Promise.race([this.#server.shutdown(), over.promise]);
    clearTimeout(timer);
    await this.#service?.queue.drained();
    await this.#service?.holder.close();
  }

  #measure(holder: PolicyHolder, queue: WriteQueue): void {
    const { metrics } = this;
    metrics.gauge("rlcf_write_queue_records", "Records that wait to be stored.", () => [[{}, queue.depth]]);
    metrics.gauge("rlcf_write_queue_limit", "Most records that may wait.", () => [[{}, queue.limit]]);
    metrics.gauge("rlcf_policy_info", "The version that routes.", () => {
      const policy = holder.current;
      return policy === undefined ? [] : [[{ version: policy.version, backend: policy.backend }, 1]];
    });
    metrics.gauge(
      "rlcf_policy_ready",
      "Whether a policy is loaded.",
      () => [[{}, Number(holder.current !== undefined)]],
    );
    metrics.gauge("rlcf_policy_problem", "Whether the version that should route cannot be loaded.", () => [
      [{}, Number(holder.problem !== undefined)],
    ]);
  }
}

function causeOf(thrown: unknown): string | undefined {
  if (thrown instanceof Deno.errors.AddrInUse) return "somebody listens there already";
  if (thrown instanceof Deno.errors.AddrNotAvailable) return "this machine has no such address";
  if (thrown instanceof Deno.errors.PermissionDenied) return "the system does not allow it";
  if (thrown instanceof Deno.errors.NotCapable) return thrown.message.split(", run again", 1)[0];
  return thrown instanceof Error && /lookup|address|resolve/i.test(thrown.message) ? thrown.message : undefined;
}
