/**
 * One version of a policy as a person reads it.
 *
 * @module
 */
import { join } from "node:path";
import type { JsonObject } from "../base/check.ts";
import type { FallbackReport } from "../session/fallbacks.ts";
import type { PolicyActivation, PolicyCheckpoint } from "../store/persistence.ts";
import { benchFacts } from "./bench_view.ts";
import { judgementFacts } from "./judgement_view.ts";
import { type Cell, count, sayFacts, sayTable, shortTime } from "./table.ts";
import { bold, dim, say } from "./terminal.ts";

/** Tells on stderr what a version is, how it fared, when it was active, and the settings that made it. */
export function showVersion(
  row: PolicyCheckpoint,
  activations: readonly PolicyActivation[],
  directory: string,
): void {
  say(`${bold(`${row.policyType} ${row.version}`)}${row.isActive ? ", the active one" : ""}`);
  say();
  sayFacts([
    ["made", `${shortTime(row.createdAt)} UTC, from ${row.parentVersion ?? "fresh weights"}`],
    ["episodes", `${count(row.trainingEpisodes)} visited`],
    ["session", row.trainingSessionId],
    ["files", row.stateDictPath === null ? null : join(directory, row.stateDictPath)],
    ["sha256", row.manifestSha256],
    ["tag", row.tag],
  ]);
  // A curve is for the eye: rlcf report draws it. What the gate said is told in a section of its own.
  const { curve: _curve, evaluation: _evaluation, warnings: _warnings, fallbacks, ...measured } = row.trainingMetrics;
  section("measured", [...flat(measured), ...fallbackFacts(fallbacks)]);
  section("judged", judgementFacts(row.trainingMetrics));
  section("bench", benchFacts(row.bench));
  if (activations.length > 0) {
    say();
    sayTable(
      ["activated (UTC)", "after", "reason"],
      activations.map(({ activatedAt, fromVersion, reason }) => [shortTime(activatedAt), fromVersion, reason ?? ""]),
    );
  }
  section("settings", flat(row.config));
}

function section(title: string, facts: readonly [string, Cell][]): void {
  if (facts.length === 0) return;
  say();
  say(dim(title));
  sayFacts(facts);
}

/** The changes of backend that a failing GPU forced; a version from before they were recorded has none. */
function fallbackFacts(fallbacks: unknown): [string, Cell][] {
  if (!Array.isArray(fallbacks)) return [];
  return (fallbacks as FallbackReport[]).map(({ from, to, at_episode, reason }) => [
    "changed backend",
    `from ${from} to ${to} after ${count(at_episode)} episodes: ${reason}`,
  ]);
}

/** Nested JSON as dotted names and short values. */
function flat(json: JsonObject, prefix = ""): [string, Cell][] {
  return Object.entries(json).flatMap(([name, value]): [string, Cell][] => {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) {
      return flat(value as JsonObject, `${prefix}${name}.`);
    }
    return [[`${prefix}${name}`, shortValue(value)]];
  });
}

function shortValue(value: unknown): Cell {
  if (value === null) return null;
  if (typeof value === "number") return Number.isInteger(value) ? value : String(Number(value.toPrecision(4)));
  return Array.isArray(value) ? value.map(itemName).join(", ") : String(value);
}

/** An entry of a list; one with a name, such as a warning, by its name. */
function itemName(item: unknown): string {
  if (typeof item !== "object" || item === null) return String(item);
  return "name" in item ? String(item.name) : JSON.stringify(item);
}
