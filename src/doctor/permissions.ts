/**
 * Whether Deno was started with what rlcf needs.
 *
 * @module
 */
import type { Check, Finding } from "./finding.ts";

/** A permission, the flag that grants it, and what is missing without it. */
interface Need {
  readonly descriptor: Deno.PermissionDescriptor;
  readonly flag: string;
  readonly severity: "error" | "warning";
  readonly without: string;
}

/** The check. The network is none of its business: which host is allowed, the database check finds out by asking it. */
export const permissionsCheck: Check = {
  area: "permissions",
  needsTables: false,
  examine: ({ config }): Finding[] => {
    const path = config.checkpoint.directory;
    const needs: Need[] = [
      {
        descriptor: { name: "read", path },
        flag: `--allow-read=${path}`,
        severity: "error",
        without: "Checkpoints cannot be read.",
      },
      {
        descriptor: { name: "write", path },
        flag: `--allow-write=${path}`,
        severity: "error",
        without: "Checkpoints cannot be written.",
      },
      {
        descriptor: { name: "sys", kind: "hostname" },
        flag: "--allow-sys=hostname",
        severity: "warning",
        without: "Leases and sessions name the host unknown: nobody can tell which one trains.",
      },
    ];
    return needs.filter(({ descriptor }) => Deno.permissions.querySync(descriptor).state !== "granted")
      .map(({ flag, severity, without }) => ({
        area: "permissions",
        severity,
        what: `Deno was started without ${flag}`,
        cause: without,
        mend: "Start it by the task: deno task rlcf",
      }));
  },
};
