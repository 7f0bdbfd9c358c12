/**
 * Whether a password has come to stand in the records. A URL with a password on the command line is fine; stored it would
 * be read by everyone who may read the records.
 *
 * @module
 */
import { join } from "node:path";
import { directoryOf, MANIFEST_FILE } from "../checkpoint/checkpoint.ts";
import { type Check, type Finding, FIX_COMMAND } from "./finding.ts";
import { inspectionOf, type Patient, storeOf } from "./patient.ts";

/**
 * The password of `scheme://user:password@host`, up to the last `@` before the path. In a JSON text it ends before a
 * quote or an escape. Masked, it stays `***`.
 */
const IN_AUTHORITY = /\b([a-z][a-z0-9+.-]*:\/\/([^\s"'\\/?#:@]*):)([^\s"'\\/?#]+)(?=@)/gi;
/** In a database's URL also one that holds `/`, `?` or `#`, which nobody escaped: what follows its host is a port, or nothing. */
const IN_DATABASE_URL =
  /\b((?:postgres|postgresql|mysql|mariadb)(?:\+[a-z0-9]+)?:\/\/[^\s"'\\/?#:@]*:)(?!\d{0,5}[/?#,])([^\s"'\\@]+)(?=@)/gi;
/** The value of `?password=...`. */
const IN_PARAMETER = /([?&](?:ssl)?(?:password|passwd|pwd)=)([^\s"'\\&]+)/gi;
/** A port, and what may stand behind it in a text. */
const PORT = /^\d{1,5}(?:[,;|)>\]}].*)?$/;

/** The check. */
export const secretsCheck: Check = {
  area: "secrets",
  needsTables: true,
  examine: async (patient): Promise<Finding[]> => {
    const inspection = inspectionOf(patient);
    const inRows = (await inspection.listUrlTexts()).flatMap((place): Finding[] => {
      const masked = maskedText(place.text);
      if (masked === place.text) return [];
      const where = `${place.table}.${place.column} of ${place.name}`;
      return [{
        area: "secrets",
        severity: "error",
        what: `a password stands in ${where}`,
        cause: "Something else than rlcf wrote it. Whoever reads the records, or a backup of them, knows it.",
        mend: `Change the password; then: ${FIX_COMMAND}`,
        fix: async () => {
          await inspection.replaceText(place, masked);
          return `masked the password in ${where}; backups still hold it, so change it`;
        },
      }];
    });
    return [...inRows, ...await manifestFindings(patient)];
  },
};

/** Manifests are sealed by their hash: what stands in them can only be made worthless. */
async function manifestFindings(patient: Patient): Promise<Finding[]> {
  const root = patient.config.checkpoint.directory;
  const findings: Finding[] = [];
  for (const { policyType, version, stateDictPath } of await storeOf(patient).listPolicyCheckpoints()) {
    if (stateDictPath === null) continue;
    let text: string;
    try {
      text = await Deno.readTextFile(join(directoryOf(root, stateDictPath), MANIFEST_FILE));
    } catch {
      // That it cannot be read is another check's finding.
      continue;
    }
    if (maskedText(text) === text) continue;
    findings.push({
      area: "secrets",
      severity: "error",
      what: `a password stands in ${MANIFEST_FILE} of ${policyType} ${version}`,
      cause: "Something else than rlcf wrote it. The hash of the manifest is on record, so it cannot be masked.",
      mend: "Change the password.",
    });
  }
  return findings;
}

/**
 * The text with the passwords of all URLs in it masked. What may as well be a host with its port, followed by something
 * with an `@`, stays: it would be lost for ever, and a path with an `@` is more likely than a password with a `/`.
 */
export function maskedText(text: string): string {
  return text
    .replaceAll(IN_DATABASE_URL, "$1***")
    .replaceAll(
      IN_AUTHORITY,
      (all, before: string, user: string, password: string) =>
        isHostWithPort(before, user, password) ? all : `${before}***`,
    )
    .replaceAll(IN_PARAMETER, "$1***");
}

/** Users are seldom named like a host, and databases are never asked for like a page. */
function isHostWithPort(before: string, user: string, password: string): boolean {
  return /^(?:https?|wss?|ftp):/i.test(before) && (user.includes(".") || user.toLowerCase() === "localhost") &&
    PORT.test(password);
}
