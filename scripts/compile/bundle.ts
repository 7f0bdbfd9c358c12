/**
 * The whole program as one file of JavaScript: every module it imports, the WebAssembly modules, the shaders, the
 * defaults of the configuration, and the commit it was built from. It imports nothing but what is part of Deno.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository. */
const ROOT = new URL("../../", import.meta.url);

/**
 * Bundles the program.
 *
 * @param directory where the bundle and its entry are written
 * @param commit what `rlcf --version` says
 * @returns the path of the bundle
 */
export async function bundle(directory: string, commit: string): Promise<string> {
  const entry = join(directory, "entry.ts");
  const output = join(directory, "rlcf.js");
  // The commit reaches the program as an argument, in an entry of its own: nothing has to be replaced in the bundle.
  await Deno.writeTextFile(
    entry,
    `import { runProgram } from ${JSON.stringify(new URL("src/cli/program.ts", ROOT).href)};
if (import.meta.main) Deno.exit(await runProgram(Deno.args, ${JSON.stringify({ commit })}));
`,
  );
  const configuration = fileURLToPath(new URL("deno.json", ROOT));
  await run(["bundle", "--quiet", "--config", configuration, "--minify", "--output", output, entry]);
  const foreign = [...(await Deno.readTextFile(output)).matchAll(/\bfrom\s*"((?:npm|jsr|https?):[^"]*)"/g)];
  if (foreign.length > 0) throw new Error(`the bundle still imports ${foreign.map(([, name]) => name).join(", ")}`);
  return output;
}

/** The commit of the working tree, marked where it holds changes; "unknown" without git or outside a repository. */
export async function commitOfTree(): Promise<string> {
  const head = await git("rev-parse", "--short=12", "HEAD");
  if (head === undefined) return "unknown";
  const changes = await git("status", "--porcelain", "--untracked-files=no");
  return changes === "" ? head : `${head} with uncommitted changes`;
}

async function git(...args: string[]): Promise<string | undefined> {
  try {
    // A repository of another user, as in a container, makes git refuse: then the commit is unknown as well.
    const { success, stdout } = await new Deno.Command("git", { args, stderr: "null" }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch (thrown) {
    if (thrown instanceof Deno.errors.NotFound) return undefined;
    throw thrown;
  }
}

/** Runs this Deno; throws with what it said if it fails. */
export async function run(args: readonly string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [...args],
    env: { NO_COLOR: "1" },
    stdout: "null",
  }).output();
  if (!success) throw new Error(`deno ${args[0]} failed:\n${new TextDecoder().decode(stderr).trim()}`);
}
