/**
 * From a request to its response: the endpoint, the token, the body, the handler, and one form for every error.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { RlcfError } from "../base/errors.ts";
import type { Access } from "./access.ts";
import { type BodyLimits, type ByteBudget, readJson } from "./body.ts";
import { HttpError, toHttpError, unavailable } from "./errors.ts";
import type { Metrics } from "./metrics.ts";
import type { Endpoint, Reply, Service } from "./service.ts";

/** What the router needs of the server. */
export interface RouterOptions {
  /** What it answers to. */
  readonly endpoints: readonly Endpoint[];
  /** Who may ask. */
  readonly access: Access;
  /** What endpoints work with, once the server has started. */
  readonly service: Promise<Service>;
  /** What is counted. */
  readonly metrics: Metrics;
  /** How much of a body is read; its time is also that of the answer. */
  readonly limits: BodyLimits;
  /** What all bodies together may take. */
  readonly budget: ByteBudget;
}

/** Of every response: nothing here is for caches, or to be taken for anything else than it says. */
const HEADERS = { "cache-control": "no-store", "x-content-type-options": "nosniff" } as const;

/** Answers requests. */
export class Router {
  readonly #options: RouterOptions;
  readonly #byPath = new Map<string, Map<string, Endpoint>>();
  #inFlight = 0;

  /** Throws nothing. */
  constructor(options: RouterOptions) {
    this.#options = options;
    for (const endpoint of options.endpoints) {
      const methods = this.#byPath.get(endpoint.path) ?? new Map<string, Endpoint>();
      this.#byPath.set(endpoint.path, methods.set(endpoint.method, endpoint));
    }
  }

  /** Requests that are being answered. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Answers one request; never throws. */
  async answer(request: Request): Promise<Response> {
    const started = performance.now();
    const { metrics } = this.#options;
    const path = pathOf(request.url);
    const methods = this.#byPath.get(path);
    this.#inFlight++;
    let response: Response;
    try {
      response = responseTo(await this.#reply(request, methods));
    } catch (thrown) {
      response = errorResponse(toHttpError(thrown));
    } finally {
      this.#inFlight--;
    }
    // Anybody may ask for anything: what is no path of ours is one label.
    const route = methods === undefined ? "other" : path;
    const method = methods?.has(request.method) ? request.method : "other";
    metrics.requests.add({ route, method, status: String(response.status) });
    metrics.seconds.observe(route, (performance.now() - started) / 1000);
    getLogger(["rlcf", "serve"]).debug("{method} {route} {status}", { method, route, status: response.status });
    return response;
  }

  async #reply(request: Request, methods: ReadonlyMap<string, Endpoint> | undefined): Promise<Reply> {
    const { access, limits, budget } = this.#options;
    const endpoint = methods?.get(request.method);
    // A stranger is not told what there is.
    if (!endpoint?.isOpen) access.check(request.headers);
    if (methods === undefined) throw new HttpError(404, "not_found", "there is nothing here; see /openapi.json");
    if (endpoint === undefined) {
      const allow = [...methods.keys()].join(", ");
      throw new HttpError(405, "wrong_method", `wanted the method ${allow}`, { headers: { allow } });
    }
    if (endpoint.body === undefined) return await this.#inTime(endpoint, undefined);
    const { value, bytes } = await readJson(request, limits, budget);
    try {
      return await this.#inTime(endpoint, this.#read(endpoint.body.schema, value));
    } finally {
      budget.give(bytes);
    }
  }

  #read(schema: NonNullable<Endpoint["body"]>["schema"], value: unknown): unknown {
    try {
      return schema.read(value, "");
    } catch (thrown) {
      if (thrown instanceof RlcfError) this.#options.metrics.records.add({ kind: "request", outcome: "rejected" });
      throw thrown;
    }
  }

  async #inTime(endpoint: Endpoint, body: unknown): Promise<Reply> {
    const { service, limits: { timeoutMs } } = this.#options;
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      const message = "no answer in time; what was sent may have been stored, and may be sent again";
      late.reject(unavailable("timeout", message));
    }, timeoutMs);
    const work = service.then((open) => endpoint.handle(open, body));
    try {
      return await Promise.race([work, late.promise]);
    } finally {
      clearTimeout(timer);
      // Where the time was over, nobody hears how it ends.
      work.catch(() => {});
    }
  }
}

/** The path as it was sent, without query: nothing is decoded or resolved, so that nothing can be smuggled. */
function pathOf(url: string): string {
  const start = url.indexOf("/", url.indexOf("://") + 3);
  if (start === -1) return "/";
  const end = url.slice(start).search(/[?#]/);
  return end === -1 ? url.slice(start) : url.slice(start, start + end);
}

function responseTo({ status, body, contentType }: Reply): Response {
  const isText = typeof body === "string";
  return new Response(isText ? body : JSON.stringify(body), {
    status,
    headers: { ...HEADERS, "content-type": contentType ?? "application/json; charset=utf-8" },
  });
}

function errorResponse({ status, headers, detail }: HttpError): Response {
  return new Response(JSON.stringify({ error: detail }), {
    status,
    headers: { ...HEADERS, ...headers, "content-type": "application/json; charset=utf-8" },
  });
}
