/** Where something stands in an event, told without what its keys hold. */
import { pointerToken } from "../internal/json.ts"
import { keyKind } from "./keyNames.ts"
import type { Kind } from "./Kind.ts"

/** A JSON Pointer (RFC 6901) with its keys stripped, and without those below one that names a kind. */
export const stripPointer = (pointer: string, strip: (key: string) => string): string => {
  let kind: Kind | undefined
  return pointer.split("/").map((segment, index) => {
    const key = segment.replaceAll("~1", "/").replaceAll("~0", "~")
    // The one field of a draft whose name is that of a secret.
    if (index === 1 && key === "authorization") return segment
    if (kind !== undefined) return /^\d*$/.test(key) ? segment : `[${kind}]`
    kind = keyKind(key)
    return pointerToken(strip(key))
  }).join("/")
}
