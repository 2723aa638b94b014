// Reads a request's body: JSON, uncompressed, bounded in size and time, parsed once and strictly. Nobody parses it again.
import type http from 'node:http'
import { isJsonContentType } from '@modelcontextprotocol/server'
import type { Input } from './call.ts'
import { err, ok, type Result } from '@bailiwick/kernel/result'
import { parseStrictJson, type JsonRefusal } from '@bailiwick/kernel/strict-json'
import { RPC_INVALID_REQUEST, unreadable, type Unreadable } from './unreadable.ts'

export type BodyLimits = { readonly bytes: number; readonly ms: number }

const WHY: Readonly<Record<JsonRefusal['reason'], string>> = {
  syntax: 'The body is not valid JSON.',
  duplicate_key: 'An object in the body names the same key twice.',
  too_deep: 'The body is nested too deep.',
  forbidden_key: 'The body has a key that no input has.',
  encoding: 'The body is not valid UTF-8.',
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The parsed body; `undefined` when there was none. */
export async function readJson(
  request: http.IncomingMessage,
  limits: BodyLimits,
): Promise<Result<Input | undefined, Unreadable>> {
  // A compressed body costs us more to read than its sender to send; no client of ours needs one.
  if ((request.headers['content-encoding'] ?? 'identity') !== 'identity')
    return err(unreadable('content_encoding', 'Send the body uncompressed.', { status: 415, hangUp: true }))
  const body = await readBytes(request, limits)
  if (!body.ok) return body
  if (body.value.length === 0) return ok(undefined)
  const type = request.headers['content-type'] ?? null
  if (!isJsonContentType(type) || /charset *= *(?!"?utf-8"?\s*(;|$))/i.test(type ?? ''))
    return err(unreadable('content_type', 'Send Content-Type: application/json.', { status: 415 }))
  let text: string
  try {
    text = utf8.decode(body.value)
  } catch {
    return err(unreadable('encoding', WHY.encoding))
  }
  const parsed = parseStrictJson(text)
  if (!parsed.ok) return err(unreadable(parsed.error.reason, WHY[parsed.error.reason]))
  // One request, one decision, one entry: a batch would hide calls behind each other.
  if (Array.isArray(parsed.value))
    return err(
      unreadable('batch', 'Batches are not served: send one object.', { rpc: { id: null, code: RPC_INVALID_REQUEST } }),
    )
  return ok(parsed.value)
}

function readBytes(request: http.IncomingMessage, limits: BodyLimits): Promise<Result<Buffer, Unreadable>> {
  const tooLarge = err(
    unreadable('too_large', `A body has at most ${limits.bytes} bytes.`, { status: 413, hangUp: true }),
  )
  if (Number(request.headers['content-length'] ?? 0) > limits.bytes) return Promise.resolve(tooLarge)
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let size = 0
    const timer = setTimeout(() => {
      end(err(unreadable('too_slow', 'The body did not arrive in time.', { status: 408, hangUp: true })))
    }, limits.ms)
    const onData = (chunk: Buffer): void => {
      size += chunk.length
      if (size > limits.bytes) end(tooLarge)
      else chunks.push(chunk)
    }
    const onEnd = (): void => end(ok(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    const onBroken = (): void =>
      end(err(unreadable('incomplete', 'The body broke off.', { status: 400, hangUp: true })))
    const end = (result: Result<Buffer, Unreadable>): void => {
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('close', onBroken)
      if (!result.ok) request.pause()
      resolve(result)
    }
    request.on('data', onData).on('end', onEnd).on('close', onBroken).on('error', onBroken)
  })
}
