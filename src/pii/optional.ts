/**
 * Kinds that are looked for only where a policy names them: most applications keep them on purpose, and taking them
 * away would lose what is harmless.
 */
import type { Json } from "../internal/json.ts"
import { keyWords } from "./keyNames.ts"
import type { Kind } from "./Kind.ts"
import type { Policy } from "./Policy.ts"
import type { Span } from "./span.ts"

const optional = ["COORDINATES", "USER_NAME", "CERTIFICATE"] as const
type Optional = typeof optional[number]

/** A pair of degrees with four or more decimals, which is 11 metres: latitude first, or as `POINT(longitude latitude)`. */
const coordinates =
  /(?<![\w.])[-+]?(?:90|[1-8]?\d)\.\d{4,15}(?:°? ?[NS])?(?: ?[,;] ?|\s+)[-+]?(?:180|1[0-7]\d|\d{1,2})\.\d{4,15}(?:°? ?[EW])?(?![\w.]|-\d)|(?<=\bPOINT ?\()[-+]?\d{1,3}\.\d{4,15} [-+]?\d{1,2}\.\d{4,15}(?=\))/g
/** Homes of nobody: of machines, and those that all share. */
const shared =
  /^(?:public|shared|default(?: user)?|all users|guest|root|admin|administrator|app|node|ubuntu|ec2-user|runner|circleci|vsts|jenkins|www-data|user|username|name|you|me)$/i
const homes =
  /(?<=(?:^|[\s"'`(=:,;[]|file:\/\/|[A-Za-z]:)(?:\/(?:Users|home)\/|\\{1,2}Users\\{1,2}))[^\s\\/"'`:;,<>|?*()]{1,64}/g
const certificates =
  /-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----[^]*?(?:-----END (?:TRUSTED |X509 )?CERTIFICATE-----|$)/g

const found = (text: string, pattern: RegExp, kind: Kind): Array<Span> =>
  Array.from(text.matchAll(pattern), ({ 0: value, index }) => ({ start: index, end: index + value.length, kind }))

const detectors: { readonly [Name in Optional]: (text: string) => ReadonlyArray<Span> } = {
  COORDINATES: (text) => found(text, coordinates, "COORDINATES"),
  USER_NAME: (text) => found(text, homes, "USER_NAME").filter(({ end, start }) => !shared.test(text.slice(start, end))),
  CERTIFICATE: (text) => text.includes("CERTIFICATE-----") ? found(text, certificates, "CERTIFICATE") : []
}

const keys: { readonly [Name in Optional]: RegExp } = {
  COORDINATES: /(?:^| )(?:lat|latitude|lng|lon|long|longitude)$/,
  USER_NAME: /(?:^| )(?:user ?name|login(?: name)?|screen name|account login)$/,
  CERTIFICATE: /(?:^| )(?:(?:ssl |tls |x )?client cert(?:ificate)?|client cert chain|x509 cert(?:ificate)?)$/
}

const couldBe: { readonly [Name in Optional]: (value: string | number) => boolean } = {
  COORDINATES: (value) => /^[-+]?\d{1,3}\.\d{4,}/.test(String(value)),
  USER_NAME: (value) => typeof value === "string" && /\p{L}/u.test(value) && value.length <= 128,
  CERTIFICATE: (value) => typeof value === "string" && value.length >= 64
}

/** What a policy asks for beyond what is always looked for. */
export interface Asked {
  readonly detectors: ReadonlyArray<(text: string) => ReadonlyArray<Span>>
  /** The kind that a key and its value show. */
  readonly ofKey: (key: string, value: Json) => Kind | undefined
}

const asks = (policy: Policy, tenantId: string | undefined): ReadonlyArray<Optional> => {
  const named = policy.kinds
  const ofTenant = tenantId === undefined ? undefined : policy.tenants?.[tenantId]?.kinds
  return named === undefined && ofTenant === undefined
    ? []
    : optional.filter((kind) => named?.[kind] !== undefined || ofTenant?.[kind] !== undefined)
}

/** What a policy asks for, for a tenant; `undefined` where it asks for nothing more. */
export const askedBy = (policy: Policy, tenantId: string | undefined): Asked | undefined => {
  const kinds = asks(policy, tenantId)
  if (kinds.length === 0) return undefined
  return {
    detectors: kinds.map((kind) => detectors[kind]),
    ofKey: (key, value) => {
      if (typeof value !== "string" && typeof value !== "number") return undefined
      const name = keyWords(key)
      return kinds.find((kind) => keys[kind].test(name) && couldBe[kind](value))
    }
  }
}
