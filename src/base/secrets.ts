/**
 * Keeps passwords out of everything that is printed or logged. Whoever prints a database URL prints
 * {@link maskedUrl} of it.
 *
 * @module
 */

const MASK = "***";

/**
 * The URL with its password replaced by `***`: the one before the host, and those in parameters such as
 * `?password=...`. Everything else stays as it is; text that is no URL is returned unless it looks as if it held a
 * password.
 *
 * No URL parser is used, because the URLs that reach an error message are the ones no parser accepts. Where a text
 * can be read in two ways, the reading that hides more wins: a password holding `@`, `/` or `?` that nobody escaped is
 * hidden whole, at the price of a host that is hidden too when a parameter holds an `@`. Only the address of a web page
 * with a port is read as what it is: `https://host:8443/people/name@example.org` names no password.
 */
export function maskedUrl(url: string): string {
  // A bare `user:password@host` looks like a scheme too, so without the slashes only our own schemes count as one.
  const scheme = /^(?:[a-z][a-z0-9+.-]*:\/\/|(?:postgres(?:ql)?|sqlite)(?:\+[a-z0-9]+)?:\/?)/i.exec(url)?.[0] ?? "";
  const rest = url.slice(scheme.length);
  const colon = /:|%3a/i.exec(rest);
  const at = rest.lastIndexOf("@");
  if (colon !== null && colon.index < at && !isPageWithPort(url)) {
    const user = withoutParameters(rest.slice(0, colon.index)) + colon[0];
    const isInParameter = withoutParameters(rest.slice(0, at)).endsWith(`=${MASK}`);
    return scheme + user + MASK + (isInParameter ? "" : withoutParameters(rest.slice(at)));
  }
  const plain = withoutParameters(rest);
  return at === -1 && scheme !== "" ? scheme + withoutLostPassword(plain) : scheme + plain;
}

/** A host, a port and a path: digits in front of a `/` are no password, which would hold the `/` as `%2F`. */
function isPageWithPort(url: string): boolean {
  return /^https?:\/\/(?:\[[0-9a-f:.]*\]|[^\s/?#:@]+):\d{1,5}[/?#]/i.test(url);
}

/** The text with the values of parameters such as `password=...` masked; a value ends at `&`, not at a space or `#`. */
function withoutParameters(text: string): string {
  let masked = "";
  let done = 0;
  for (const match of text.matchAll(/(?:^|[?&;\s])([^=?&;\s]*)=/g)) {
    if (match.index < done || !isSecretName(match[1]!)) continue;
    const start = match.index + match[0].length;
    const end = text.indexOf("&", start);
    masked += text.slice(done, start) + MASK;
    done = end === -1 ? text.length : end;
  }
  return masked + text.slice(done);
}

/**
 * `user:password` whose `@host` was forgotten or escaped: told from `host:port` by what follows the colon, which for
 * a port is digits only (and a comma before the next host).
 */
function withoutLostPassword(rest: string): string {
  const authority = /^[^/?#]*/.exec(rest)![0];
  const match = /^(\[[^\]]*\]|[^:[]*):(.*)$/s.exec(authority);
  if (match === null || /^\d*(?:,[^,]*:\d*)*$/.test(match[2]!) || match[2] === MASK) return rest;
  return `${match[1]}:${MASK}`;
}

function isSecretName(name: string): boolean {
  let decoded = name;
  try {
    decoded = decodeURIComponent(name);
  } catch {
    // A broken escape: the name is judged as it stands.
  }
  return /pass|pwd|secret|token/i.test(decoded);
}
