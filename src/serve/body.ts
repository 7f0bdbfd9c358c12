/**
 * Reading a request's JSON without trusting its sender: bytes are counted while they arrive, all bodies together have a
 * limit, and a sender that is too slow is left.
 *
 * @module
 */
import { messageOf } from "../base/errors.ts";
import { HttpError, unavailable } from "./errors.ts";

/** Memory that the bodies of all requests share. */
export class ByteBudget {
  readonly #limit: number;
  #taken = 0;

  /**
   * Nothing is taken yet.
   *
   * @param limit bytes
   */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Bytes that are taken now. */
  get taken(): number {
    return this.#taken;
  }

  /** Takes bytes; throws 503 if too few are left. */
  take(bytes: number): void {
    if (this.#taken + bytes > this.#limit) {
      throw unavailable("overloaded", "the server holds as many bytes of requests as it may; try again");
    }
    this.#taken += bytes;
  }

  /** Gives bytes back. */
  give(bytes: number): void {
    this.#taken -= bytes;
  }
}

/** How much of a body is read, and for how long. */
export interface BodyLimits {
  /** Most bytes of one body. */
  readonly maxBytes: number;
  /** Longest time until it is there, in milliseconds. */
  readonly timeoutMs: number;
}

/** A body that was read. */
export interface JsonBody {
  /** Its JSON value. */
  readonly value: unknown;
  /** Bytes that it took of the budget, to be given back when the request has been answered. */
  readonly bytes: number;
}

/**
 * Reads a JSON body.
 *
 * @throws HttpError 400 (no JSON, no UTF-8, empty), 408 (too slow), 413 (too long), 415 (another type), 503 (budget)
 */
export async function readJson(request: Request, limits: BodyLimits, budget: ByteBudget): Promise<JsonBody> {
  checkHeaders(request.headers, limits.maxBytes);
  const { chunks, bytes } = await readBytes(request, limits, budget);
  try {
    if (bytes === 0) throw new HttpError(400, "no_body", "the request has no body, wanted a JSON object");
    return { value: parsed(decoded(chunks, bytes)), bytes };
  } catch (thrown) {
    budget.give(bytes);
    throw thrown;
  }
}

function checkHeaders(headers: Headers, maxBytes: number): void {
  const type = headers.get("content-type") ?? "";
  if (!/^application\/json\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i.test(type)) {
    throw new HttpError(415, "unsupported_type", "the Content-Type is another one, wanted application/json in UTF-8");
  }
  const coding = headers.get("content-encoding");
  if (coding !== null && coding.toLowerCase() !== "identity") {
    throw new HttpError(415, "unsupported_type", "the body is compressed (Content-Encoding), wanted it plain");
  }
  if (Number(headers.get("content-length") ?? 0) > maxBytes) throw tooLong(maxBytes);
}

async function readBytes(
  request: Request,
  { maxBytes, timeoutMs }: BodyLimits,
  budget: ByteBudget,
): Promise<{ readonly chunks: readonly Uint8Array[]; readonly bytes: number }> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  if (request.body === null) return { chunks, bytes };
  const reader = request.body.getReader();
  const late = Promise.withResolvers<never>();
  // Where nobody waits any more, its failure is nobody's.
  late.promise.catch(() => {});
  const timer = setTimeout(() => {
    late.reject(new HttpError(408, "too_slow", `the body was not there after ${timeoutMs / 1000} seconds`));
  }, timeoutMs);
  try {
    while (true) {
      const { done, value } = await Promise.race([reader.read(), late.promise]);
      if (done) return { chunks, bytes };
      if (bytes + value.length > maxBytes) throw tooLong(maxBytes);
      budget.take(value.length);
      bytes += value.length;
      chunks.push(value);
    }
  } catch (thrown) {
    budget.give(bytes);
    void reader.cancel().catch(() => {});
    if (thrown instanceof HttpError) throw thrown;
    throw new HttpError(400, "broken_body", `the body ended before its end: ${messageOf(thrown)}`);
  } finally {
    clearTimeout(timer);
  }
}

function tooLong(maxBytes: number): HttpError {
  return new HttpError(413, "too_large", `the body is longer than ${maxBytes} bytes; send fewer records at a time`);
}

function decoded(chunks: readonly Uint8Array[], bytes: number): string {
  let whole = chunks[0]!;
  if (chunks.length > 1) {
    whole = new Uint8Array(bytes);
    let offset = 0;
    for (const chunk of chunks) {
      whole.set(chunk, offset);
      offset += chunk.length;
    }
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(whole);
  } catch {
    throw new HttpError(400, "not_utf8", "the body is not UTF-8");
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (thrown) {
    throw new HttpError(400, "not_json", `the body is not JSON: ${messageOf(thrown)}`);
  }
}
