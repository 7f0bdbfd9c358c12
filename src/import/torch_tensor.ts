/**
 * Tensors as a torch checkpoint describes them: a storage (a file of the archive), and how a tensor lies in it. The
 * numbers are read only when somebody asks for them.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import type { NamedTensor } from "../checkpoint/safetensors.ts";
import { numpyGlobals } from "./numpy_scalar.ts";
import { PickleGlobal, PickleObject, type PickleValue, type PickleWorld } from "./pickle_values.ts";
import type { TorchArchive } from "./torch_zip.ts";

/** A kind of number: its size, and how one is read from little-endian bytes. */
interface ElementType {
  readonly bytes: number;
  readonly read: (view: DataView, at: number) => number;
}

/** torch's storages by class. A float64 is rounded to float32 when it is used; int64 beyond 2^53 is rounded too. */
const STORAGES: Readonly<Record<string, ElementType>> = {
  "torch.FloatStorage": { bytes: 4, read: (view, at) => view.getFloat32(at, true) },
  "torch.DoubleStorage": { bytes: 8, read: (view, at) => view.getFloat64(at, true) },
  "torch.HalfStorage": { bytes: 2, read: (view, at) => view.getFloat16(at, true) },
  "torch.LongStorage": { bytes: 8, read: (view, at) => Number(view.getBigInt64(at, true)) },
};

/** Dimensions of a tensor at most; a network's have two. */
const MAX_RANK = 8;

class Storage extends PickleObject {
  readonly type: ElementType;
  /** Name of its file below `data/`. */
  readonly key: string;
  /** Numbers in it. */
  readonly length: number;

  constructor(type: ElementType, key: string, length: number) {
    super();
    [this.type, this.key, this.length] = [type, key, length];
  }
}

/** A tensor whose numbers lie in a storage. */
export class TorchTensor extends PickleObject {
  readonly #storage: Storage;
  readonly #offset: number;
  readonly #strides: readonly number[];
  /** Sizes, outermost first. */
  readonly shape: readonly number[];

  /** A tensor that is known to lie in its storage; offset and strides are in numbers. */
  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    super();
    this.#storage = storage;
    this.#offset = offset;
    this.#strides = strides;
    this.shape = shape;
  }

  /** How many numbers it has. */
  get length(): number {
    return elementCount(this.shape);
  }

  /** The numbers as float32, row-major. */
  read(archive: TorchArchive, prefix: string, where: string): NamedTensor {
    const { type, key, length } = this.#storage;
    const name = `${prefix}data/${key}`;
    const bytes = archive.read(name);
    if (bytes === undefined) throw damaged(where, `the numbers of a tensor are missing, wanted the entry ${name}`);
    if (bytes.length !== length * type.bytes) {
      throw damaged(where, `${name} has ${bytes.length} bytes, wanted ${length * type.bytes}`);
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const data = new Float32Array(this.length);
    const index = this.shape.map(() => 0);
    for (let i = 0; i < data.length; i++) {
      const place = index.reduce((sum, position, axis) => sum + position * this.#strides[axis]!, this.#offset);
      data[i] = type.read(view, place * type.bytes);
      for (let axis = index.length - 1; axis >= 0; axis--) {
        if (++index[axis]! < this.shape[axis]!) break;
        index[axis] = 0;
      }
    }
    return { shape: this.shape, data };
  }
}

/** What a pickle of `torch.save` may name: dicts, tensors, the storages they lie in, and NumPy's single numbers. */
export function torchWorld(where: string): PickleWorld {
  const globals = [
    new PickleGlobal("collections.OrderedDict", (args) => {
      if (args.length > 0) throw damaged(where, "an ordered dict is built from something");
      return new Map();
    }),
    new PickleGlobal("torch._utils._rebuild_tensor_v2", (args) => tensorFrom(args, where)),
    // A parameter is its tensor and what training needs besides.
    new PickleGlobal("torch._utils._rebuild_parameter", ([data]) => {
      if (!(data instanceof TorchTensor)) throw damaged(where, "a parameter is no tensor");
      return data;
    }),
    ...numpyGlobals(where),
    ...Object.keys(STORAGES).map((name) => new PickleGlobal(name)),
  ];
  return {
    globals: new Map(globals.map((global) => [global.name, global])),
    persistent: (id) => storageFrom(id, where),
  };
}

/** `("storage", class, key, device, length)`. */
function storageFrom(id: PickleValue, where: string): Storage {
  const [kind, type, key, device, length] = Array.isArray(id) ? id as readonly PickleValue[] : [];
  const known = type instanceof PickleGlobal ? STORAGES[type.name] : undefined;
  if (
    kind !== "storage" || known === undefined || typeof key !== "string" || !/^\d{1,9}$/.test(key) ||
    typeof device !== "string" || !isCount(length)
  ) throw damaged(where, `a storage is not described as torch does it, wanted one of ${Object.keys(STORAGES)}`);
  return new Storage(known, key, length);
}

/** `(storage, offset, sizes, strides, requires_grad, hooks)`. */
function tensorFrom(args: readonly PickleValue[], where: string): TorchTensor {
  const [storage, offset, sizes, strides] = args;
  if (
    !(storage instanceof Storage) || !isCount(offset) || !isCounts(sizes) || !isCounts(strides) ||
    sizes.length !== strides.length || sizes.length > MAX_RANK
  ) throw damaged(where, "a tensor is not described as torch does it");
  const count = elementCount(sizes);
  const last = sizes.reduce((sum, size, axis) => sum + (size - 1) * strides[axis]!, offset);
  // A stride of 0 repeats numbers without end: no tensor may hold more of them than its storage.
  if (count > storage.length || (count > 0 && last >= storage.length)) {
    throw damaged(where, `a tensor of shape [${sizes}] does not fit its storage of ${storage.length} numbers`);
  }
  return new TorchTensor(storage, offset, sizes, strides);
}

/** The product of the sizes. */
function elementCount(sizes: readonly number[]): number {
  return sizes.reduce((product, size) => product * size, 1);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && value as number >= 0;
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.every(isCount);
}

function damaged(where: string, reason: string): RlcfError {
  return new RlcfError("checkpoint", `cannot read ${where}: ${reason}`);
}
