/**
 * `manifest.json`: what a checkpoint is, where it came from, and the seal on its files.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  describe,
  expectNumber,
  expectObject,
  expectText,
  expectTimestamp,
  type JsonObject,
  unwanted,
} from "../base/check.ts";
import { RlcfError } from "../base/errors.ts";
import { parseJson, stringifyExactly } from "./json.ts";

/** The size and hash that a file must have. */
export interface FileSeal {
  /** SHA-256 of the file, 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  /** Length of the file in bytes. */
  readonly bytes: number;
}

/** The engine that trained a checkpoint; resuming bit for bit needs the same one. */
export interface EngineUsed {
  /** Name of the backend, such as `webgpu`. */
  readonly backend: string;
  /** The device in words. */
  readonly device: string;
}

/** The content of a manifest. On disk the names are in snake_case, with `"format": 1` in front. */
export interface Manifest {
  /** `gating` or `react`. */
  readonly policyType: string;
  /** The version, such as `v1.0.2` or `v1.0.3-ep.300`. */
  readonly version: string;
  /** The version that training started from; null when it started from seeded weights. */
  readonly parentVersion: string | null;
  /** When it was published, ISO 8601 in UTC. */
  readonly createdAt: string;
  /** The training session that made it; null when none did (an import, say). */
  readonly sessionId: string | null;
  /** What it was trained on. */
  readonly engine: EngineUsed;
  /** Sizes of the network and the names of its outputs: what building the policy again needs. */
  readonly network: JsonObject;
  /** The effective configuration of the session. */
  readonly config: JsonObject;
  /** What the session measured. Numbers that are not finite are stored as null. */
  readonly metrics: JsonObject;
  /** The sealed files by name. */
  readonly files: Readonly<Record<string, FileSeal>>;
}

const FORMAT = 1;

/** SHA-256 of some bytes as 64 hexadecimal digits. Not by `crypto.subtle`, which copies the bytes first. */
export function sha256Hex(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The seal of a file with the given content. */
export function sealOf(bytes: Uint8Array): FileSeal {
  return { sha256: sha256Hex(bytes), bytes: bytes.length };
}

/**
 * The bytes of `manifest.json`: indented, because people read it.
 *
 * @throws RlcfError `checkpoint` for a number in `network` that is not finite
 */
export function encodeManifest(manifest: Manifest): Uint8Array<ArrayBuffer> {
  const fields = {
    format: FORMAT,
    policy_type: manifest.policyType,
    version: manifest.version,
    parent_version: manifest.parentVersion,
    created_at: manifest.createdAt,
    session_id: manifest.sessionId,
    engine: { backend: manifest.engine.backend, device: manifest.engine.device },
    network: JSON.parse(stringifyExactly(manifest.network, "the manifest's network")),
    config: manifest.config,
    metrics: manifest.metrics,
    files: manifest.files,
  };
  return new TextEncoder().encode(`${JSON.stringify(fields, null, 2)}\n`);
}

/**
 * The manifest in the bytes of `manifest.json`. Fields it does not know are ignored, so that a later rlcf can add some
 * without a new format number.
 *
 * @param where the file, for messages
 * @throws RlcfError `checkpoint` for anything but a complete manifest of format 1
 */
export function decodeManifest(bytes: Uint8Array, where: string): Manifest {
  const value = parseJson(bytes, where);
  try {
    return manifestOf(expectObject(value, where), where);
  } catch (thrown) {
    if (!(thrown instanceof RlcfError)) throw thrown;
    throw new RlcfError("checkpoint", `cannot read the manifest: ${thrown.message}`, { cause: thrown });
  }
}

function manifestOf(fields: JsonObject, where: string): Manifest {
  if (fields.format !== FORMAT) {
    throw new RlcfError(
      "checkpoint",
      `${where}: format is ${describe(fields.format)}, wanted ${FORMAT}; a newer rlcf may have written it`,
    );
  }
  const at = (name: string): string => `${where}: ${name}`;
  const text = (name: string): string => expectText(fields[name], at(name));
  const textOrNull = (name: string): string | null => fields[name] === null ? null : text(name);
  const object = (name: string): JsonObject => expectObject(fields[name], at(name));
  const engine = object("engine");
  return {
    policyType: text("policy_type"),
    version: text("version"),
    parentVersion: textOrNull("parent_version"),
    createdAt: expectTimestamp(fields.created_at, at("created_at")),
    sessionId: textOrNull("session_id"),
    engine: {
      backend: expectText(engine.backend, at("engine.backend")),
      device: expectText(engine.device, at("engine.device"), 1000),
    },
    network: object("network"),
    config: object("config"),
    metrics: object("metrics"),
    files: Object.fromEntries(
      Object.entries(object("files")).map(([name, seal]) => [name, sealFrom(name, seal, at(`files.${name}`))]),
    ),
  };
}

function sealFrom(name: string, value: unknown, where: string): FileSeal {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name)) unwanted(name, where, "a plain file name");
  const seal = expectObject(value, where);
  const sha256 = expectText(seal.sha256, `${where}.sha256`);
  if (!/^[0-9a-f]{64}$/.test(sha256)) unwanted(sha256, `${where}.sha256`, "64 lower-case hexadecimal digits");
  const bytes = expectNumber(seal.bytes, `${where}.bytes`, 0);
  if (!Number.isSafeInteger(bytes)) unwanted(bytes, `${where}.bytes`, "a whole number");
  return { sha256, bytes };
}
