/**
 * The ordinary binary: `deno compile` of the bundle, on the runtime that Deno downloads for it.
 *
 * @module
 */
import { run } from "./bundle.ts";
import { RUNTIME_FLAGS } from "./runtime_flags.ts";

/** What `--target` takes. */
export const TARGETS: readonly string[] = [
  "x86_64-unknown-linux-gnu",
  "aarch64-unknown-linux-gnu",
  "x86_64-apple-darwin",
  "aarch64-apple-darwin",
  "x86_64-pc-windows-msvc",
];

/** Where Deno fetches the runtime from, for the message when it cannot. */
const SERVER = "dl.deno.land";

/**
 * Compiles the bundle to an executable. Of the permissions and the program nothing can be changed afterwards.
 *
 * @param program path of the bundle
 * @param output path of the executable; `.exe` is added by Deno for Windows
 * @throws Error that says what to do where the runtime cannot be fetched
 */
export async function compileBinary(program: string, output: string, target: string | undefined): Promise<void> {
  const forTarget = target === undefined ? [] : ["--target", target];
  try {
    await run(["compile", "--quiet", ...forTarget, "--output", output, ...RUNTIME_FLAGS, program]);
  } catch (thrown) {
    throw thrown instanceof Error && isMissingRuntime(thrown.message) ? withoutRuntime(thrown, target) : thrown;
  }
}

function isMissingRuntime(message: string): boolean {
  return /Setting up base binary|denort/.test(message);
}

function withoutRuntime(thrown: Error, target: string | undefined): Error {
  const { deno } = Deno.version;
  const name = `denort-${target ?? Deno.build.target}.zip`;
  const given = Deno.env.get("DENORT_BIN");
  const cause = /^\s*\d+: ((?!Setting up).*)$/m.exec(thrown.message)?.[1] ?? thrown.message;
  const what = given === undefined
    ? `cannot compile: the runtime that deno compile needs (${name} of Deno ${deno}) could not be fetched from ${SERVER}`
    : `cannot compile: the runtime that DENORT_BIN names, ${given}, cannot be used`;
  return new Error(
    `${what}: ${cause}
either  deno task compile --portable      one file for Linux, made of this Deno; needs no download
or      DENORT_BIN=/path/to/denort deno task compile
        with the denort of https://${SERVER}/release/v${deno}/${name}, fetched where that server can be reached`,
    { cause: thrown },
  );
}
