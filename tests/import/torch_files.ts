/**
 * Torch checkpoints for tests, written from the format's description and in any broken form that a test wants.
 *
 * @module
 */
import { crc32 } from "node:zlib";

/** How an archive is to be wrong. */
export interface ZipFlaws {
  readonly method?: number;
  readonly flags?: number;
  readonly crc?: number;
  /** Changes the directory's entry of index i before it is written. */
  readonly entry?: (i: number, view: DataView) => void;
  readonly comment?: Uint8Array;
}

/** A ZIP archive of stored entries, as `torch.save` writes it. */
export function zipOf(
  entries: readonly (readonly [name: string, content: Uint8Array])[],
  flaws: ZipFlaws = {},
): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  for (const [i, [name, content]] of entries.entries()) {
    const bytes = new TextEncoder().encode(name);
    const crc = flaws.crc ?? crc32(content);
    const local = new DataView(new ArrayBuffer(30));
    local.setUint32(0, 0x04034b50, true);
    local.setUint16(8, flaws.method ?? 0, true);
    local.setUint16(26, bytes.length, true);
    const central = new DataView(new ArrayBuffer(46));
    central.setUint32(0, 0x02014b50, true);
    central.setUint16(8, flaws.flags ?? 0x808, true);
    central.setUint16(10, flaws.method ?? 0, true);
    central.setUint32(16, crc, true);
    central.setUint32(20, content.length, true);
    central.setUint32(24, content.length, true);
    central.setUint16(28, bytes.length, true);
    central.setUint32(42, offset, true);
    flaws.entry?.(i, central);
    parts.push(new Uint8Array(local.buffer), bytes, content);
    directory.push(new Uint8Array(central.buffer), bytes);
    offset += 30 + bytes.length + content.length;
  }
  const size = directory.reduce((sum, part) => sum + part.length, 0);
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, 0x06054b50, true);
  end.setUint16(8, entries.length, true);
  end.setUint16(10, entries.length, true);
  end.setUint32(12, size, true);
  end.setUint32(16, offset, true);
  return joined([...parts, ...directory, new Uint8Array(end.buffer), flaws.comment ?? new Uint8Array()]);
}

/** A name that a pickle calls with arguments. */
export class Call {
  constructor(readonly module: string, readonly name: string, readonly args: readonly unknown[]) {}
}
/** A name that a pickle mentions. */
export class Name {
  constructor(readonly module: string, readonly name: string) {}
}
/** A tuple; an array is a list. */
export class Tuple {
  constructor(readonly values: readonly unknown[]) {}
}
/** What a persistent id stands for. */
export class Persistent {
  constructor(readonly id: unknown) {}
}

/** A pickle of protocol 2 without memo. Numbers that are not whole are floats. */
export function pickleOf(value: unknown): Uint8Array<ArrayBuffer> {
  const parts: Uint8Array[] = [Uint8Array.of(0x80, 2)];
  const push = (...bytes: number[]): void => void parts.push(Uint8Array.from(bytes));
  const line = (text: string): void => void parts.push(new TextEncoder().encode(`${text}\n`));
  const write = (part: unknown): void => {
    if (part === null || part === undefined) return push(0x4e);
    if (typeof part === "boolean") return push(part ? 0x88 : 0x89);
    if (typeof part === "string") {
      const bytes = new TextEncoder().encode(part);
      push(0x58, bytes.length & 255, bytes.length >> 8 & 255, bytes.length >> 16 & 255, bytes.length >>> 24);
      return void parts.push(bytes);
    }
    if (typeof part === "number") {
      const view = new DataView(new ArrayBuffer(8));
      if (Number.isInteger(part) && Math.abs(part) < 2 ** 31) {
        view.setInt32(0, part, true);
        push(0x4a);
        return void parts.push(new Uint8Array(view.buffer, 0, 4));
      }
      view.setFloat64(0, part);
      push(0x47);
      return void parts.push(new Uint8Array(view.buffer));
    }
    if (part instanceof Name) {
      push(0x63);
      line(part.module);
      return line(part.name);
    }
    if (part instanceof Call) {
      write(new Name(part.module, part.name));
      write(new Tuple(part.args));
      return push(0x52);
    }
    if (part instanceof Persistent) {
      write(part.id);
      return push(0x51);
    }
    if (part instanceof Tuple || Array.isArray(part)) {
      const values: readonly unknown[] = part instanceof Tuple ? part.values : part;
      if (Array.isArray(part)) push(0x5d);
      push(0x28);
      for (const entry of values) write(entry);
      return push(part instanceof Tuple ? 0x74 : 0x65);
    }
    const items = part instanceof Map ? [...part] : Object.entries(part as object);
    push(0x7d, 0x28);
    for (const [key, field] of items) {
      write(key);
      write(field);
    }
    push(0x75);
  };
  write(value);
  push(0x2e);
  return joined(parts);
}

/** A tensor in a pickle. */
export function tensorOf(
  key: string,
  length: number,
  shape: readonly number[],
  options: { readonly storage?: string; readonly offset?: number; readonly strides?: readonly number[] } = {},
): Call {
  const rowMajor = shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1));
  const storage = new Name("torch", options.storage ?? "FloatStorage");
  return new Call("torch._utils", "_rebuild_tensor_v2", [
    new Persistent(new Tuple(["storage", storage, key, "cpu", length])),
    options.offset ?? 0,
    new Tuple(shape),
    new Tuple(options.strides ?? rowMajor),
    false,
    new Call("collections", "OrderedDict", []),
  ]);
}

/** A checkpoint file: `value` pickled, and the storages by key. */
export function torchFile(
  value: unknown,
  storages: Readonly<Record<string, ArrayBufferView>>,
): Uint8Array<ArrayBuffer> {
  return zipOf([
    ["x/data.pkl", pickleOf(value)],
    ...Object.entries(storages).map(([key, data]) =>
      [`x/data/${key}`, new Uint8Array(data.buffer, data.byteOffset, data.byteLength)] as const
    ),
    ["x/version", new TextEncoder().encode("3\n")],
  ]);
}

/** A network 2-2-1-2 whose weights count up from 0.5. */
export function smallNetwork(): { state: Record<string, Call>; storages: Record<string, Float32Array> } {
  const shapes = {
    "0.weight": [2, 2],
    "0.bias": [2],
    "3.weight": [1, 2],
    "3.bias": [1],
    "6.weight": [2, 1],
    "6.bias": [2],
  };
  const state: Record<string, Call> = {};
  const storages: Record<string, Float32Array> = {};
  for (const [i, [name, shape]] of Object.entries(shapes).entries()) {
    const length = shape.reduce((product, size) => product * size, 1);
    state[name] = tensorOf(String(i), length, shape);
    storages[String(i)] = Float32Array.from({ length }, (_, j) => i + j / 4 + 0.5);
  }
  return { state, storages };
}

/** The parts one after another. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
