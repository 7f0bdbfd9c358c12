/**
 * Which process this is, for rows that say who trains.
 *
 * @module
 */

/** Host and process, as other trainers see them. */
export interface ProcessIdentity {
  /** The host's name, `unknown` without `--allow-sys=hostname`. */
  readonly host: string;
  /** The process on that host. */
  readonly processId: number;
}

/** This process. Never asks for a permission that was not given. */
export function thisProcess(): ProcessIdentity {
  const permitted = Deno.permissions.querySync({ name: "sys", kind: "hostname" }).state === "granted";
  return { host: permitted ? Deno.hostname().slice(0, 255) : "unknown", processId: Deno.pid };
}
