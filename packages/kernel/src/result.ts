// An expected "no" is a value (Result); a bug or a broken dependency is thrown (Fault).

export type Ok<T> = { readonly ok: true; readonly value: T }
export type Err<E> = { readonly ok: false; readonly error: E }
export type Result<T, E> = Ok<T> | Err<E>

export const ok = <T>(value: T): Ok<T> => ({ ok: true, value })
export const err = <E>(error: E): Err<E> => ({ ok: false, error })

/** A broken dependency or a bug. `code` is what the caller may see, `message` goes to the operational log only. */
export class Fault extends Error {
  readonly code: string
  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Fault'
    this.code = code
  }
}

export function assertNever(value: never): never {
  throw new Fault('INTERNAL', `unexpected value: ${JSON.stringify(value)}`)
}
