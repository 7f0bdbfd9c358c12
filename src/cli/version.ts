/**
 * What this program is: version, commit, Deno, engines.
 *
 * @module
 */
import manifest from "../../deno.json" with { type: "json" };
import { settingOf } from "../config/schema.ts";

/** Semantic version of this build, the one in deno.json. */
export const VERSION: string = manifest.version;

/** What a build knows of its origin and its source does not. */
export interface Build {
  /** The commit it was built from, or why none is known. */
  readonly commit: string;
}

/** The program as it runs from its source: what is there now need not be what was committed. */
export const FROM_SOURCE: Build = { commit: "unknown (run from source)" };

/** What `rlcf --version` prints, and what a report of a defect should begin with. The first line is the version. */
export function versionText({ commit }: Build): string {
  const { deno, v8 } = Deno.version;
  // As the configuration has them: the engines themselves are not loaded to be named.
  const engines = settingOf("compute.backend").wanted.replace(/^one of auto, /, "");
  return [
    `rlcf ${VERSION}`,
    `commit ${commit}`,
    `deno ${deno} (v8 ${v8}, ${Deno.build.target})`,
    `engines ${engines}`,
  ].join("\n");
}
