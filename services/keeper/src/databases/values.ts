// PostgreSQL values as JSON: small numbers and booleans as such, json parsed, everything else the server's own text, so that
// 64-bit integers, numerics and microseconds arrive unchanged.
import type { CustomTypesConfig } from 'pg'

const BOOL = 16
const INT2 = 21
const INT4 = 23
const FLOAT4 = 700
const FLOAT8 = 701
const JSON_TEXT = 114
const JSONB = 3802

const toNumber = (text: string): number | string => (Number.isFinite(Number(text)) ? Number(text) : text)

const parse = (oid: number, text: string): unknown => {
  switch (oid) {
    case BOOL:
      return text === 't'
    case INT2:
    case INT4:
    case FLOAT4:
    case FLOAT8:
      return toNumber(text)
    case JSON_TEXT:
    case JSONB:
      return JSON.parse(text)
    default:
      return text
  }
}

export const typesAsJson: CustomTypesConfig = {
  getTypeParser: (oid: number) => (text: string) => parse(oid, text),
}

/** Start-up settings of each connection: one spelling of dates, floats and bytes, and no name resolved in a user's schema. */
export const SESSION_OPTIONS = [
  'search_path=pg_catalog',
  'timezone=UTC',
  'datestyle=ISO',
  'intervalstyle=postgres',
  'extra_float_digits=1',
  'bytea_output=hex',
  'client_min_messages=error',
]
  .map((setting) => `-c ${setting}`)
  .join(' ')
