/**
 * A checkpoint that the Python original saved with torch: its weights, and what the file says about them. Read without
 * Python and without running anything of the file.
 *
 * Three forms are known: the training script's (`state_dict`, `version`, `config`, `metrics`), the trainer's own
 * (`policy_state_dict`, `baseline`, `reward_history`), and a bare state dict.
 *
 * @module
 */
import type { JsonObject } from "../base/check.ts";
import { messageOf, RlcfError } from "../base/errors.ts";
import { parseVersion } from "../checkpoint/version.ts";
import type { StateDict } from "../policy/state_dict.ts";
import { readPickle } from "./pickle.ts";
import type { PickleValue } from "./pickle_values.ts";
import { TorchTensor, torchWorld } from "./torch_tensor.ts";
import { readTorchZip, type TorchArchive } from "./torch_zip.ts";

/** What a torch checkpoint holds. */
export interface TorchCheckpoint {
  /** The weights by torch's names, float32. */
  readonly state: StateDict;
  /** The version that the file names, or null. */
  readonly version: string | null;
  /** The policy type that the file names, or null. */
  readonly policyType: string | null;
  /** When the original saved it, as it stands in the file, or null. */
  readonly savedAt: string | null;
  /** What the original was configured with; numbers that are not finite are null. */
  readonly config: JsonObject;
  /** What the original measured; likewise. */
  readonly metrics: JsonObject;
}

/** Larger files are no gating policy: the largest network that rlcf can configure for 4096 inputs has a quarter of it. */
export const MAX_FILE_BYTES = 512 * 1024 * 1024;
/** Where the original puts a state dict. */
const STATE_KEYS = ["state_dict", "policy_state_dict", "mlp_state_dict"];
/** Values of configuration and metrics; a pickle of a few bytes can describe more than any memory holds. */
const MAX_VALUES = 10_000;
const MAX_DEPTH = 16;

/**
 * Reads a checkpoint file.
 *
 * @throws RlcfError `checkpoint` if it cannot be read, is too large, damaged, or holds anything but plain values and
 * tensors
 */
export async function readTorchCheckpoint(path: string): Promise<TorchCheckpoint> {
  return parseTorchCheckpoint(await contentOf(path), path);
}

/**
 * Reads the bytes of a checkpoint file.
 *
 * @param where the file, for messages
 */
export function parseTorchCheckpoint(bytes: Uint8Array<ArrayBuffer>, where: string): TorchCheckpoint {
  const refuse = (reason: string, hint?: string): never => {
    throw new RlcfError("checkpoint", `cannot read ${where}: ${reason}`, hint === undefined ? {} : { hint });
  };
  if (bytes[0] === 0x80) {
    refuse(
      "found torch's format from before version 1.6, which is no ZIP archive",
      "Save it again in Python: torch.save(torch.load(FILE), FILE)",
    );
  }
  const archive = readTorchZip(bytes, where);
  const pickles = archive.names.filter((name) => /^(?:[^/]+\/)?data\.pkl$/.test(name));
  if (pickles.length !== 1) refuse(`found ${pickles.length} entries data.pkl, wanted one, as torch.save writes it`);
  const prefix = pickles[0]!.slice(0, -"data.pkl".length);
  const order = archive.read(`${prefix}byteorder`);
  if (order !== undefined && new TextDecoder().decode(order) !== "little") {
    refuse("its numbers are not little-endian", "Load and save it again on another machine.");
  }
  const root = readPickle(archive.read(pickles[0]!)!, torchWorld(where), where);
  if (!(root instanceof Map)) return refuse("found no dict at its top, wanted a checkpoint or a state dict");
  const top = root as ReadonlyMap<string | number, PickleValue>;
  const text = (key: string): string | null => {
    const value = top.get(key);
    return typeof value === "string" && value !== "" ? value : null;
  };
  return {
    state: stateOf(top, archive, prefix, bytes.length, where),
    version: text("version"),
    policyType: text("policy_type"),
    savedAt: text("timestamp"),
    config: plainObject(top.get("config") ?? top.get("policy_config"), `config of ${where}`),
    metrics: plainObject(top.get("metrics"), `metrics of ${where}`),
  };
}

/** Weights to register as a version, as `registerPolicy` takes them. */
export interface TorchRegistration {
  /** By torch's names. */
  readonly state: StateDict;
  /** The version to give them, or null for the next free one. */
  readonly version: string | null;
  /** For the row. */
  readonly config: JsonObject;
  /** For the row; `imported_from` says the file and when it was saved. */
  readonly metrics: JsonObject;
  /** Episodes it was trained on, as the original counted them; 0 where it does not say. */
  readonly episodes: number;
}

/**
 * What of a checkpoint becomes a version.
 *
 * @param file the file's name, which may hold the version: `gating_v1.0.1.pt`
 * @param wanted `policyType`: the configured one; `version`: the one to take instead of the file's
 * @throws RlcfError `usage` for a policy of another type, or a version that cannot be used here
 */
export function registrationOf(
  checkpoint: TorchCheckpoint,
  file: string,
  wanted: { readonly policyType: string; readonly version?: string | undefined },
): TorchRegistration {
  const { state, config, metrics, savedAt, policyType } = checkpoint;
  if (wanted.policyType !== "gating" || (policyType !== null && policyType !== "gating")) {
    const found = policyType === null || policyType === "gating" ? wanted.policyType : policyType;
    throw new RlcfError("usage", `cannot import ${file}: found policy type ${found}, wanted gating`);
  }
  const named = checkpoint.version ?? /_(v\d[^_]*)\.[A-Za-z]+$/.exec(file)?.[1] ?? null;
  if (wanted.version === undefined && named !== null && parseVersion(named) === undefined) {
    throw new RlcfError(
      "usage",
      `cannot import ${file}: found version ${JSON.stringify(named)}, wanted one such as v1.0.2`,
      {
        hint: "Name another one: --policy-version v1.0.2",
      },
    );
  }
  const episodes = metrics.num_episodes;
  return {
    state,
    version: wanted.version ?? named,
    config,
    metrics: { ...metrics, imported_from: { file, saved_at: savedAt } },
    episodes: typeof episodes === "number" && Number.isInteger(episodes) && episodes >= 0 ? episodes : 0,
  };
}

async function contentOf(path: string): Promise<Uint8Array<ArrayBuffer>> {
  try {
    using file = await Deno.open(path);
    const { size, isFile } = await file.stat();
    if (!isFile) throw new Error("found no plain file");
    if (size > MAX_FILE_BYTES) throw new Error(`found ${size} bytes, wanted at most ${MAX_FILE_BYTES}`);
    const bytes = new Uint8Array(size);
    for (let filled = 0; filled < size;) {
      const read = await file.read(bytes.subarray(filled));
      if (read === null) throw new Error("it became shorter while it was read");
      filled += read;
    }
    return bytes;
  } catch (thrown) {
    const cause = thrown instanceof Deno.errors.NotFound ? "there is no such file" : messageOf(thrown);
    throw new RlcfError("checkpoint", `cannot read ${path}: ${cause}`, { cause: thrown });
  }
}

function stateOf(
  top: ReadonlyMap<string | number, PickleValue>,
  archive: TorchArchive,
  prefix: string,
  fileBytes: number,
  where: string,
): StateDict {
  const key = STATE_KEYS.find((name) => top.get(name) instanceof Map);
  const state = key === undefined ? top : top.get(key) as ReadonlyMap<string | number, PickleValue>;
  const tensors = [...state].map(([name, tensor]) => {
    // `mlp.0.weight` where the whole module was saved, `0.weight` where only its layers were.
    const [, short] = /^(?:[A-Za-z_]\w*\.)?(\d+\.(?:weight|bias))$/.exec(String(name)) ?? [];
    if (short === undefined || !(tensor instanceof TorchTensor)) {
      const found = JSON.stringify(String(name).slice(0, 80));
      throw new RlcfError(
        "checkpoint",
        `cannot read ${where}: found ${found} among the weights, wanted 0.weight, 0.bias, ...`,
        {
          hint: `Weights are looked for under ${STATE_KEYS.join(", ")}, or at the top of the file.`,
        },
      );
    }
    return [short, tensor] as const;
  });
  if (new Set(tensors.map(([name]) => name)).size !== tensors.length) {
    throw new RlcfError("checkpoint", `cannot read ${where}: found two networks, wanted the weights of one`);
  }
  // Tensors may be views of one storage; as copies they must not outgrow the file, where a number has two bytes or more.
  const count = tensors.reduce((sum, [, tensor]) => sum + tensor.length, 0);
  if (2 * count > fileBytes) {
    throw new RlcfError("checkpoint", `cannot read ${where}: its weights share their numbers, wanted each on its own`);
  }
  return Object.fromEntries(tensors.map(([name, tensor]) => [name, tensor.read(archive, prefix, where)]));
}

function plainObject(value: PickleValue | undefined, where: string): JsonObject {
  if (!(value instanceof Map)) return {};
  let left = MAX_VALUES;
  const plain = (part: PickleValue, depth: number): unknown => {
    if (left-- === 0 || depth > MAX_DEPTH) {
      throw new RlcfError("checkpoint", `cannot read the ${where}: it is nested too deep or too large`);
    }
    if (part instanceof Map) {
      return Object.fromEntries(
        [...part as ReadonlyMap<string | number, PickleValue>].filter(([key]) => key !== "__proto__")
          .map(([key, field]) => [String(key), plain(field, depth + 1)]),
      );
    }
    if (Array.isArray(part)) return part.map((entry: PickleValue) => plain(entry, depth + 1));
    if (typeof part === "number") return Number.isFinite(part) ? part : null;
    if (typeof part === "string") return part.replaceAll("\0", "").toWellFormed();
    return typeof part === "boolean" ? part : null;
  };
  return plain(value, 0) as JsonObject;
}
