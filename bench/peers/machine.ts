/**
 * The machine in words.
 *
 * @module
 */

/** E.g. `AMD EPYC 7B13, 2 cores, linux`; the architecture instead of the processor where nobody tells its name. */
export async function machineName(): Promise<string> {
  const cores = navigator.hardwareConcurrency;
  const processor = await processorName() ?? Deno.build.arch;
  return `${processor}, ${cores} ${cores === 1 ? "core" : "cores"}, ${Deno.build.os}`;
}

/** From a process of its own: Deno reads nothing in /proc unless it may do everything. */
async function processorName(): Promise<string | undefined> {
  try {
    const { stdout } = await new Deno.Command("lscpu", { env: { LC_ALL: "C" }, stderr: "null" }).output();
    return /^Model name:\s*(.+)$/m.exec(new TextDecoder().decode(stdout))?.[1];
  } catch {
    return undefined;
  }
}
