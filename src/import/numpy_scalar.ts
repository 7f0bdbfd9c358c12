/**
 * Single numbers of NumPy: `np.mean(rewards)` is one, and the original's metrics are full of them. In a pickle each is
 * `scalar(dtype("f8"), bytes)`, its bytes a text in Latin-1 where the protocol knows no bytes.
 *
 * @module
 */
import { RlcfError } from "../base/errors.ts";
import { PickleGlobal, PickleObject, type PickleValue } from "./pickle_values.ts";

/** How a number is read, by NumPy's code for its type. */
const READERS: Readonly<Record<string, (view: DataView) => number | boolean>> = {
  b1: (view) => view.getUint8(0) !== 0,
  i1: (view) => view.getInt8(0),
  i2: (view) => view.getInt16(0, true),
  i4: (view) => view.getInt32(0, true),
  i8: (view) => Number(view.getBigInt64(0, true)),
  f2: (view) => view.getFloat16(0, true),
  f4: (view) => view.getFloat32(0, true),
  f8: (view) => view.getFloat64(0, true),
};

/** The longest number. A pickle may name one long text as the bytes of many numbers; none is copied. */
const MAX_BYTES = 8;

/** A type of number. */
class NumberType extends PickleObject {
  readonly code: string;

  constructor(code: string) {
    super();
    this.code = code;
  }

  /** `(version, byte order, ...)`. */
  override build(state: PickleValue): string | undefined {
    const order: unknown = Array.isArray(state) ? state[1] : undefined;
    return order === "<" || order === "|" || order === "=" ? undefined : "a number is not little-endian";
  }
}

/**
 * The names with which a pickle builds numbers of NumPy.
 *
 * @param where the file, for messages
 */
export function numpyGlobals(where: string): PickleGlobal[] {
  const refuse = (reason: string): never => {
    throw new RlcfError("checkpoint", `cannot read ${where}: ${reason}`);
  };
  const scalar = ([type, bytes]: readonly PickleValue[]): PickleValue => {
    const code = type instanceof NumberType ? type.code : "";
    if (!(bytes instanceof Uint8Array) || bytes.length !== Number(code.slice(1))) {
      return refuse("a number of NumPy is not described as NumPy does it");
    }
    return READERS[code]!(new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  };
  return [
    new PickleGlobal("numpy.dtype", ([code]) => {
      if (typeof code !== "string" || !Object.hasOwn(READERS, code)) {
        return refuse(
          `found a number of NumPy's type ${JSON.stringify(code)?.slice(0, 40)}, wanted ${Object.keys(READERS)}`,
        );
      }
      return new NumberType(code);
    }),
    new PickleGlobal("numpy.core.multiarray.scalar", scalar),
    new PickleGlobal("numpy._core.multiarray.scalar", scalar),
    new PickleGlobal("_codecs.encode", ([text, encoding]) => {
      if (typeof text !== "string" || encoding !== "latin1") return refuse("bytes are not written as Latin-1");
      if (text.length > MAX_BYTES) {
        return refuse(`found a number of NumPy with ${text.length} bytes, wanted at most ${MAX_BYTES}`);
      }
      const codes = Array.from(text, (letter) => letter.codePointAt(0)!);
      return codes.every((code) => code < 256) ? Uint8Array.from(codes) : refuse("bytes are not written as Latin-1");
    }),
  ];
}
