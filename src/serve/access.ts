/**
 * Who may use the server: whoever knows one of its bearer tokens (RFC 6750), or everybody where it has none.
 *
 * @module
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { RlcfError } from "../base/errors.ts";
import { HttpError } from "./errors.ts";

/** Shorter tokens can be guessed. */
const SHORTEST_TOKEN = 16;

/** The tokens that let in. Only their hashes are kept. */
export class Access {
  readonly #hashes: readonly Uint8Array[];

  /**
   * Forgets the tokens but their hashes.
   *
   * @param tokens none: everybody may come in
   */
  constructor(tokens: readonly string[]) {
    this.#hashes = tokens.map(hashOf);
  }

  /** Whether a token is needed. */
  get isGuarded(): boolean {
    return this.#hashes.length > 0;
  }

  /** Throws 401 unless the request carries one of the tokens. How long it takes says nothing of the tokens. */
  check(headers: Headers): void {
    if (!this.isGuarded) return;
    const given = hashOf(/^bearer +([^\s]+) *$/i.exec(headers.get("authorization") ?? "")?.[1] ?? "");
    let isKnown = false;
    // All of them, whichever it is.
    for (const hash of this.#hashes) isKnown = timingSafeEqual(hash, given) || isKnown;
    if (!isKnown) {
      throw new HttpError(401, "unauthorized", "wanted a header Authorization: Bearer TOKEN with one of the tokens", {
        headers: { "www-authenticate": 'Bearer realm="rlcf"' },
      });
    }
  }
}

/**
 * The tokens of a text, separated by commas or white space.
 *
 * @param where the text is from, for the message; the tokens themselves are in no message
 * @throws RlcfError("usage") for a token that is too short or holds what a header cannot
 */
export function tokensFrom(text: string, where: string): string[] {
  const tokens = text.split(/[\s,]+/).filter((token) => token !== "");
  for (const [i, token] of tokens.entries()) {
    if (token.length < SHORTEST_TOKEN || !/^[A-Za-z0-9._~+/=-]+$/.test(token)) {
      throw new RlcfError(
        "usage",
        `cannot use token ${i + 1} of ${where}: wanted at least ${SHORTEST_TOKEN} of the characters ` +
          "A-Z a-z 0-9 . _ ~ + / = -",
        { hint: "openssl rand -base64 32 makes one." },
      );
    }
  }
  return tokens;
}

function hashOf(token: string): Uint8Array {
  return createHash("sha256").update(token).digest();
}
