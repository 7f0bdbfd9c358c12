/**
 * `GET /healthz` and `GET /healthz/live`: for whoever decides whether this process gets requests, or a successor.
 *
 * @module
 */
import type { JsonObject } from "../../base/check.ts";
import type { Endpoint, ResponseDescription, Service } from "../service.ts";

/** A database that takes longer is as good as none, in milliseconds. */
const PATIENCE_MS = 2000;

const healthSchema: JsonObject = {
  type: "object",
  required: ["live", "ready", "database", "policy"],
  properties: {
    live: { const: true },
    ready: { type: "boolean" },
    database: { type: "string", enum: ["reachable", "unreachable"] },
    policy: { type: ["string", "null"], description: "the version that routes" },
  },
};

function response(description: string, ready: boolean): ResponseDescription {
  return { description, schema: healthSchema, example: { live: true, ready, database: "reachable", policy: "v1.0.1" } };
}

/** Whether all of it works. */
export const healthEndpoint: Endpoint = {
  method: "GET",
  path: "/healthz",
  summary: "Whether the server is ready",
  description: "Ready means that the database answers and a policy is loaded. Needs no token.",
  isOpen: true,
  responses: {
    200: response("ready", true),
    503: {
      ...response("not ready", false),
      example: { live: true, ready: false, database: "reachable", policy: null },
    },
  },
  handle: async (service) => {
    const isReachable = await answers(service);
    const policy = service.holder.current?.version ?? null;
    const ready = isReachable && policy !== null;
    return {
      status: ready ? 200 : 503,
      body: { live: true, ready, database: isReachable ? "reachable" : "unreachable", policy },
    };
  },
};

/** Whether the process answers, whatever it waits for. */
export const livenessEndpoint: Endpoint = {
  method: "GET",
  path: "/healthz/live",
  summary: "Whether the server lives",
  description: "Says no more than that the process answers. Needs no token.",
  isOpen: true,
  responses: {
    200: {
      description: "it lives",
      schema: { type: "object", required: ["live"], properties: { live: { const: true } } },
      example: { live: true },
    },
  },
  handle: () => ({ status: 200, body: { live: true } }),
};

/** Looks that are under way, by service: many who ask at once look once. */
const looking = new WeakMap<Service, Promise<boolean>>();

async function answers(service: Service): Promise<boolean> {
  let look = looking.get(service);
  if (look === undefined) {
    look = service.store.getLeaseHolder("gating").then(() => true, () => false);
    looking.set(service, look);
    void look.then(() => looking.delete(service));
  }
  const late = Promise.withResolvers<boolean>();
  const timer = setTimeout(() => late.resolve(false), PATIENCE_MS);
  try {
    return await Promise.race([look, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
