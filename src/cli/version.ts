/**
 * The program's version, the one in deno.json.
 *
 * @module
 */
import manifest from "../../deno.json" with { type: "json" };

/** Semantic version of this build. */
export const VERSION: string = manifest.version;
