/** What is known of keys: an application has few of them, and each is in every event. */
import { keyKind, namesId, namesVersion, weakName } from "./keyNames.ts"
import type { Kind } from "./Kind.ts"
import { needsContext } from "./pairs.ts"
import { none, scan } from "./scanner.ts"

/** What a key says of its value, and whether the key itself has nothing in it that is found in texts. */
export interface KnownKey {
  /** The kind that it promises, if it promises one. */
  readonly kind: Kind | undefined
  /** What is asked of the value where the name only hints at a secret. */
  readonly weak: "key" | "session" | undefined
  readonly isPlain: boolean
  /** Which digits are not what they look like under it: a version no address, an id no telephone number. */
  readonly digits: "version" | "id" | undefined
  /** Whether neither the key nor what stands beside it says anything of its value. */
  readonly saysNothing: boolean
}

const known = new Map<string, KnownKey>()

const learn = (key: string): KnownKey => {
  const kind = keyKind(key)
  const weak = kind === undefined && key.length <= 64 ? weakName(key) : undefined
  const digits = kind !== undefined ? undefined : namesVersion(key) ? "version" : namesId(key) ? "id" : undefined
  const isPlain = scan(key) === none
  const saysNothing = isPlain && kind === undefined && weak === undefined && digits === undefined && !needsContext(key)
  const learned: KnownKey = { kind, weak, isPlain, digits, saysNothing }
  // Keys come from callers: neither many nor long ones are kept.
  if (key.length > 64) return learned
  if (known.size >= 4096) known.clear()
  known.set(key, learned)
  return learned
}

/** What is known of a key, which is looked up once. */
export const knownKey = (key: string): KnownKey => known.get(key) ?? learn(key)
