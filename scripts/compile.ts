/**
 * Builds the program as one file: `deno task compile`.
 *
 * @module
 */
// deno-lint-ignore-file no-console -- a script prints what it did
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { compileBinary, TARGETS } from "./compile/binary.ts";
import { bundle, commitOfTree } from "./compile/bundle.ts";
import { packPortable } from "./portable/pack.ts";

const HELP = `Usage: deno task compile [options]

Builds dist/rlcf: one executable that needs no Deno, no Node, no npm and no network.

  --target TARGET   build for another platform: ${TARGETS.join(",\n                    ")}
  --portable        for Linux, from this very Deno, where its download server cannot be reached: dist/rlcf-portable,
                    a file that unpacks itself once and needs sh, gzip and coreutils (or busybox)
  --fast            with --portable: compress less, in a quarter of the time
  --output FILE     write to another file

DENORT_BIN=/path/to/denort is used in place of the runtime that deno compile downloads.`;

try {
  await main();
} catch (thrown) {
  console.error(`error: ${thrown instanceof Error ? thrown.message : thrown}`);
  Deno.exit(1);
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.help) return console.log(HELP);
  if (options.portable && options.target !== undefined) {
    throw new Error("--portable packs this Deno, so it takes no --target: run it on the platform it is for");
  }
  if (options.fast && !options.portable) throw new Error("--fast is for --portable; nothing is compressed without it");
  if (options.target !== undefined && !TARGETS.includes(options.target)) {
    throw new Error(`--target: found "${options.target}", wanted one of ${TARGETS.join(", ")}`);
  }
  const commit = await commitOfTree();
  const output = options.output ?? join("dist", options.portable ? "rlcf-portable" : "rlcf");
  await Deno.mkdir(dirname(output), { recursive: true });
  const directory = await Deno.makeTempDir({ prefix: "rlcf-compile-" });
  try {
    const program = await bundle(directory, commit);
    if (options.portable) await packPortable({ program, output, commit, level: options.fast ? 1 : 9 });
    else await compileBinary(program, output, options.target);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
  const path = options.target?.includes("windows") && !output.endsWith(".exe") ? `${output}.exe` : output;
  console.log(`${path}: ${((await Deno.stat(path)).size / 1e6).toFixed(1)} MB, commit ${commit}`);
}

/** What was asked for; throws on anything else. */
function readOptions(): {
  readonly help: boolean;
  readonly portable: boolean;
  readonly fast: boolean;
  readonly target?: string;
  readonly output?: string;
} {
  const { values } = parseArgs({
    args: [...Deno.args],
    options: {
      help: { type: "boolean", short: "h", default: false },
      portable: { type: "boolean", default: false },
      fast: { type: "boolean", default: false },
      target: { type: "string" },
      output: { type: "string" },
    },
  });
  return values;
}
