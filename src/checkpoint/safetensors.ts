/**
 * The safetensors file format (github.com/huggingface/safetensors, "Format"): a little-endian u64 header length, a JSON
 * header `{name: {dtype, shape, data_offsets: [begin, end]}, "__metadata__": {text: text}}` padded with spaces so that
 * the data start at a multiple of 8, then the tensors one after another, little-endian. Only `F32` is written and read.
 *
 * The decoder trusts nothing: it allocates no more than the file is long, plus what the header of at most 16 MiB parses
 * to. It assumes a little-endian machine, which every machine that runs Deno is.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { describe, type JsonObject } from "../base/check.ts";
import { parseJson } from "./json.ts";

/** A float32 array with its shape. */
export interface NamedTensor {
  /** Sizes, outermost first; `[]` for a single number. */
  readonly shape: readonly number[];
  /** The numbers in row-major order; as many as the product of the sizes. */
  readonly data: Float32Array;
}

/** Tensors by name, in the order in which they lie in the file. */
export type TensorMap = Readonly<Record<string, NamedTensor>>;

/** What a safetensors file holds. */
export interface SafetensorsContent {
  /** The tensors, in the order of the header. */
  readonly tensors: TensorMap;
  /** The texts of `__metadata__`; empty when the file has none. */
  readonly metadata: Readonly<Record<string, string>>;
}

const METADATA = "__metadata__";
const MAX_HEADER_BYTES = 16 * 1024 * 1024;
const PREFIX_BYTES = 8;

/**
 * The bytes of a safetensors file.
 *
 * @param tensors written in the order of the object's keys
 * @param metadata texts for the header's `__metadata__`
 * @throws RlcfError `checkpoint` for a shape that does not fit its data, a reserved or ill-formed name, or a header
 * over 16 MiB
 */
export function encodeSafetensors(
  tensors: TensorMap,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const entries: [string, unknown][] = Object.keys(metadata).length === 0 ? [] : [[METADATA, metadata]];
  for (const [key, text] of Object.entries(metadata)) checkName(key, [key, text]);
  let dataBytes = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    if (name === METADATA) cannotEncode(name, "this name is reserved by the format");
    checkName(name, [name]);
    if (!isSizes(shape) || elementCount(shape) !== data.length) {
      cannotEncode(name, `shape [${shape}] does not fit ${data.length} numbers`);
    }
    const begin = dataBytes;
    dataBytes += data.byteLength;
    entries.push([name, { dtype: "F32", shape, data_offsets: [begin, dataBytes] }]);
  }
  const header = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const headerBytes = Math.ceil(header.length / 8) * 8;
  if (headerBytes > MAX_HEADER_BYTES) {
    throw new RlcfError("checkpoint", `cannot write tensors: header of ${headerBytes} bytes, wanted at most 16 MiB`);
  }
  const bytes = new Uint8Array(PREFIX_BYTES + headerBytes + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(headerBytes), true);
  bytes.set(header, PREFIX_BYTES);
  bytes.fill(0x20, PREFIX_BYTES + header.length, PREFIX_BYTES + headerBytes);
  let offset = PREFIX_BYTES + headerBytes;
  for (const { data } of Object.values(tensors)) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    offset += data.byteLength;
  }
  return bytes;
}

/**
 * The tensors and texts in the bytes of a safetensors file. Tensors are copies, aligned and independent of `bytes`.
 *
 * @param where the file, for messages
 * @throws RlcfError `checkpoint` for anything that is not a well-formed file of `F32` tensors that fill the data
 * exactly, without overlap, hole or rest
 */
export function decodeSafetensors(bytes: Uint8Array, where: string): SafetensorsContent {
  const refuse: Refuse = (reason) => {
    throw new RlcfError("checkpoint", `cannot read ${where}: ${reason}`);
  };
  if (bytes.length < PREFIX_BYTES) refuse(`file of ${bytes.length} bytes, wanted at least ${PREFIX_BYTES}`);
  const headerBytes = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  if (headerBytes > MAX_HEADER_BYTES) refuse(`header of ${headerBytes} bytes, wanted at most 16 MiB`);
  const dataStart = PREFIX_BYTES + Number(headerBytes);
  if (dataStart > bytes.length) {
    refuse(`header of ${headerBytes} bytes, but only ${bytes.length - PREFIX_BYTES} bytes follow its length`);
  }
  const header = parseJson(bytes.subarray(PREFIX_BYTES, dataStart), `the header of ${where}`);
  if (!isObject(header)) refuse(`header is ${describe(header)}, wanted an object`);

  const placed = Object.entries(header).filter(([name]) => name !== METADATA)
    .map(([name, entry]) => placeOf(name, entry, refuse));
  checkContiguous(placed, bytes.length - dataStart, refuse);
  const tensors = placed.map(({ name, shape, begin, end }): [string, NamedTensor] => {
    // The data may start at any byte of the file, and a Float32Array only at a multiple of 4: hence a copy.
    const copy = new Uint8Array(end - begin);
    copy.set(bytes.subarray(dataStart + begin, dataStart + end));
    return [name, { shape, data: new Float32Array(copy.buffer) }];
  });
  return { tensors: Object.fromEntries(tensors), metadata: metadataOf(header[METADATA], refuse) };
}

type Refuse = (reason: string) => never;

/** A tensor's header entry after its own checks: offsets in bytes from the start of the data. */
interface Place {
  readonly name: string;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function placeOf(name: string, entry: unknown, refuse: Refuse): Place {
  const label = `tensor ${quoted(name)}`;
  if (!name.isWellFormed()) refuse(`${label}: name is not valid Unicode`);
  if (!isObject(entry)) refuse(`${label}: found ${describe(entry)}, wanted an object`);
  if (entry.dtype !== "F32") refuse(`${label}: dtype is ${describe(entry.dtype)}, wanted F32`);
  const shape = entry.shape;
  if (!isSizes(shape)) refuse(`${label}: shape must be an array of whole numbers >= 0`);
  const offsets = entry.data_offsets;
  if (!isSizes(offsets) || offsets.length !== 2) {
    refuse(`${label}: data_offsets must be two whole numbers >= 0`);
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end) refuse(`${label}: begins at byte ${begin}, after its end ${end}`);
  if (begin % 4 !== 0) refuse(`${label}: begins at byte ${begin}, wanted a multiple of 4`);
  const count = elementCount(shape);
  if (count === undefined) refuse(`${label}: shape has more elements than a file can hold`);
  if (count * 4 !== end - begin) refuse(`${label}: ${end - begin} bytes of data, wanted ${count * 4} for its shape`);
  return { name, shape, begin, end };
}

/** Throws unless the tensors, in the order of their offsets, fill the data from the first byte to the last. */
function checkContiguous(placed: readonly Place[], dataBytes: number, refuse: Refuse): void {
  let filled = 0;
  for (const { name, begin, end } of placed.toSorted((a, b) => a.begin - b.begin || a.end - b.end)) {
    const label = `tensor ${quoted(name)}`;
    if (begin < filled) refuse(`${label}: begins at byte ${begin} and overlaps the one that ends at ${filled}`);
    if (begin > filled) refuse(`${label}: begins at byte ${begin} and leaves a hole after ${filled}`);
    filled = end;
  }
  if (filled !== dataBytes) refuse(`the tensors end at byte ${filled}, but the file has ${dataBytes} bytes of data`);
}

function metadataOf(value: unknown, refuse: Refuse): Record<string, string> {
  if (value === undefined) return {};
  if (!isObject(value)) refuse(`${METADATA} is ${describe(value)}, wanted an object`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") refuse(`${METADATA} ${quoted(key)}: found ${describe(text)}, wanted a text`);
  }
  return value as Record<string, string>;
}

/** The product of the sizes; undefined when it is too large to be exact. */
function elementCount(shape: readonly number[]): number | undefined {
  let count = 1;
  for (const size of shape) {
    count *= size;
    if (!Number.isSafeInteger(count * 4)) return undefined;
  }
  return count;
}

function isSizes(value: unknown): value is readonly number[] {
  return Array.isArray(value) &&
    value.every((size) => Number.isSafeInteger(size) && size >= 0 && !Object.is(size, -0));
}

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A name as part of a message: quoted, escaped, never longer than a line. */
function quoted(name: string): string {
  return JSON.stringify(name.length > 80 ? `${name.slice(0, 80)}...` : name);
}

function checkName(name: string, texts: readonly string[]): void {
  if (name === "__proto__") cannotEncode(name, "this name is not allowed");
  if (!texts.every((text) => text.isWellFormed())) cannotEncode(name, "the text is not valid Unicode");
}

function cannotEncode(name: string, reason: string): never {
  throw new RlcfError("checkpoint", `cannot write tensor or text ${quoted(name)}: ${reason}`);
}
