/** Keys in which nothing is found: an application has few of them, and each is in every event. */
import { none, scan } from "./scanner.ts"

const known = new Map<string, boolean>()

const learn = (key: string): boolean => {
  const isPlain = scan(key) === none
  // Keys come from callers: neither many nor long ones are kept.
  if (key.length > 64) return isPlain
  if (known.size >= 4096) known.clear()
  known.set(key, isPlain)
  return isPlain
}

/** Whether a key has nothing in it that is found in texts. */
export const isPlainKey = (key: string): boolean => known.get(key) ?? learn(key)
