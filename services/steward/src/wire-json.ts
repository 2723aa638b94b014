// Our JSON is readonly, zod's is not: the same values under two types. A cast, in one place.
import type { z } from 'zod'
import type { Json } from '@bailiwick/kernel/canonical'

export type WireJson = z.core.util.JSONType
export const toWire = (value: Json): WireJson => value as WireJson
export const toWireFields = (value: { readonly [key: string]: Json }): { [key: string]: WireJson } =>
  value as { [key: string]: WireJson }
