/**
 * What a client is told when its request cannot be served: a status, a code for programs, a message for people. Nothing
 * of what stands behind the server, such as the database's address, is in it.
 *
 * @module
 */
import { getLogger } from "@logtape/logtape";
import { messageOf, RlcfError } from "../base/errors.ts";

/** The body of an error as JSON. */
export interface ErrorBody {
  /** What was wrong. */
  readonly error: ErrorDetail;
}

/** One error. */
export interface ErrorDetail {
  /** For programs, e.g. `invalid`. */
  readonly code: string;
  /** For people: what was found, what was wanted, where. */
  readonly message: string;
  /** The place in the body, where one is to blame, e.g. `trace.actions[0].log_prob`. */
  readonly field?: string;
}

/** A request that cannot be served. */
export class HttpError extends Error {
  /** Always `HttpError`. */
  override readonly name = "HttpError";
  /** The response's status. */
  readonly status: number;
  /** For programs. */
  readonly code: string;
  /** The place in the body that is to blame. */
  readonly field: string | undefined;
  /** Headers of the response, in lower case. */
  readonly headers: Readonly<Record<string, string>>;

  /**
   * Says what the client can do.
   *
   * @param options `field`: the place to blame; `headers`: such as `retry-after`
   */
  constructor(
    status: number,
    code: string,
    message: string,
    options: { field?: string | undefined; headers?: Readonly<Record<string, string>> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.field = options.field;
    this.headers = options.headers ?? {};
  }

  /** The error as it stands in a body. */
  get detail(): ErrorDetail {
    return { code: this.code, message: this.message, ...(this.field === undefined ? {} : { field: this.field }) };
  }
}

/** Busy or not ready: the client should try again. */
export function unavailable(code: string, message: string, retryAfterSeconds = 1): HttpError {
  return new HttpError(503, code, message, { headers: { "retry-after": String(retryAfterSeconds) } });
}

/** The place that a message of `base/check.ts` begins with. */
const PLACE = /^(?:record\.)?([A-Za-z_][\w.[\]]*): (?:found|entry)/;

/**
 * A refused value as an error of the client.
 *
 * @param where put in front of the field and the message, e.g. `records[2]`
 */
export function invalid(thrown: RlcfError, where = ""): HttpError {
  const message = thrown.message.replace(/^record\./, "");
  const place = PLACE.exec(thrown.message)?.[1];
  if (where === "") return new HttpError(422, "invalid", message, { field: place });
  const field = place === undefined ? where : `${where}.${place}`;
  return new HttpError(422, "invalid", `${where}: ${message}`, { field });
}

/** Anything that was thrown as what the client is told; what it is not told is logged. */
export function toHttpError(thrown: unknown): HttpError {
  if (thrown instanceof HttpError) return thrown;
  if (thrown instanceof RlcfError && thrown.code === "usage") return invalid(thrown);
  const logger = getLogger(["rlcf", "serve"]);
  if (thrown instanceof RlcfError && thrown.code === "database") {
    logger.error("a request was not served: {cause}", { cause: thrown.message });
    return unavailable("database_unavailable", "the database does not answer; what was sent may be sent again", 5);
  }
  if (thrown instanceof RlcfError) {
    logger.error("a request was not served: {cause}", { cause: thrown.message });
    return unavailable(thrown.code, "the server cannot serve this now; its log says why", 5);
  }
  logger.error("a request met a defect of rlcf: {cause}", {
    cause: thrown instanceof Error ? thrown.stack ?? thrown.message : messageOf(thrown),
  });
  return new HttpError(500, "unexpected", "the server met a defect; its log says more");
}
