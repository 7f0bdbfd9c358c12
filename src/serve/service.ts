/**
 * What the endpoints work with, and what an endpoint is.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import type { RLCFPersistence } from "../store/persistence.ts";
import type { Metrics } from "./metrics.ts";
import type { PolicyHolder } from "./policy_holder.ts";
import type { Schema } from "./schema.ts";
import type { WriteQueue } from "./write_queue.ts";

/** The parts of a running server that endpoints use. */
export interface Service {
  /** The database, for reading. */
  readonly store: Pick<RLCFPersistence, "getTrace" | "getFeedbackForTrace" | "getLeaseHolder">;
  /** The way into it. */
  readonly queue: WriteQueue;
  /** The version that is served. */
  readonly holder: PolicyHolder;
  /** What is counted. */
  readonly metrics: Metrics;
}

/** An answer. */
export interface Reply {
  /** The HTTP status. */
  readonly status: number;
  /** JSON; a text is sent as it is. */
  readonly body: JsonObject | string;
  /** Of a text; JSON has its own. */
  readonly contentType?: string;
}

/** What a status means, and what stands in its body. */
export interface ResponseDescription {
  /** When it is sent. */
  readonly description: string;
  /** JSON Schema of the body; a text of the given media type if absent. */
  readonly schema?: JsonObject;
  /** Of a text. */
  readonly mediaType?: string;
  /** A body as it may come. */
  readonly example?: unknown;
}

/** One method on one path. */
export interface Endpoint {
  /** The method. */
  readonly method: "GET" | "POST";
  /** The path, without parameters. */
  readonly path: string;
  /** In one line. */
  readonly summary: string;
  /** In some sentences. */
  readonly description: string;
  /** Needs no token: for those who look whether the server lives. */
  readonly isOpen?: boolean;
  /** The request's body: how it is read and described, and examples by name. */
  readonly body?: { readonly schema: Schema<unknown>; readonly examples: Readonly<Record<string, JsonObject>> };
  /** The responses of this endpoint alone, by status; the common errors are added to them. */
  readonly responses: Readonly<Record<number, ResponseDescription>>;
  /** Answers; `body` is what the schema has read. */
  handle(service: Service, body: unknown): Promise<Reply> | Reply;
}

/** What {@link endpoint} takes: an {@link Endpoint} whose handler knows the type of its body. */
export type EndpointOf<B> = Omit<Endpoint, "body" | "handle"> & {
  readonly body: { readonly schema: Schema<B>; readonly examples: Readonly<Record<string, JsonObject>> };
  handle(service: Service, body: B): Promise<Reply> | Reply;
};

/** An endpoint whose handler takes what its own schema reads; the router gives it nothing else. */
export function endpoint<B>(declared: EndpointOf<B>): Endpoint {
  return declared as unknown as Endpoint;
}
