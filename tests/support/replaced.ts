/**
 * Tampering with what a platform object does.
 *
 * @module
 */

/** Replaces a method until the result is disposed of. */
export function replaced<T extends object, K extends keyof T>(target: T, name: K, method: T[K]): Disposable {
  const original = target[name];
  target[name] = method;
  return { [Symbol.dispose]: () => void (target[name] = original) };
}
