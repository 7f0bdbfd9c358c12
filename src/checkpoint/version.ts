/**
 * Names of policy versions: `vX.Y.Z` for the result of a session and `vX.Y.Z-ep.N` for a periodic checkpoint after N
 * episodes of the session that leads to vX.Y.Z. They are Semantic Versions 2.0.0 (semver.org) without build metadata,
 * so `v1.0.2-ep.300` comes before `v1.0.2`. Databases written by others also hold `1.0.2` and `v2.0.0-rc1`.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { describe } from "../base/check.ts";

/** A version taken apart. */
export interface Version {
  /** X of vX.Y.Z. */
  readonly major: number;
  /** Y of vX.Y.Z. */
  readonly minor: number;
  /** Z of vX.Y.Z. */
  readonly patch: number;
  /** The identifiers after the hyphen, such as `["ep", "300"]`; empty for a release. */
  readonly prerelease: readonly string[];
}

const NUMBER = "(0|[1-9][0-9]{0,8})";
const IDENTIFIER = "(?:0|[1-9][0-9]*|[0-9]*[A-Za-z-][0-9A-Za-z-]*)";
const PATTERN = new RegExp(`^v?${NUMBER}\\.${NUMBER}\\.${NUMBER}(?:-(${IDENTIFIER}(?:\\.${IDENTIFIER})*))?$`);
const LONGEST = 50;

/** The version in a text, with or without the leading v; undefined for a text that is no version. */
export function parseVersion(text: string): Version | undefined {
  if (text.length > LONGEST) return undefined;
  const match = PATTERN.exec(text);
  if (match === null) return undefined;
  return {
    major: Number(match[1]),
    minor: Number(match[2]),
    patch: Number(match[3]),
    prerelease: match[4]?.split(".") ?? [],
  };
}

/** A version as text, `v1.0.2` or `v1.0.2-ep.300`. */
export function formatVersion(version: Version): string {
  const release = `v${version.major}.${version.minor}.${version.patch}`;
  return version.prerelease.length === 0 ? release : `${release}-${version.prerelease.join(".")}`;
}

/**
 * A version as rlcf writes it, with the leading v.
 *
 * @throws RlcfError `usage` for a text that is no version
 */
export function canonicalVersion(text: string): string {
  const version = parseVersion(text);
  if (version === undefined) {
    throw new RlcfError("usage", `cannot use policy version: found ${describe(text)}, wanted one such as v1.0.2`, {
      hint: `Versions are vX.Y.Z, optionally with a tag as in v2.0.0-rc1, and at most ${LONGEST} characters long.`,
    });
  }
  return formatVersion(version);
}

/**
 * Order of two versions by the precedence rules of Semantic Versioning (section 11): negative when `a` comes first.
 * Texts that are no versions come before all that are, in code unit order, so that any list can be sorted.
 */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [parseVersion(a), parseVersion(b)];
  if (left === undefined || right === undefined) {
    if (left !== undefined) return 1;
    if (right !== undefined) return -1;
    return compareText(a, b);
  }
  return left.major - right.major || left.minor - right.minor || left.patch - right.patch ||
    comparePrerelease(left.prerelease, right.prerelease);
}

/**
 * The version that a new session publishes: one patch above the highest of the parent's `vX.Y` line. Periodic
 * versions count, so that a session that stopped before its final version never shares a name with the next one.
 *
 * @param versions every version that exists of this policy type; texts that are no versions are ignored
 * @param parent the version trained from; null (or no version) continues the highest line, or starts at v1.0.0
 */
export function nextPatch(versions: readonly string[], parent: string | null): string {
  const known = versions.filter((text) => parseVersion(text) !== undefined);
  const start = parent !== null && parseVersion(parent) !== undefined ? parent : known.toSorted(compareVersions).at(-1);
  if (start === undefined) return "v1.0.0";
  const { major, minor } = parseVersion(start)!;
  const patches = [start, ...known].map((text) => parseVersion(text)!)
    .filter((version) => version.major === major && version.minor === minor)
    .map((version) => version.patch);
  return formatVersion({ major, minor, patch: Math.max(...patches) + 1, prerelease: [] });
}

/**
 * The name of the checkpoint after a number of episodes of the session that leads to a release.
 *
 * @param release `vX.Y.Z`; a tag it may carry is replaced
 * @param episodes episodes trained in the session so far
 */
export function periodicVersion(release: string, episodes: number): string {
  return formatVersion({ ...parseVersion(canonicalVersion(release))!, prerelease: ["ep", String(episodes)] });
}

/** Whether a version names a periodic checkpoint, `vX.Y.Z-ep.N`. */
export function isPeriodic(version: string): boolean {
  const prerelease = parseVersion(version)?.prerelease ?? [];
  return prerelease.length === 2 && prerelease[0] === "ep" && isNumeric(prerelease[1]!);
}

function comparePrerelease(a: readonly string[], b: readonly string[]): number {
  if (a.length === 0 || b.length === 0) return b.length - a.length;
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = compareIdentifier(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function compareIdentifier(a: string, b: string): number {
  if (isNumeric(a) !== isNumeric(b)) return isNumeric(a) ? -1 : 1;
  // Without leading zeros the longer number is the larger one, however many digits it has.
  if (isNumeric(a) && a.length !== b.length) return a.length - b.length;
  return compareText(a, b);
}

function isNumeric(identifier: string): boolean {
  return /^[0-9]+$/.test(identifier);
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
