/**
 * Whether the database can be reached and has this program's schema.
 *
 * @module
 */
import type { Check, Finding } from "./finding.ts";

/** The check; it is made first, and decides whether the tables can be read. */
export const databaseCheck: Check = {
  area: "database",
  needsTables: false,
  examine: async ({ inspection, location }): Promise<Finding[]> => {
    if (inspection === null) {
      return [{
        area: "database",
        severity: "warning",
        what: `there is no database ${location}`,
        cause: "No such file: nothing was stored in it yet, or the name is wrong. It was not created.",
        mend: "rlcf ingest FILE",
      }];
    }
    const { missing, unknown } = await inspection.getSchema();
    if (unknown.length > 0) {
      return [{
        area: "database",
        severity: "error",
        code: "database",
        what: `${location} was migrated by a newer rlcf: ${unknown.join(", ")}`,
        cause: "This program does not know that schema and refuses the database.",
        mend: "Update rlcf, or name another database.",
      }];
    }
    if (missing.length === 0) return [];
    const fresh = location === "sqlite://";
    return [{
      area: "database",
      severity: fresh ? "note" : "warning",
      what: fresh
        ? "no database is named: the one in memory is always empty"
        : `${location} lacks ${missing.join(", ")}`,
      cause: fresh
        ? "Name one with --database, RLCF_ASYNC_DATABASE_URL or database.url in the configuration."
        : "Nothing was stored in it yet, or it is from an older rlcf. Every other command brings it up to date.",
      mend: fresh ? null : "rlcf stats",
    }];
  },
};
